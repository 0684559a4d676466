//! Random queries of one spanset filter over what [`super::nasty_traces`] makes.
//!
//! Left out is what has no one right answer: numbers that depend on the order of siblings, second
//! stages after a function whose rounding or sketching may differ between engines, and `!` of a
//! bare event attribute. Few queries fail at run time: one failing span fails them all.

use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::nasty::{EVENT_NAMES, SERVICE_NAMES, SPAN_NAMES, STRINGS};
use super::query_words::{
    AGGREGATED, ATTRIBUTES, CONSTANTS_OF_TRACES, DURATIONS, EQUALITIES, GROUPING, NULLABLE,
    NUMBERS, ORDERINGS, TEXTS,
};

/// A search: one filter.
#[must_use]
pub fn random_filter(seed: u64) -> String {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    valid(&mut rng, filter)
}

/// A metrics query over one filter; every seed gives one that is valid.
#[must_use]
pub fn random_query(seed: u64) -> String {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    valid(&mut rng, metrics_query)
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

fn filter(rng: &mut ChaCha8Rng) -> String {
    if rng.random_bool(0.1) {
        "{ }".to_owned()
    } else {
        format!("{{ {} }}", condition(rng, 3))
    }
}

fn metrics_query(rng: &mut ChaCha8Rng) -> String {
    let filter = filter(rng);
    let select = if rng.random_bool(0.1) {
        " | select(span.i, name)"
    } else {
        ""
    };
    let (function, exact, most_labels) = match rng.random_range(0..9) {
        0 | 1 => ("rate()".to_owned(), true, 5),
        2 | 3 => ("count_over_time()".to_owned(), true, 5),
        4 => (format!("min_over_time({})", aggregated(rng)), true, 5),
        5 => (format!("max_over_time({})", aggregated(rng)), true, 5),
        6 => (
            format!(
                "{}({})",
                pick(rng, &["sum_over_time", "avg_over_time"]),
                aggregated(rng)
            ),
            false,
            4,
        ),
        7 => (format!("histogram_over_time({})", aggregated(rng)), true, 4),
        _ => (
            format!(
                "quantile_over_time({}, {})",
                aggregated(rng),
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
    let by = by(rng, most_labels);
    let second = if exact && rng.random_bool(0.3) {
        second_stage(rng)
    } else {
        String::new()
    };
    format!("{filter}{select} | {function}{by}{second}{hint}")
}

fn by(rng: &mut ChaCha8Rng, most: usize) -> String {
    if rng.random_bool(0.35) {
        return String::new();
    }
    let mut names: Vec<&str> = Vec::new();
    for _ in 0..*[1, 1, 1, 2, 2, 3, most].choose(rng).expect("not empty") {
        let name = pick(rng, GROUPING);
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

/// Something Boolean, of at most `depth` levels.
fn condition(rng: &mut ChaCha8Rng, depth: u32) -> String {
    match rng.random_range(0..20) {
        0..=6 if depth > 0 => {
            let (lhs, rhs) = (condition(rng, depth - 1), condition(rng, depth - 1));
            format!("({lhs} {} {rhs})", pick(rng, &["&&", "&&", "||"]))
        }
        7 if depth > 0 => format!("!({})", condition(rng, depth - 1)),
        8 => format!("{} {} nil", pick(rng, NULLABLE), pick(rng, &["=", "!="])),
        9 => pick(
            rng,
            &[
                "span.b",
                ".b",
                "event.b",
                "link.b",
                "span.mixed",
                "resource.b",
            ],
        )
        .to_owned(),
        10 | 11 => event_condition(rng, depth),
        12 => format!(
            "{} {} {}",
            pick(rng, ATTRIBUTES),
            pick(rng, ORDERINGS),
            pick(rng, ATTRIBUTES)
        ),
        13 if rng.random_bool(0.1) => pick(
            rng,
            &[
                "!span.b",
                "span.i / 0 = 1",
                "-span.i < 0",
                "span.arr + 1 > 2",
            ],
        )
        .to_owned(),
        _ => comparison(rng),
    }
}

/// Conditions that all have to hold on one event or one link.
fn event_condition(rng: &mut ChaCha8Rng, depth: u32) -> String {
    if depth > 0 && rng.random_bool(0.4) {
        let (lhs, rhs) = (
            event_condition(rng, depth - 1),
            event_condition(rng, depth - 1),
        );
        return format!("({lhs} {} {rhs})", pick(rng, &["&&", "||"]));
    }
    match rng.random_range(0..8) {
        0 | 1 => format!(
            "event:name {} {}",
            pick(rng, EQUALITIES),
            quoted(rng, EVENT_NAMES)
        ),
        2 => format!(
            "event:timeSinceStart {} {}",
            pick(rng, ORDERINGS),
            pick(rng, DURATIONS)
        ),
        3 => format!("event.s {} {}", pick(rng, EQUALITIES), quoted(rng, STRINGS)),
        4 => format!(
            "event.{} {} {}",
            pick(rng, &["i", "f", "mixed", "arr"]),
            pick(rng, ORDERINGS),
            number(rng)
        ),
        5 => format!(
            "{} {} nil",
            pick(rng, &["event.i", "event.arr", "link.s"]),
            pick(rng, &["=", "!="])
        ),
        6 => format!(
            "link:spanID {} \"0000000000000001\"",
            pick(rng, &["=", "!="])
        ),
        _ => format!("link.i {} {}", pick(rng, ORDERINGS), number(rng)),
    }
}

fn comparison(rng: &mut ChaCha8Rng) -> String {
    match rng.random_range(0..14) {
        0 => format!("name {} {}", pick(rng, EQUALITIES), quoted(rng, SPAN_NAMES)),
        1 => format!(
            "resource.service.name {} {}",
            pick(rng, EQUALITIES),
            quoted(rng, SERVICE_NAMES)
        ),
        2 => format!(
            "status {} {}",
            pick(rng, &["=", "!="]),
            pick(rng, &["ok", "error", "unset"])
        ),
        3 => format!(
            "kind {} {}",
            pick(rng, &["=", "!="]),
            pick(rng, &["server", "client", "internal", "unspecified"])
        ),
        4 => format!(
            "{} {} {}",
            pick(rng, &["duration", "trace:duration"]),
            pick(rng, ORDERINGS),
            pick(rng, DURATIONS)
        ),
        5 | 6 => format!(
            "{} {} {}",
            pick(rng, TEXTS),
            pick(rng, EQUALITIES),
            quoted(rng, STRINGS)
        ),
        7 => {
            let pattern = pick(
                rng,
                &[
                    ".*",
                    "x.*",
                    "[xy]+",
                    "",
                    "(?i)x",
                    "^x$",
                    "gr.*e",
                    "line.break",
                    "nothing",
                ],
            );
            format!(
                "{} {} \"{pattern}\"",
                pick(rng, TEXTS),
                pick(rng, &["=~", "!~"])
            )
        }
        8 => format!(
            "{} {} {}",
            pick(rng, &["span.b", ".b", "span.mixed"]),
            pick(rng, &["=", "!="]),
            pick(rng, &["true", "false"])
        ),
        9 => format!(
            "{} {} {}",
            pick(rng, ATTRIBUTES),
            pick(rng, &["=", "!="]),
            literal(rng)
        ),
        10 => pick(rng, CONSTANTS_OF_TRACES).to_owned(),
        11 => format!(
            "{} {} {}",
            number(rng),
            pick(rng, ORDERINGS),
            pick(rng, NUMBERS)
        ),
        12 => {
            let sum = format!(
                "{} {} {}",
                pick(rng, NUMBERS),
                pick(rng, &["+", "-", "*", "^"]),
                number(rng)
            );
            format!("{sum} {} {}", pick(rng, ORDERINGS), number(rng))
        }
        _ => format!(
            "{} {} {}",
            pick(rng, NUMBERS),
            pick(rng, ORDERINGS),
            number(rng)
        ),
    }
}

fn literal(rng: &mut ChaCha8Rng) -> String {
    match rng.random_range(0..4) {
        0 => quoted(rng, STRINGS),
        1 => pick(rng, &["true", "false"]).to_owned(),
        2 => pick(rng, DURATIONS).to_owned(),
        _ => number(rng),
    }
}

fn number(rng: &mut ChaCha8Rng) -> String {
    pick(
        rng,
        &[
            "-3", "0", "1", "2", "3", "5", "7", "100", "0.5", "1.5", "2.0", "-2.5", "1ns", "2s",
            "maxInt",
        ],
    )
    .to_owned()
}

/// A string literal of the language.
fn quoted(rng: &mut ChaCha8Rng, texts: &[&'static str]) -> String {
    let text = pick(rng, texts)
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n");
    format!("\"{text}\"")
}

fn aggregated(rng: &mut ChaCha8Rng) -> &'static str {
    pick(rng, AGGREGATED)
}

fn pick(rng: &mut ChaCha8Rng, texts: &[&'static str]) -> &'static str {
    texts.choose(rng).expect("not empty")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::generate::{nasty_grid, nasty_traces};
    use crate::reference::{EvalError, is_span_local, metrics, select_spans};

    #[test]
    fn queries_are_valid_varied_and_mostly_succeed() {
        let traces = nasty_traces(5, 60);
        let (mut texts, mut failed, mut empty) = (HashSet::new(), 0, 0);
        for seed in 0..400 {
            let text = random_query(seed);
            let query = traceql::compile(&text).expect("random queries are valid");
            assert!(is_span_local(&query), "{text}");
            match metrics(&query, &traces, nasty_grid()) {
                Ok(series) => empty += usize::from(series.is_empty()),
                Err(EvalError::Runtime(_)) => failed += 1,
                Err(other) => panic!("{text}: {other}"),
            }
            texts.insert(text);
        }
        assert!(texts.len() > 350, "{} different queries", texts.len());
        assert!((1..60).contains(&failed), "{failed} queries fail");
        assert!(empty < 200, "{empty} queries find nothing");
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
