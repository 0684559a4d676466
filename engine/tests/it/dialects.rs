//! What a query means depends on its dialect.

use std::path::Path;

use storage::model::SpanGroup;
use testkit::corpus::CorpusFile;
use testkit::reference;
use traceql::Dialect;

use crate::recorded::ALWAYS;
use crate::support::{Bench, Layout, as_reference, block_on};

const SPANS: &str = "trace 1\n  a/root @1s +1s two=2 half=0.5\n    a/child @2s +1s two=3\n";

fn spans() -> Vec<SpanGroup> {
    let file = CorpusFile::parse(Path::new("spans"), SPANS);
    file.expect("the spans parse").groups
}

/// How many spans a filter selects, by the engine and by the reference.
fn counts(dialect: Dialect, filter: &str) -> (f64, f64) {
    let groups = spans();
    let query = format!("{{ {filter} }} | count_over_time()");
    let compiled = traceql::compile_with(&query, &dialect.into()).expect("the query compiles");
    let always = reference::Grid::instant(ALWAYS.start_ns, ALWAYS.end_ns());
    let expected = reference::metrics(&compiled, &groups, always).expect("an answer");
    let answer = block_on(async {
        let mut bench = Bench::new();
        let slices = bench.lay_out(&groups, Layout::Stored).await;
        bench.run_in(dialect, &query, ALWAYS, slices).await
    });
    let answer = as_reference(&answer.expect("an answer"));
    let count = |series: &[reference::RefSeries]| {
        let values = series.iter().flat_map(|series| &series.values);
        values.flatten().sum()
    };
    (count(&answer), count(&expected))
}

#[test]
fn an_integer_power_has_its_operands_swapped_in_one() {
    for (filter, spandrel, tempo) in [
        ("span.two ^ 3 = 8", 1.0, 0.0),
        ("span.two ^ 3 = 9", 0.0, 1.0),
        ("3 ^ span.two = 9", 1.0, 0.0),
        ("3 ^ span.two = 8", 0.0, 1.0),
        ("span.two ^ 3.0 = 8", 1.0, 1.0),
        ("span.two ^ span.two > 3", 2.0, 2.0),
        ("span.two ^ -1 = 0", 2.0, 0.0),
        ("span.half ^ 2 = 0.25", 1.0, 1.0),
    ] {
        for (dialect, expected) in [(Dialect::Spandrel, spandrel), (Dialect::Tempo, tempo)] {
            assert_eq!(
                counts(dialect, filter),
                (expected, expected),
                "{dialect}: {filter}"
            );
        }
    }
}

/// Tempo lets a metric be grouped by attributes of the parent, and takes all of them as absent.
#[test]
fn the_parent_span_is_looked_at_in_one() {
    let groups = spans();
    for (dialect, expected) in [(Dialect::Spandrel, 2), (Dialect::Tempo, 1)] {
        let answer = block_on(async {
            let mut bench = Bench::new();
            let slices = bench.lay_out(&groups, Layout::Stored).await;
            let query = "{ } | count_over_time() by (parent.two)";
            bench.run_in(dialect, query, ALWAYS, slices).await
        });
        assert_eq!(
            answer.expect("an answer").series.len(),
            expected,
            "{dialect}"
        );
    }
}
