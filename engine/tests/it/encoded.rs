//! Aggregation and comparison over encoded columns answer as the general path does, to the last bit.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use engine::{Grid, Slice};
use hashbrown::HashSet;
use storage::block::WriteOptions;
use storage::model::SpanGroup;
use testkit::corpus::CorpusFile;
use testkit::generate::{nasty_grid, random_comparison, random_span_local_query};
use testkit::testdata::samples;

use crate::cuts::bits;
use crate::differential::{check_all, traces};
use crate::support::{Bench, block_on, grid};

/// Many pages, which end in other rows in every row group.
const SMALL: WriteOptions = WriteOptions {
    row_group_rows: 60,
    page_rows: 7,
    zstd_level: 1,
};

const QUERIES: [&str; 16] = [
    "{} | count_over_time()",
    "{ status = error } | rate() by (resource.service.name)",
    "{ resource.service.name =~ \"f.*\" } | rate() by (span.http.status_code)",
    "{ duration > 1ms && span.http.status_code >= 200 } | rate() by (name, kind)",
    "{ duration < 1ms } | quantile_over_time(duration, .5, .99) by (resource.service.name)",
    "{} | histogram_over_time(duration) by (span.http.method)",
    "{} | avg_over_time(span.http.status_code) by (name)",
    "{ kind = server } | max_over_time(duration) by (span.does.not.exist)",
    "{ span.http.status_code = nil } | min_over_time(duration)",
    "{ name != \"\" } | sum_over_time(duration) by (span.http.status_code, status)",
    "{} | count_over_time() by (span:childCount)",
    "{ trace:id = \"0\" } | rate()",
    "{ duration > 3s && kind = server } | rate() by (name)",
    "{} | compare({ status = error }, 3)",
    "{ kind = server } | compare({ duration > 1ms && resource.service.name != \"cart\" })",
    "{ duration > 1ms } | compare({})",
];

/// Which traces of a block are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Traces {
    All,
    /// Every other one, as where the rest lies in several blocks.
    EveryOther,
}

async fn check(
    query: &str,
    over: Grid,
    (groups, read): (&[SpanGroup], Traces),
    options: &WriteOptions,
) -> Result<(), String> {
    let mut bench = Bench::new();
    let mut slices = bench.written(groups, options).await;
    if read == Traces::EveryOther {
        let spans = groups.iter().flat_map(|group| &group.spans);
        let ids: BTreeSet<_> = spans.map(|span| span.trace_id).collect();
        let without: Arc<HashSet<_>> = Arc::new(ids.into_iter().step_by(2).collect());
        let rest = slices.into_iter().map(|slice| Slice::Rest {
            slice: Box::new(slice),
            without: Arc::clone(&without),
        });
        slices = rest.collect();
    }
    let general = bench.general().run(query, over, slices.clone()).await;
    let encoded = bench.run(query, over, slices).await;
    match (general, encoded) {
        (Ok(general), Ok(encoded)) if bits(&general) == bits(&encoded) => Ok(()),
        (Err(general), Err(encoded)) if general.to_string() == encoded.to_string() => Ok(()),
        (general, encoded) => Err(format!("{encoded:?} instead of {general:?}")),
    }
}

#[test]
fn random_queries_have_one_answer() {
    check_random(random_span_local_query);
}

#[test]
fn random_comparisons_have_one_answer() {
    check_random(random_comparison);
}

fn check_random(write: fn(u64) -> String) {
    check_all(write, |seed, text| {
        let groups = traces(seed);
        let mut over = grid(nasty_grid());
        // Whole seconds are read from another column.
        if seed.is_multiple_of(2) {
            const SECOND_NS: i64 = 1_000_000_000;
            over.start_ns = over.start_ns / SECOND_NS * SECOND_NS;
            over.step_ns = (over.step_ns / SECOND_NS + 1) * SECOND_NS;
        }
        let read = if seed.is_multiple_of(3) {
            Traces::EveryOther
        } else {
            Traces::All
        };
        block_on(check(text, over, (&groups, read), &SMALL))
    });
}

#[test]
fn recorded_spans_have_one_answer() {
    let options = WriteOptions {
        row_group_rows: 30_000,
        page_rows: 3_000,
        ..SMALL
    };
    let samples = samples().expect("the samples are in the repository");
    for sample in samples
        .iter()
        .filter(|sample| sample.name.contains("oteldemo"))
    {
        let groups = sample.load().expect("a sample loads");
        let starts = groups.iter().flat_map(|g| &g.spans).map(|s| s.start_ns);
        let first = starts.clone().min().expect("spans");
        let last = starts.max().expect("spans");
        // All of the time that the spans take, and a part of it.
        let part = first + (last - first) / 3;
        for (step_ns, last) in [
            (1_000_000_000, last),
            (333_333_333, last),
            (7_000_000, part),
        ] {
            let over = Grid::aligned(first, last, step_ns).expect("a grid");
            for query in QUERIES {
                let checked = block_on(check(query, over, (&groups, Traces::All), &options));
                checked.unwrap_or_else(|error| panic!("{query}, step {step_ns} ns: {error}"));
            }
        }
    }
}

#[test]
fn pages_that_cannot_match_are_left_out() {
    // Four pages of ten spans that start one second after another; the last two have long ones.
    let trace = |at: u64| {
        let duration = if at <= 20 { "1s" } else { "2s" };
        format!("trace {at}\n  a/span @{at}s +{duration}\n")
    };
    let text: String = (1..=40).map(trace).collect();
    let file = CorpusFile::parse(Path::new("spans"), &text).expect("the spans parse");
    let options = WriteOptions {
        row_group_rows: 1000,
        page_rows: 10,
        ..SMALL
    };
    const SECOND_NS: i64 = 1_000_000_000;
    block_on(async {
        let mut bench = Bench::new();
        let slices = bench.written(&file.groups, &options).await;
        let slice: &Slice = slices.first().expect("a block with spans");
        for (query, last_s, rows) in [
            ("{} | rate()", 40, Some(40)),
            ("{} | rate()", 13, Some(20)),
            ("{ duration > 1s } | rate()", 40, Some(20)),
            (
                "{ duration > 1s && name = \"span\" } | rate()",
                30,
                Some(10),
            ),
            ("{ duration > 2s } | rate()", 40, None),
        ] {
            let over = Grid::aligned(SECOND_NS, last_s * SECOND_NS, SECOND_NS).expect("a grid");
            let plan = bench.explain(query, over, slice.clone()).await;
            let read = rows.map(|rows| format!(" {rows} rows of row group 0"));
            let as_expected = read.map_or(!plan.contains("row group"), |read| plan.contains(&read));
            assert!(as_expected, "{query} until {last_s} s\n{plan}");
        }
    });
}

#[test]
fn flat_columns_are_read_encoded_and_others_are_not() {
    let groups = traces(7);
    block_on(async {
        let mut bench = Bench::new();
        let slices = bench.written(&groups, &SMALL).await;
        let slice: &Slice = slices.first().expect("a block with spans");
        let over = grid(nasty_grid());
        for (query, encoded) in [
            (
                "{ status = error } | rate() by (resource.service.name)",
                true,
            ),
            (
                "{ nestedSetParent < 0 && true && status = error } | rate()",
                true,
            ),
            ("{ kind = client } | compare({ status = error })", true),
            ("{ event:name = \"x\" } | rate()", false),
            ("{} >> {} | rate()", false),
            ("{} | compare({ event:name = \"x\" })", false),
        ] {
            let plan = bench.explain(query, over, slice.clone()).await;
            assert_eq!(plan.starts_with("Encoded"), encoded, "{query}\n{plan}");
            let rest = Slice::Rest {
                slice: Box::new(slice.clone()),
                without: Arc::default(),
            };
            let plan = bench.explain(query, over, rest).await;
            assert_eq!(plan.starts_with("Encoded"), encoded, "{query}\n{plan}");
            let plan = bench.general().explain(query, over, slice.clone()).await;
            assert!(!plan.starts_with("Encoded"), "{query}\n{plan}");
        }
    });
}
