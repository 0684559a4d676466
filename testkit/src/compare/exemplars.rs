//! Whether exemplars are admissible.
//!
//! Which spans are shown as exemplars is left to the engine. What can be said is that there are not
//! too many of them, not too many at one time, and that each is what it claims to be: a span that
//! counts in its series, at its time, with its value.

use std::collections::HashMap;

use storage::ids::TraceId;
use storage::model::SpanGroup;
use traceql::ast::{
    Body, MetricsAggregate, MetricsFunction, MetricsQuery, MetricsStage, Query, SecondStage,
};

use super::series::show_labels;
use super::tolerance::Tolerance;
use crate::reference::aggregate::number;
use crate::reference::attributes::SpanView;
use crate::reference::buckets::bucket_counts;
use crate::reference::comparison::memberships;
use crate::reference::error::EvalError;
use crate::reference::grid::Grid;
use crate::reference::metrics::{group_labels, metrics};
use crate::reference::pipeline::Selection;
use crate::reference::second_stage::{satisfies, threshold};
use crate::reference::selected::each_selected;
use crate::reference::series::{LabelValue, Labels, RefSeries};
use crate::reference::value::Value;

/// A span shown as an example of what a series counts.
#[derive(Debug, Clone, PartialEq)]
pub struct RefExemplar {
    /// The trace of the span.
    pub trace_id: TraceId,
    /// The start of the span, epoch ms.
    pub start_ms: i64,
    /// The aggregated value of the span, Durations in seconds; of a series that counts spans the
    /// value of its sample.
    pub value: f64,
}

/// A span that counts in a series.
#[derive(Debug)]
struct Member {
    labels: Labels,
    trace_id: TraceId,
    start_ns: i64,
    interval: usize,
    /// What it adds to the series; `None` if it only counts.
    value: Option<f64>,
}

/// Checks the exemplars of the answer to a range query, given with the labels of their series;
/// `limit` is how many there may be.
///
/// # Errors
/// A description of the first exemplar that should not be there, or why the query fails.
pub fn check_exemplars(
    query: &Query,
    groups: &[SpanGroup],
    grid: Grid,
    limit: usize,
    answer: &[(Labels, Vec<RefExemplar>)],
) -> Result<(), String> {
    let series = metrics(query, groups, grid).map_err(|error| error.to_string())?;
    let Body::Metrics(metrics) = &query.body else {
        return match answer.iter().find(|(_, exemplars)| !exemplars.is_empty()) {
            Some((labels, _)) => Err(format!("{} is computed", show_labels(labels))),
            None => Ok(()),
        };
    };
    let mut members = members(metrics, query, groups, grid).map_err(|error| error.to_string())?;
    // The limit holds for a whole answer, but for quantiles for each group.
    let mut shown: HashMap<Labels, Vec<i64>> = HashMap::new();
    for (labels, exemplars) in answer {
        let at = |reason: String| format!("series {}: {reason}", show_labels(labels));
        let of = series.iter().find(|series| series.labels == *labels);
        let of = of.ok_or_else(|| at("is not in the answer".to_owned()))?;
        if !exemplars.is_sorted_by_key(|exemplar| exemplar.start_ms) {
            return Err(at("exemplars are not in order of time".to_owned()));
        }
        for exemplar in exemplars {
            let is_it = |member: &Member| {
                member.labels == *labels
                    && member.trace_id == exemplar.trace_id
                    && member.start_ns.div_euclid(1_000_000) == exemplar.start_ms
                    && has_value(member, exemplar, of)
            };
            let member = members.iter().position(is_it);
            let member = member.ok_or_else(|| at(format!("no span like {exemplar:?}")))?;
            if !passes(&metrics.second_stages, exemplar.value) {
                return Err(at(format!("{exemplar:?} does not pass the filter")));
            }
            let Member {
                start_ns, labels, ..
            } = members.swap_remove(member);
            shown
                .entry(limited_together(&labels))
                .or_default()
                .push(start_ns);
        }
    }
    shown
        .values()
        .try_for_each(|starts| check_spread(starts, grid, limit))
}

/// Not more than `limit`, and of the equal parts of time, half as many as that, at most two in each.
fn check_spread(starts: &[i64], grid: Grid, limit: usize) -> Result<(), String> {
    if starts.len() > limit {
        return Err(format!("{} exemplars, allowed are {limit}", starts.len()));
    }
    let parts = (limit / 2).max(1);
    let length_ns = i128::from(grid.step_ns) * grid.intervals as i128;
    let mut counts = vec![0; parts];
    for start_ns in starts {
        // What starts on a border may have been counted on either side of it.
        let scaled = (i128::from(*start_ns) - i128::from(grid.start_ns)) * parts as i128;
        if scaled % length_ns != 0 {
            counts[(scaled / length_ns) as usize] += 1;
        }
    }
    match counts.iter().position(|&count| count > 2) {
        Some(part) => Err(format!(
            "{} exemplars in part {part} of {parts}",
            counts[part]
        )),
        None => Ok(()),
    }
}

/// The labels that exemplars are limited by; none if all of the answer is limited together.
fn limited_together(labels: &Labels) -> Labels {
    match labels.split_last() {
        Some(((name, _), group)) if name == "p" => group.to_vec(),
        _ => Vec::new(),
    }
}

fn has_value(member: &Member, exemplar: &RefExemplar, series: &RefSeries) -> bool {
    // Where the series has no sample, it has no exemplar.
    let Some(sample) = series.values[member.interval] else {
        return false;
    };
    let expected = member.value.unwrap_or(sample);
    Tolerance::ROUNDING.accepts(expected, exemplar.value)
}

fn passes(stages: &[SecondStage], value: f64) -> bool {
    stages.iter().all(|stage| match stage {
        SecondStage::Filter { op, value: of, .. } => satisfies(*op, value, threshold(of)),
        SecondStage::TopK { .. } | SecondStage::BottomK { .. } => true,
    })
}

/// Every span of every series.
fn members(
    metrics: &MetricsQuery,
    query: &Query,
    groups: &[SpanGroup],
    grid: Grid,
) -> Result<Vec<Member>, EvalError> {
    let selection = Selection::of_metrics(metrics, query.dialect);
    let mut members = Vec::new();
    each_selected(&selection, groups, grid, |view, interval| {
        let of_series = match &metrics.stage {
            MetricsStage::Aggregate(stage) => series_of(stage, view),
            MetricsStage::Compare(stage) => memberships(stage, &selection, view)?
                .into_iter()
                .map(|labels| (labels, None))
                .collect(),
        };
        members.extend(of_series.into_iter().map(|(labels, value)| Member {
            labels,
            trace_id: view.trace_id(),
            start_ns: view.span().span.start_ns,
            interval,
            value,
        }));
        Ok(())
    })?;
    Ok(members)
}

/// The series that a span counts in, and what it adds to each.
fn series_of(stage: &MetricsAggregate, view: SpanView<'_>) -> Vec<(Labels, Option<f64>)> {
    let by: Vec<Value> = stage
        .by
        .iter()
        .map(|name| view.value(&name.attribute))
        .collect();
    let labels = group_labels(stage, &by);
    let with = |name: &str, value: f64| {
        let mut labels = labels.clone();
        labels.push((name.to_owned(), LabelValue::Float(value)));
        labels
    };
    let argument = match &stage.argument {
        Some(argument) => view.value(&argument.attribute),
        None => Value::Nil,
    };
    // A span without the attribute shows as 0.
    let value = argument.as_number().map_or(0.0, |_| number(&argument));
    match &stage.function {
        MetricsFunction::Rate | MetricsFunction::CountOverTime => vec![(labels, None)],
        MetricsFunction::HistogramOverTime => bucket_counts(&[argument])
            .into_iter()
            .map(|(bound, _)| (with("__bucket", bound), None))
            .collect(),
        MetricsFunction::QuantileOverTime { quantiles } => quantiles
            .iter()
            .map(|&q| (with("p", q), Some(value)))
            .collect(),
        MetricsFunction::MinOverTime
        | MetricsFunction::MaxOverTime
        | MetricsFunction::AvgOverTime
        | MetricsFunction::SumOverTime => vec![(labels, Some(value))],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus::CorpusFile;

    const TRACES: &str = "\
trace 1
  a/x @1.0005s +1s
  a/x @2s +2s
trace 2
  a/y @11s +3s
  a/y @12s +4s
  a/y @13s +5s
  a/y @14s +6s
";

    /// Exemplars by the name of their series: last byte of the trace id, seconds, value.
    type Answer<'a> = &'a [(&'a str, &'a [(u8, i64, f64)])];

    fn check(text: &str, limit: usize, answer: Answer<'_>) -> Result<(), String> {
        let file = CorpusFile::parse("inline.test".as_ref(), TRACES).expect("the text parses");
        let query = traceql::compile(text).expect("the query is valid");
        let grid = Grid::range(10_000_000_000, 20_000_000_000, 10_000_000_000);
        let exemplar = |&(trace, start_ms, value): &(u8, i64, f64)| {
            let mut id = [0; 16];
            id[15] = trace;
            RefExemplar {
                trace_id: TraceId(id),
                start_ms,
                value,
            }
        };
        let answer: Vec<(Labels, Vec<RefExemplar>)> = answer
            .iter()
            .map(|(label, exemplars)| {
                let (name, value) = label.split_once('=').expect("a label");
                let label = (name.to_owned(), LabelValue::String(value.to_owned()));
                (vec![label], exemplars.iter().map(exemplar).collect())
            })
            .collect();
        check_exemplars(&query, &file.groups, grid, limit, &answer)
    }

    #[test]
    fn exemplars_are_spans_of_their_series() {
        let maxima = "{ } | max_over_time(duration) by (name)";
        let of_x = |exemplar| check(maxima, 10, &[("name=x", &[exemplar])]);
        assert_eq!(of_x((1, 1000, 1.0)), Ok(()));
        assert_eq!(of_x((1, 2000, 2.0)), Ok(()));
        assert!(of_x((1, 2000, 1.0)).is_err(), "another value");
        assert!(of_x((2, 2000, 2.0)).is_err(), "another trace");
        assert!(of_x((1, 2001, 2.0)).is_err(), "another time");
        assert!(of_x((2, 11_000, 3.0)).is_err(), "another series");
        let twice = [(1, 2000, 2.0), (1, 2000, 2.0)];
        assert!(check(maxima, 10, &[("name=x", &twice)]).is_err());
        assert!(check(maxima, 10, &[("name=z", &[])]).is_err());
        let turned = [(1, 2000, 2.0), (1, 1000, 1.0)];
        assert!(check(maxima, 10, &[("name=x", &turned)]).is_err());
    }

    #[test]
    fn counting_series_show_their_samples() {
        let counts = "{ } | count_over_time() by (name)";
        assert_eq!(
            check(counts, 10, &[("name=y", &[(2, 11_000, 4.0)])]),
            Ok(())
        );
        assert!(check(counts, 10, &[("name=y", &[(2, 11_000, 3.0)])]).is_err());
        let filtered = "{ } | max_over_time(duration) by (name) > 5";
        assert_eq!(
            check(filtered, 9, &[("name=y", &[(2, 14_000, 6.0)])]),
            Ok(())
        );
        assert!(check(filtered, 9, &[("name=y", &[(2, 13_000, 5.0)])]).is_err());
    }

    #[test]
    fn there_are_not_too_many() {
        let maxima = "{ } | max_over_time(duration) by (name)";
        let four = [
            (2, 11_000, 3.0),
            (2, 12_000, 4.0),
            (2, 13_000, 5.0),
            (2, 14_000, 6.0),
        ];
        assert!(check(maxima, 3, &[("name=y", &four)]).is_err());
        // Two parts of ten seconds each, with two in each at most.
        assert!(check(maxima, 4, &[("name=y", &four[..3])]).is_err());
        assert_eq!(check(maxima, 4, &[("name=y", &four[..2])]), Ok(()));
        assert_eq!(check(maxima, 40, &[("name=y", &four)]), Ok(()));
    }

    #[test]
    fn compared_spans_are_on_one_side() {
        let compare = "{ } | compare({ name = \"x\" })";
        let answer = |meta: &str, name: &str| {
            let label =
                |name: &str, value: &str| (name.to_owned(), LabelValue::String(value.to_owned()));
            let file = CorpusFile::parse("inline.test".as_ref(), TRACES).expect("the text parses");
            let query = traceql::compile(compare).expect("the query is valid");
            let grid = Grid::range(10_000_000_000, 20_000_000_000, 10_000_000_000);
            let mut id = [0; 16];
            id[15] = 2;
            let exemplar = RefExemplar {
                trace_id: TraceId(id),
                start_ms: 11_000,
                value: 4.0,
            };
            let labels = vec![label("__meta_type", meta), label("name", name)];
            check_exemplars(&query, &file.groups, grid, 9, &[(labels, vec![exemplar])])
        };
        assert_eq!(answer("baseline", "y"), Ok(()));
        assert_eq!(answer("baseline_total", "nil"), Ok(()));
        assert!(answer("selection", "x").is_err());
    }
}
