//! Random pipelines: spanset operators, groups, scalars.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::conditions::{filter, light_filter, pick};
use super::query_words::{EXTREMES, GROUPING, KEYS, ORDERINGS, PARENT_FIELDS, SHOWN, SUMMED};

/// What becomes of what a pipeline selects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// Spans are shown, with the values that they were selected by.
    Search,
    /// Spans are counted.
    Metrics,
}

/// A pipeline, perhaps of one filter.
pub(super) fn pipeline(rng: &mut ChaCha8Rng, usage: Use) -> String {
    let mut stages = Vec::new();
    // The first stage need not be one that selects.
    stages.push(match rng.random_range(0..20) {
        0 => scalar_filter(rng, usage),
        1 => group(rng),
        2 => format!("select({})", pick(rng, SHOWN)),
        3 | 4 => filter(rng),
        5..=8 => spansets(rng, 2),
        _ => spansets(rng, 1),
    });
    for _ in 0..[0, 0, 1, 1, 2, 3][rng.random_range(0..6)] {
        stages.push(match rng.random_range(0..12) {
            0..=3 => scalar_filter(rng, usage),
            4 | 5 => group(rng),
            6 => "coalesce()".to_owned(),
            7 => format!("select({}, {})", pick(rng, SHOWN), pick(rng, SHOWN)),
            8 => light_filter(rng),
            _ => spansets(rng, 1),
        });
    }
    stages.join(" | ")
}

/// Pipelines in parentheses, joined by spanset operators. The first one has to be more than filters.
pub(super) fn pipeline_expr(rng: &mut ChaCha8Rng) -> String {
    let first = if rng.random_bool(0.7) {
        format!("{} | {}", spansets(rng, 1), scalar_filter(rng, Use::Search))
    } else {
        // Several groups on a side of a relation fail.
        format!(
            "{} | by({}) | coalesce()",
            light_filter(rng),
            pick(rng, KEYS)
        )
    };
    let mut text = format!(
        "({first}) {} ({})",
        operator(rng),
        pipeline(rng, Use::Search)
    );
    if rng.random_bool(0.3) {
        text = format!("({text}) {} ({})", operator(rng), light_filter(rng));
    }
    text
}

/// Scalars of pipelines in parentheses, compared.
pub(super) fn scalar_pipeline_filter(rng: &mut ChaCha8Rng) -> String {
    let (lhs, rhs) = (scalar_pipeline(rng), scalar_pipeline(rng));
    let op = pick(rng, ORDERINGS);
    match rng.random_range(0..3) {
        0 => format!("{lhs} {op} {rhs}"),
        1 => format!("{lhs} {} {rhs} {op} 1", pick(rng, &["+", "-", "*"])),
        _ => format!("{lhs} {op} {}", pick(rng, &["0", "1", "2", "10ms"])),
    }
}

fn scalar_pipeline(rng: &mut ChaCha8Rng) -> String {
    let aggregate = aggregate(rng, Use::Search);
    format!("({} | {aggregate})", spansets(rng, 1))
}

/// Filters joined by spanset operators, of at most `depth` levels.
fn spansets(rng: &mut ChaCha8Rng, depth: u32) -> String {
    if depth == 0 || rng.random_bool(0.25) {
        return light_filter(rng);
    }
    let (lhs, rhs) = (spansets(rng, depth - 1), spansets(rng, depth - 1));
    let operand = |rng: &mut ChaCha8Rng, text: String| {
        // Without parentheses precedence decides what belongs together.
        if rng.random_bool(0.6) && !text.starts_with("{ }") {
            format!("({text})")
        } else {
            text
        }
    };
    let (lhs, op, rhs) = (operand(rng, lhs), operator(rng), operand(rng, rhs));
    format!("{lhs} {op} {rhs}")
}

fn operator(rng: &mut ChaCha8Rng) -> String {
    match rng.random_range(0..10) {
        0 | 1 => "&&".to_owned(),
        2 => "||".to_owned(),
        _ => {
            let form = pick(rng, &["", "", "", "!", "&"]);
            let relation = pick(rng, &[">", "<", ">>", "<<", "~"]);
            format!("{form}{relation}")
        }
    }
}

fn group(rng: &mut ChaCha8Rng) -> String {
    let key = match rng.random_range(0..3) {
        0 => pick(rng, GROUPING),
        1 => pick(rng, KEYS),
        _ => pick(rng, PARENT_FIELDS),
    };
    format!("by({key})")
}

/// A comparison of scalars, which often holds.
fn scalar_filter(rng: &mut ChaCha8Rng, usage: Use) -> String {
    match rng.random_range(0..10) {
        0..=2 => format!(
            "count() {}",
            pick(
                rng,
                &[
                    "> 0", ">= 1", "> 1", "< 4", "!= 3", "= 1", "<= 2ns", "> 1.5"
                ]
            )
        ),
        3..=5 => format!(
            "{} {} {}",
            aggregate(rng, usage),
            pick(rng, ORDERINGS),
            pick(rng, &["0", "1", "1.5", "-1", "1ms", "100ms", "2s"])
        ),
        6 => pick(
            rng,
            &[
                "count() + 1 > 2",
                "2 < count()",
                "count() % 2 = 0",
                "count() * 2 > 3",
                "7 / count() >= 2",
                "-count() ^ 2 < -1",
                "count() ^ 2 >= 4",
                "2 ^ count() < 9",
            ],
        )
        .to_owned(),
        7 => pick(
            rng,
            &[
                "max(duration) > 2 * min(duration)",
                "max(duration) >= 1.5 * avg(duration)",
                "sum(duration) / count() >= 1ms",
                "sum(span:selfTime) * 2 < sum(duration)",
                "max(span.n) - min(span.n) > 1",
                "max(span:childCount) + 0.5 > avg(span:childCount)",
            ],
        )
        .to_owned(),
        8 => format!("{} != {}", aggregate(rng, usage), aggregate(rng, usage)),
        // Fails where there is one span.
        _ if rng.random_bool(0.1) => "1 / (count() - 1) >= 0".to_owned(),
        _ => format!("{} > -1", aggregate(rng, usage)),
    }
}

fn aggregate(rng: &mut ChaCha8Rng, usage: Use) -> String {
    match rng.random_range(0..5) {
        0 => "count()".to_owned(),
        1 => format!("sum({})", pick(rng, SUMMED)),
        2 => format!("avg({})", pick(rng, SUMMED)),
        _ => {
            let function = pick(rng, &["min", "max"]);
            // Whether an integer or an equal float is shown depends on the order of the spans.
            let values = match usage {
                Use::Search => SUMMED,
                Use::Metrics => EXTREMES,
            };
            format!("{function}({})", pick(rng, values))
        }
    }
}
