//! How spans are cut into blocks, row groups, pages, batches and jobs never changes an answer.

use std::sync::Arc;

use engine::{Grid, SeriesSet, Slice};
use storage::block::WriteOptions;
use storage::model::SpanGroup;
use testkit::testdata::samples;

use crate::corpora::EVER;
use crate::support::{Bench, block_on, deal};

const QUERIES: [&str; 18] = [
    "{} | rate()",
    "{ status = error } | count_over_time() by (resource.service.name)",
    "{} | sum_over_time(duration) by (name)",
    "{} | avg_over_time(duration) by (resource.service.name, kind)",
    "{} | quantile_over_time(duration, .5, .99) by (resource.service.name)",
    "{} | histogram_over_time(duration)",
    "{ span.http.status_code >= 400 } | max_over_time(duration) by (.http.status_code)",
    "{} | count_over_time() by (name) | topk(3)",
    "{ kind = client } > { kind = server } | count_over_time() by (resource.service.name)",
    "{ status = error } !<< { } | rate()",
    "{ name =~ \".*[Pp]roduct.*\" } &~ { } | count_over_time() by (name)",
    "{ kind = server } && { status = error } | rate() by (rootServiceName)",
    "{} | by(resource.service.name) | count() > 2 | avg_over_time(duration)",
    "{} | max(duration) > 2 * avg(duration) | count_over_time()",
    "{ parent:kind = client } | count_over_time() by (parent.resource.service.name)",
    "{} | sum_over_time(span:selfTime) by (span:childCount)",
    "{} | compare({ status = error }, 5)",
    "({ status = error } | rate()) / ({} | rate())",
];

const SEARCHES: [&str; 5] = [
    "{ status = error }",
    "{ kind = client } >> { kind = server } | select(name, nestedSetLeft, event:name)",
    "{} | by(name) | count() > 3 | select(resource.service.name)",
    "{ } ~ { duration > 0ns }",
    "{ parent = nil && duration > 1ms } | select(span:parentID, traceDuration)",
];

/// Ways to lay out the same spans.
#[derive(Debug, Clone, Copy)]
enum Cut {
    /// In memory, in batches that end inside of traces.
    Batches,
    /// Stored in small row groups, each a job.
    RowGroups,
    /// Stored in small row groups with smaller pages, all of them one job.
    Pages,
    /// Every trace dealt out to three blocks, of which one is in memory; in another order.
    Blocks,
    /// Dealt out to three blocks, some of it twice, and merged.
    Compacted,
    /// Stored, and nothing is pruned.
    Unpruned,
}

impl Cut {
    const ALL: [Self; 6] = [
        Self::Batches,
        Self::RowGroups,
        Self::Pages,
        Self::Blocks,
        Self::Compacted,
        Self::Unpruned,
    ];

    async fn lay_out(self, bench: &mut Bench, groups: &[SpanGroup]) -> Vec<Slice> {
        bench.prune = !matches!(self, Self::Unpruned);
        match self {
            Self::Batches => bench.live_in_batches(groups, 7),
            Self::RowGroups | Self::Unpruned => bench.stored(groups, 100).await,
            Self::Pages => {
                let options = WriteOptions {
                    row_group_rows: 50,
                    page_rows: 11,
                    ..WriteOptions::default()
                };
                bench.stored_as_one_slice(groups, &options).await
            }
            Self::Blocks => {
                let mut slices = Vec::new();
                for (index, part) in deal(groups, 3).iter().enumerate() {
                    slices.extend(if index % 2 == 0 {
                        bench.stored(part, 200).await
                    } else {
                        bench.live(part)
                    });
                }
                slices.reverse();
                slices
            }
            Self::Compacted => bench.compacted(groups, 100).await,
        }
    }
}

fn spans() -> (Vec<SpanGroup>, i64, i64) {
    let samples = samples().expect("the samples are in the repository");
    let sample = samples
        .iter()
        .find(|s| s.name.contains("oteldemo"))
        .expect("a sample of the demo");
    let groups = sample.load().expect("a sample loads");
    let starts = groups.iter().flat_map(|g| &g.spans).map(|s| s.start_ns);
    let first = starts.clone().min().expect("spans");
    let last = starts.max().expect("spans");
    (groups, first, last)
}

#[test]
fn series_do_not_depend_on_the_cut() {
    let (groups, first, last) = spans();
    block_on(async {
        let mut bench = Bench::new();
        let whole = bench.live(&groups);
        let mut expected = Vec::new();
        for (index, query) in QUERIES.into_iter().enumerate() {
            let step_ns = [7_000_000_000, 333_333_333][index % 2];
            let grid = Grid::aligned(first, last, step_ns).expect("a grid");
            let answer = bench.run(query, grid, whole.clone()).await;
            let answer = answer.expect("an answer");
            assert!(!answer.series.is_empty(), "{query}");
            expected.push((query, grid, answer));
        }
        for cut in Cut::ALL {
            let slices = cut.lay_out(&mut bench, &groups).await;
            for (query, grid, expected) in &expected {
                let answer = bench.run(query, *grid, slices.clone()).await;
                let answer = answer.expect("an answer");
                assert_eq!(bits(&answer), bits(expected), "{query}: {cut:?}");
            }
        }
    });
}

#[test]
fn searches_do_not_depend_on_the_cut() {
    let (groups, ..) = spans();
    block_on(async {
        let mut bench = Bench::new();
        let whole = bench.live(&groups);
        let mut expected = Vec::new();
        for query in SEARCHES {
            let found = bench.find(&compiled(query), EVER, 20, whole.clone()).await;
            let found = found.expect("an answer");
            assert!(found.len() > 3, "{query}");
            expected.push((query, found));
        }
        for cut in Cut::ALL {
            let slices = cut.lay_out(&mut bench, &groups).await;
            for (query, expected) in &expected {
                let found = bench.find(&compiled(query), EVER, 20, slices.clone()).await;
                assert_eq!(found.expect("an answer"), *expected, "{query}: {cut:?}");
            }
        }
    });
}

#[test]
fn exemplars_do_not_depend_on_jobs() {
    const EXEMPLIFIED: [&str; 4] = [
        "{ kind = client } > { } | max_over_time(duration) by (name)",
        "{} | rate() by (resource.service.name)",
        "{ status = error } | count_over_time()",
        "{ duration > 1ms } | histogram_over_time(duration)",
    ];
    let (groups, first, last) = spans();
    let grid = Grid::aligned(first, last, 5_000_000_000).expect("a grid");
    let options = WriteOptions {
        row_group_rows: 50,
        page_rows: 11,
        ..WriteOptions::default()
    };
    block_on(async {
        let mut bench = Bench::new();
        let whole = bench.stored_as_one_slice(&groups, &options).await;
        let Some(Slice::Stored { block, row_groups }) = whole.first() else {
            panic!("a stored block");
        };
        assert!(row_groups.len() > 3);
        let of_groups = |row_groups: &[usize]| Slice::Stored {
            block: Arc::clone(block),
            row_groups: row_groups.to_vec(),
        };
        let single: Vec<Slice> = row_groups.chunks(1).map(of_groups).collect();
        let several = row_groups.chunks(2).rev().map(of_groups).collect();
        for query in EXEMPLIFIED {
            let expected = bench.run_with_exemplars(query, grid, 30, whole.clone());
            let expected = expected.await.expect("exemplars").1;
            assert!(expected.iter().any(|of| !of.is_empty()), "{query}");
            for slices in [&single, &several] {
                for bench in [&bench, &bench.general()] {
                    let found = bench.run_with_exemplars(query, grid, 30, slices.clone());
                    assert_eq!(found.await.expect("exemplars").1, expected, "{query}");
                }
            }
        }
    });
}

pub(crate) fn bits(set: &SeriesSet) -> Vec<(String, Vec<u64>)> {
    let bits = |values: &engine::Values| values.iter().map(f64::to_bits).collect();
    set.series
        .iter()
        .map(|series| (format!("{:?}", series.labels), bits(&series.values)))
        .collect()
}

fn compiled(query: &str) -> traceql::Query {
    traceql::compile(query).expect("the query compiles")
}
