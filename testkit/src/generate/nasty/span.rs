//! One span, whatever its place in a trace.

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use storage::ids::{SpanId, TraceId};
use storage::model::{Event, Link, Span};

use super::value::{STRINGS, attributes, pick};
use super::window::{INTERVALS, NASTY_STEP_NS, WINDOW_START_NS};

/// Names of spans.
pub(in crate::generate) const SPAN_NAMES: &[&str] = &["root", "GET /", "x", "", "größe", "query"];

/// Names of events.
pub(in crate::generate) const EVENT_NAMES: &[&str] = &["e1", "e2", "exception", ""];

pub(super) fn span(rng: &mut ChaCha8Rng, trace_id: TraceId) -> Span {
    let start_ns = start(rng);
    let end_ns = match rng.random_range(0..12) {
        0 => start_ns,
        1 => start_ns.saturating_sub(1_000_000),
        2 => i64::MAX,
        3 => start_ns + 1,
        _ => {
            start_ns
                + [
                    1_000,
                    1_000_000,
                    1_500_000,
                    2_097_152,
                    100_000_000,
                    1_000_000_000,
                    90_000_000_000,
                ][rng.random_range(0..7)]
        }
    };
    Span {
        trace_id,
        name: pick(rng, SPAN_NAMES),
        // Numbers that OTLP does not define are among them.
        kind: rng.random_range(-1..=6),
        status_code: rng.random_range(-1..=3),
        status_message: if rng.random_bool(0.3) {
            pick(rng, STRINGS)
        } else {
            String::new()
        },
        start_ns,
        end_ns: end_ns.max(0),
        attributes: attributes(rng),
        events: (0..few(rng)).map(|_| event(rng, start_ns)).collect(),
        links: (0..few(rng)).map(|_| link(rng)).collect(),
        ..Span::default()
    }
}

/// On a border of an interval, beside it, within, or far away.
fn start(rng: &mut ChaCha8Rng) -> i64 {
    let border = WINDOW_START_NS + NASTY_STEP_NS * rng.random_range(-1..=INTERVALS as i64 + 1);
    match rng.random_range(0..12) {
        0 => border,
        1 => border + 1,
        2 => border - 1,
        3 => 0,
        _ => WINDOW_START_NS + rng.random_range(0..NASTY_STEP_NS * INTERVALS as i64),
    }
}

/// How many events or links a span has: mostly none.
fn few(rng: &mut ChaCha8Rng) -> usize {
    if rng.random_bool(0.6) {
        0
    } else {
        rng.random_range(1..=3)
    }
}

fn event(rng: &mut ChaCha8Rng, start_ns: i64) -> Event {
    // Some events come before their span.
    let time_ns = (start_ns
        + [0, 1, -1, 5_000_000, -2_000_000_000, 1_000_000_000][rng.random_range(0..6)])
    .max(0);
    Event {
        time_ns,
        name: pick(rng, EVENT_NAMES),
        attributes: attributes(rng),
        ..Event::default()
    }
}

fn link(rng: &mut ChaCha8Rng) -> Link {
    let mut trace_id = [0; 16];
    trace_id[15] = rng.random_range(1..4);
    let span_id = SpanId([0, 0, 0, 0, 0, 0, 0, rng.random_range(1..4)]);
    Link {
        trace_id: TraceId(trace_id),
        span_id,
        attributes: attributes(rng),
        ..Link::default()
    }
}
