//! Random conditions on spans.

use rand::Rng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

use super::nasty::{EVENT_NAMES, SERVICE_NAMES, SPAN_NAMES, STRINGS};
use super::query_words::{
    ATTRIBUTES, CONSTANTS_OF_TRACES, DURATIONS, EQUALITIES, NULLABLE, NUMBERS, ORDERINGS, PARENTS,
    SIMPLE, TEXTS,
};

/// A spanset filter.
pub(super) fn filter(rng: &mut ChaCha8Rng) -> String {
    if rng.random_bool(0.1) {
        "{ }".to_owned()
    } else {
        format!("{{ {} }}", condition(rng, 3))
    }
}

/// A spanset filter that many spans pass, so that what is made of several is not mostly empty.
pub(super) fn light_filter(rng: &mut ChaCha8Rng) -> String {
    match rng.random_range(0..10) {
        0..=2 => "{ }".to_owned(),
        3..=6 => format!("{{ {} }}", pick(rng, SIMPLE)),
        7 => format!("{{ {} }}", pick(rng, PARENTS)),
        8 => format!("{{ {} || {} }}", pick(rng, SIMPLE), comparison(rng)),
        _ => format!("{{ {} }}", condition(rng, 1)),
    }
}

/// Something Boolean, of at most `depth` levels.
pub(super) fn condition(rng: &mut ChaCha8Rng, depth: u32) -> String {
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

pub(super) fn comparison(rng: &mut ChaCha8Rng) -> String {
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

pub(super) fn number(rng: &mut ChaCha8Rng) -> String {
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

pub(super) fn pick(rng: &mut ChaCha8Rng, texts: &[&'static str]) -> &'static str {
    texts.choose(rng).expect("not empty")
}
