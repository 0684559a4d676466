//! Expectations as the lines that stand for them.

use super::case::Expectation;
use super::searches::{spanset_line, trace_lines};
use super::text::{label, seconds, short_hex};
use crate::reference::{Grid, RefSeries};

pub(super) fn lines(expected: &Expectation, grid: Option<Grid>) -> Vec<String> {
    match expected {
        Expectation::Missing(_) => Vec::new(),
        Expectation::Fails => vec!["fails".to_owned()],
        Expectation::Spans(spans) if spans.is_empty() => vec!["spans none".to_owned()],
        Expectation::Spans(spans) => {
            let ids: Vec<String> = spans.iter().map(short_hex).collect();
            vec![format!("spans {}", ids.join(" "))]
        }
        Expectation::Spansets(spansets) if spansets.is_empty() => vec!["spansets none".to_owned()],
        Expectation::Spansets(spansets) => {
            let lines = spansets
                .iter()
                .map(|spanset| format!("  {}", spanset_line(spanset)));
            std::iter::once("spansets".to_owned())
                .chain(lines)
                .collect()
        }
        Expectation::Search(traces) if traces.is_empty() => vec!["search none".to_owned()],
        Expectation::Search(traces) => {
            let lines = trace_lines(traces).into_iter();
            std::iter::once("search".to_owned()).chain(lines).collect()
        }
        Expectation::Series(series) if series.is_empty() => vec!["series none".to_owned()],
        Expectation::Series(series) => {
            let series = series
                .iter()
                .map(|series| format!("  {}", one_series(series, grid)));
            std::iter::once("series".to_owned()).chain(series).collect()
        }
    }
}

fn one_series(series: &RefSeries, grid: Option<Grid>) -> String {
    let labels: Vec<String> = series
        .labels
        .iter()
        .map(|(name, value)| format!("{name}={}", label(value)))
        .collect();
    let mut words = vec![format!("{{{}}}", labels.join(", "))];
    for (interval, value) in series.values.iter().enumerate() {
        let Some(value) = value.map(number) else {
            continue;
        };
        words.push(match grid {
            Some(grid) if grid.intervals > 1 => {
                format!("{}:{value}", seconds(grid.sample_time_ns(interval)))
            }
            _ => value,
        });
    }
    words.join(" ")
}

/// With an exponent where it is shorter, without a needless point.
fn number(value: f64) -> String {
    let text = format!("{value:?}");
    text.strip_suffix(".0").map(str::to_owned).unwrap_or(text)
}
