//! Random queries over what [`super::nasty_traces`] makes.
//!
//! Left out is what has no one right answer: numbers that depend on the order of siblings, sums and
//! averages of values of several types, second stages and arithmetic after a function whose rounding
//! or sketching may differ between engines, `compare()` that keeps only the commonest values, and `!`
//! of a bare event attribute. Few queries fail at run time: one failing span fails them all.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::conditions::{filter, light_filter, pick};
use super::nasty::{NASTY_STEP_NS, WINDOW_START_NS};
use super::pipelines::{Use, pipeline, pipeline_expr, scalar_pipeline_filter};
use super::query_words::{AGGREGATED, GROUPING, ORDERINGS, PARENT_FIELDS};

/// A search: one filter.
#[must_use]
pub fn random_filter(seed: u64) -> String {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    valid(&mut rng, filter)
}

/// A search of any form.
#[must_use]
pub fn random_search(seed: u64) -> String {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    valid(&mut rng, |rng| match rng.random_range(0..10) {
        0 => pipeline_expr(rng),
        1 => scalar_pipeline_filter(rng),
        _ => pipeline(rng, Use::Search),
    })
}

/// A metrics query over one filter, which every span passes or not by itself.
#[must_use]
pub fn random_span_local_query(seed: u64) -> String {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    valid(&mut rng, |rng| {
        let filter = filter(rng);
        let select = if rng.random_bool(0.1) {
            " | select(span.i, name)"
        } else {
            ""
        };
        let (metrics, hint) = metrics(rng, GROUPING, AGGREGATED);
        format!("{filter}{select} | {metrics}{hint}")
    })
}

/// A comparison of all spans, or of those that one filter picks.
#[must_use]
pub fn random_comparison(seed: u64) -> String {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    valid(&mut rng, |rng| {
        let filter = if rng.random_bool(0.5) {
            "{ }".to_owned()
        } else {
            light_filter(rng)
        };
        format!("{filter} | {}", compare(rng))
    })
}

/// A metrics query of any form.
#[must_use]
pub fn random_query(seed: u64) -> String {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    valid(&mut rng, |rng| match rng.random_range(0..12) {
        0 | 1 => format!("{} | {}", pipeline(rng, Use::Metrics), compare(rng)),
        2 => arithmetic(rng),
        _ => {
            let grouping = [GROUPING, PARENT_FIELDS].concat();
            let aggregated = [AGGREGATED, PARENT_FIELDS].concat();
            let (metrics, hint) = metrics(rng, &grouping, &aggregated);
            format!("{} | {metrics}{hint}", pipeline(rng, Use::Metrics))
        }
    })
}

/// Queries are written without a type checker at hand, so the few wrong ones are thrown away.
fn valid(rng: &mut ChaCha8Rng, write: fn(&mut ChaCha8Rng) -> String) -> String {
    loop {
        let text = write(rng);
        if traceql::compile(&text).is_ok() {
            return text;
        }
    }
}

/// A metrics stage with what follows it, and the hints that go with it.
fn metrics(
    rng: &mut ChaCha8Rng,
    grouping: &[&'static str],
    aggregated: &[&'static str],
) -> (String, &'static str) {
    let (function, exact, most_labels) = match rng.random_range(0..9) {
        0 | 1 => ("rate()".to_owned(), true, 5),
        2 | 3 => ("count_over_time()".to_owned(), true, 5),
        4 => (format!("min_over_time({})", pick(rng, aggregated)), true, 5),
        5 => (format!("max_over_time({})", pick(rng, aggregated)), true, 5),
        6 => (
            format!(
                "{}({})",
                pick(rng, &["sum_over_time", "avg_over_time"]),
                pick(rng, aggregated)
            ),
            false,
            4,
        ),
        7 => (
            format!("histogram_over_time({})", pick(rng, aggregated)),
            true,
            4,
        ),
        _ => (
            format!(
                "quantile_over_time({}, {})",
                pick(rng, aggregated),
                pick(rng, &[".5", "0, 1", ".9, .99", "0.25"])
            ),
            false,
            4,
        ),
    };
    let hint = if function.starts_with("quantile") && rng.random_bool(0.4) {
        r#" with(quantile="log2")"#
    } else {
        ""
    };
    let by = by(rng, grouping, most_labels);
    let second = if exact && rng.random_bool(0.3) {
        second_stage(rng)
    } else {
        String::new()
    };
    (format!("{function}{by}{second}"), hint)
}

fn by(rng: &mut ChaCha8Rng, grouping: &[&'static str], most: usize) -> String {
    if rng.random_bool(0.35) {
        return String::new();
    }
    let mut names: Vec<&str> = Vec::new();
    for _ in 0..[1, 1, 1, 2, 2, 3, most][rng.random_range(0..7)] {
        let name = pick(rng, grouping);
        if !names.contains(&name) {
            names.push(name);
        }
    }
    format!(" by ({})", names.join(", "))
}

fn second_stage(rng: &mut ChaCha8Rng) -> String {
    match rng.random_range(0..4) {
        0 => format!(" | topk({})", rng.random_range(1..4)),
        1 => format!(" | bottomk({})", rng.random_range(1..4)),
        2 => format!(
            " {} {}",
            pick(rng, ORDERINGS),
            pick(rng, &["0", "1", "2", "0.1", "300ms", "-1"])
        ),
        _ => format!(" > 0 | topk({})", rng.random_range(1..3)),
    }
}

/// Keeps more values than there are.
fn compare(rng: &mut ChaCha8Rng) -> String {
    let selection = light_filter(rng);
    if rng.random_bool(0.7) {
        return format!("compare({selection}, 10000)");
    }
    let mut time = || WINDOW_START_NS + NASTY_STEP_NS * rng.random_range(0..5);
    let (one, other) = (time(), time());
    format!(
        "compare({selection}, 10000, {}, {})",
        one.min(other),
        one.max(other) + 1
    )
}

/// Of two queries that are grouped alike, so that their series meet.
fn arithmetic(rng: &mut ChaCha8Rng) -> String {
    let by = by(rng, GROUPING, 3);
    let operand = |rng: &mut ChaCha8Rng| {
        // What is not grouped meets every group.
        let by = if rng.random_bool(0.2) { "" } else { &by };
        let function = match rng.random_range(0..4) {
            0 => "rate()",
            1 => pick(
                rng,
                &[
                    "max_over_time(duration)",
                    "min_over_time(span.i)",
                    "max_over_time(span.f)",
                ],
            ),
            _ => "count_over_time()",
        };
        format!("({} | {function}{by})", light_filter(rng))
    };
    let (lhs, rhs) = (operand(rng), operand(rng));
    let text = match rng.random_range(0..6) {
        // Differences of what may be rounded differently are left out.
        0 => format!(
            "({{ }} | count_over_time(){by}) - ({} | count_over_time(){by})",
            light_filter(rng)
        ),
        1 => format!("{lhs} * {rhs} + 1"),
        2 => format!("{} / {lhs}", pick(rng, &["1", "100", "2s"])),
        3 => format!("-{lhs} * 2"),
        4 => format!("{lhs} % 3"),
        _ => format!("{lhs} / {rhs}"),
    };
    if rng.random_bool(0.3) {
        format!("{text}{}", second_stage(rng))
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::generate::{nasty_grid, nasty_traces};
    use crate::reference::{EvalError, RuntimeError, is_span_local, metrics, search, select_spans};

    /// Of 400 queries, how many differ, fail and find nothing.
    fn statistics<T>(
        write: fn(u64) -> String,
        evaluate: impl Fn(&traceql::Query) -> Result<Vec<T>, EvalError>,
    ) -> (usize, usize, usize) {
        let (mut texts, mut failed, mut empty) = (HashSet::new(), 0, 0);
        for seed in 0..400 {
            let text = write(seed);
            let query = traceql::compile(&text).expect("random queries are valid");
            match evaluate(&query) {
                Ok(found) => empty += usize::from(found.is_empty()),
                Err(EvalError::Runtime(_)) => failed += 1,
                Err(other) => panic!("{text}: {other}"),
            }
            texts.insert(text);
        }
        (texts.len(), failed, empty)
    }

    #[test]
    fn span_local_queries_are_varied_and_mostly_succeed() {
        let traces = nasty_traces(5, 60);
        let (different, failed, empty) = statistics(random_span_local_query, |query| {
            assert!(is_span_local(query), "{query}");
            metrics(query, &traces, nasty_grid())
        });
        assert!(different > 350, "{different} different queries");
        assert!((1..60).contains(&failed), "{failed} queries fail");
        assert!(empty < 200, "{empty} queries find nothing");
    }

    #[test]
    fn comparisons_are_varied_and_mostly_succeed() {
        let traces = nasty_traces(5, 20);
        let (different, failed, empty) = statistics(random_comparison, |query| {
            metrics(query, &traces, nasty_grid())
        });
        assert!(different > 200, "{different} different queries");
        assert!(failed < 60, "{failed} queries fail");
        assert!(empty < 140, "{empty} queries find nothing");
    }

    #[test]
    fn queries_are_varied_and_mostly_succeed() {
        let traces = nasty_traces(5, 20);
        let (different, failed, empty) =
            statistics(random_query, |query| metrics(query, &traces, nasty_grid()));
        assert!(different > 380, "{different} different queries");
        assert!((1..60).contains(&failed), "{failed} queries fail");
        assert!(empty < 140, "{empty} queries find nothing");
    }

    #[test]
    fn searches_are_varied_and_mostly_succeed() {
        let traces = nasty_traces(5, 20);
        let (different, failed, empty) =
            statistics(random_search, |query| search(query, &traces, None));
        assert!(different > 350, "{different} different searches");
        assert!((1..60).contains(&failed), "{failed} searches fail");
        assert!(empty < 150, "{empty} searches find nothing");
    }

    #[test]
    fn everything_there_is_occurs() {
        let texts: Vec<String> = (0..3000)
            .map(|seed| {
                if seed % 2 == 0 {
                    random_query(seed)
                } else {
                    random_search(seed)
                }
            })
            .collect();
        let structure = [
            "} > ", "} < ", "} >> ", "} << ", "} ~ ", "} !> ", "} !< ", "} !>> ", "} !<< ",
            "} !~ ", "} &> ", "} &< ", "} &>> ", "} &<< ", "} &~ ", "} && ", "} || ",
        ];
        let stages = [
            "| by(",
            "| coalesce()",
            "| select(",
            "count() ",
            "avg(",
            "min(",
            "max(",
            "sum(",
            "| compare(",
            ") / (",
            ") - (",
            "topk(",
            "parent:",
            "parent.",
            "span:selfTime",
            ") && (",
            "| count()) ",
        ];
        for part in structure.iter().chain(&stages) {
            let count = texts.iter().filter(|text| text.contains(part)).count();
            assert!(count >= 3, "`{part}` occurs {count} times");
        }
        let traces = nasty_traces(9, 20);
        let several = texts.iter().filter(|text| {
            let query = traceql::compile(text).expect("random queries are valid");
            select_spans(&query, &traces) == Err(RuntimeError::SeveralSpansets.into())
        });
        assert!(several.count() > 3);
    }

    #[test]
    fn filters_select_something_but_not_everything() {
        let traces = nasty_traces(6, 60);
        let all: usize = traces.iter().map(|group| group.spans.len()).sum();
        let selective = (0..200)
            .filter_map(|seed| {
                select_spans(&traceql::compile(&random_filter(seed)).ok()?, &traces).ok()
            })
            .filter(|selected| !selected.is_empty() && selected.len() < all)
            .count();
        assert!(
            selective > 80,
            "{selective} filters select some spans and not all"
        );
    }
}
