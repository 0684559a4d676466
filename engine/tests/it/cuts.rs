//! How spans are cut into blocks, row groups and batches never changes an answer.

use testkit::testdata::samples;

use crate::support::{Bench, block_on, deal};
use engine::{Grid, SeriesSet};

const QUERIES: [&str; 8] = [
    "{} | rate()",
    "{ status = error } | count_over_time() by (resource.service.name)",
    "{} | sum_over_time(duration) by (name)",
    "{} | avg_over_time(duration) by (resource.service.name, kind)",
    "{} | quantile_over_time(duration, .5, .99) by (resource.service.name)",
    "{} | histogram_over_time(duration)",
    "{ span.http.status_code >= 400 } | max_over_time(duration) by (.http.status_code)",
    "{} | count_over_time() by (name) | topk(3)",
];

#[test]
fn answers_do_not_depend_on_the_cut() {
    let samples = samples().expect("the samples are in the repository");
    let sample = samples
        .iter()
        .find(|s| s.name.contains("oteldemo"))
        .expect("a sample of the demo");
    let groups = sample.load().expect("a sample loads");
    let starts = groups.iter().flat_map(|g| &g.spans).map(|s| s.start_ns);
    let (first, last) = (
        starts.clone().min().expect("spans"),
        starts.max().expect("spans"),
    );
    for step_ns in [7_000_000_000, 333_333_333] {
        let grid = Grid::aligned(first, last, step_ns).expect("a grid");
        for query in QUERIES {
            block_on(async {
                let mut bench = Bench::new();
                let whole = bench.live(&groups);
                let expected = bench.run(query, grid, whole).await.expect("an answer");
                assert!(!expected.series.is_empty(), "{query}");
                for parts in [1, 3] {
                    let mut slices = Vec::new();
                    for (index, part) in deal(&groups, parts).iter().enumerate() {
                        slices.extend(if index % 2 == 0 {
                            bench.stored(part, 200).await
                        } else {
                            bench.live(part)
                        });
                    }
                    slices.reverse();
                    let answer = bench.run(query, grid, slices).await.expect("an answer");
                    assert_eq!(
                        bits(&answer),
                        bits(&expected),
                        "{query} in {parts} parts, step {step_ns} ns"
                    );
                }
            });
        }
    }
}

pub(crate) fn bits(set: &SeriesSet) -> Vec<(String, Vec<u64>)> {
    let bits = |values: &[f64]| values.iter().map(|value| value.to_bits()).collect();
    set.series
        .iter()
        .map(|series| (format!("{:?}", series.labels), bits(&series.values)))
        .collect()
}
