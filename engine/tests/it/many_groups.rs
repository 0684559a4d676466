//! More groups than one thread makes series of: the same answers, to the last corner.

use storage::ids::{SpanId, TraceId};
use storage::model::{AnyValue, Attribute, InstrumentationScope, Resource, Span, SpanGroup};
use testkit::compare::{Tolerance, compare_series};
use testkit::reference::{self, metrics};

use crate::support::{Bench, Layout, as_reference, block_on, grid};

/// More than are worth the other threads.
const USERS: u64 = 5_000;
const SECOND: i64 = 1_000_000_000;
const OVER: reference::Grid = reference::Grid {
    start_ns: 1_700_000_000 * SECOND,
    step_ns: 10 * SECOND,
    intervals: 6,
};

const QUERIES: [&str; 7] = [
    "{} | rate() by (span.user)",
    "{} | avg_over_time(duration) by (span.user)",
    "{} | max_over_time(duration) by (span.user, kind)",
    "{ span.user != \"u17\" } | quantile_over_time(duration, .5, .9) by (span.user)",
    "{} | histogram_over_time(duration) by (span.user)",
    "{} | count_over_time() by (span.user) | topk(7)",
    "({ kind = server } | rate() by (span.user)) / ({} | rate() by (span.user))",
];

/// Two spans of most users, in other intervals, and one without a user now and then.
fn spans() -> Vec<SpanGroup> {
    let span = |number: u64| {
        // Each is there twice, and neighbours are far from each other in time.
        let place = i64::try_from(number * 7919 % (2 * USERS)).expect("few spans");
        let start_ns = OVER.start_ns + place * 60 * SECOND / 10_000;
        let user = AnyValue::String(format!("u{}", number % USERS));
        let attribute = Attribute {
            key: "user".into(),
            value: user,
        };
        let mut span_id = [0; 8];
        span_id.copy_from_slice(&(number + 1).to_be_bytes());
        Span {
            trace_id: TraceId(u128::from(number / 3 + 1).to_be_bytes()),
            span_id: SpanId(span_id),
            name: "work".into(),
            kind: i32::try_from(2 + number % 2).expect("a kind"),
            start_ns,
            end_ns: start_ns + 1_000_000 * (1 + place % 97),
            attributes: if number.is_multiple_of(401) {
                vec![]
            } else {
                vec![attribute]
            },
            ..Span::default()
        }
    };
    vec![SpanGroup {
        resource: Resource::default().into(),
        scope: InstrumentationScope::default().into(),
        spans: (0..2 * USERS).map(span).collect(),
    }]
}

#[test]
fn answers_are_those_of_the_reference_however_spans_are_cut() {
    let groups = spans();
    let compiled = QUERIES.map(|query| traceql::compile(query).expect("the query compiles"));
    let expected = compiled.each_ref().map(|query| {
        let expected = metrics(query, &groups, OVER);
        expected.expect("the reference answers")
    });
    for layout in [Layout::Live, Layout::Stored, Layout::Pieces] {
        let mut bench = Bench::new();
        let slices = block_on(bench.lay_out_in(&groups, layout, 3_000));
        for (query, (compiled, expected)) in QUERIES.iter().zip(compiled.iter().zip(&expected)) {
            let answer = block_on(bench.answer(compiled, grid(OVER), slices.clone()));
            let answer = answer.unwrap_or_else(|error| panic!("{query}, {layout:?}: {error}"));
            let tolerance = if query.contains("quantile") {
                Tolerance::SKETCH
            } else {
                Tolerance::ROUNDING
            };
            if let Err(reason) = compare_series(expected, &as_reference(&answer), tolerance) {
                panic!("{query}, {layout:?}: {reason}");
            }
            let in_order = answer.series.is_sorted_by(|a, b| a.order(b).is_le());
            assert!(in_order, "{query}, {layout:?}");
        }
    }
}
