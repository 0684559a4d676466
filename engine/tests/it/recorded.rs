//! Recorded traces give the counts that were computed for them by other means.

use engine::{Grid, LabelValue};
use testkit::testdata::samples;

use crate::support::{Bench, block_on};

/// All of time, as far as the recordings go.
pub(crate) const ALWAYS: Grid = Grid {
    start_ns: -1,
    step_ns: 2_000_000_000_000_000_000,
    intervals: 1,
};

#[test]
fn span_counts_are_the_stated_ones() {
    for sample in samples().expect("the samples are in the repository") {
        let groups = sample.load().expect("a sample loads");
        let facts = sample.facts().expect("a sample has facts");
        block_on(async {
            let mut bench = Bench::new();
            let stored = bench.stored(&groups, 400).await;
            let live = bench.live(&groups);
            for (fact, _) in facts.span_local_queries() {
                let query = format!("{} | count_over_time()", fact.traceql);
                for slices in [&live, &stored] {
                    let answer = bench
                        .run(&query, ALWAYS, slices.clone())
                        .await
                        .expect("a count");
                    let count = answer
                        .series
                        .first()
                        .map_or(0.0, |series| series.values.get(0).expect("one interval"));
                    assert_eq!(count, fact.spans as f64, "{query}");
                }
            }
        });
    }
}

#[test]
fn per_service_numbers_are_the_stated_ones() {
    for sample in samples().expect("the samples are in the repository") {
        let groups = sample.load().expect("a sample loads");
        let facts = sample.facts().expect("a sample has facts");
        block_on(async {
            let mut bench = Bench::new();
            let slices = bench.stored(&groups, 400).await;
            let by = "by (resource.service.name)";
            let quantiles = format!("{{}} | quantile_over_time(duration, .5, .9, .99) {by}");
            let quantiles = bench
                .run(&quantiles, ALWAYS, slices.clone())
                .await
                .expect("quantiles");
            let maxima = bench
                .run(
                    &format!("{{}} | max_over_time(duration) {by}"),
                    ALWAYS,
                    slices.clone(),
                )
                .await
                .expect("maxima");
            let sums = bench
                .run(
                    &format!("{{}} | sum_over_time(duration) {by}"),
                    ALWAYS,
                    slices.clone(),
                )
                .await
                .expect("sums");
            for (name, service) in &facts.services {
                let shown = if name == "(none)" { "" } else { name };
                let is_service = |value: &LabelValue| *value == LabelValue::String(shown.into());
                let only = |set: &engine::SeriesSet| {
                    set.series
                        .iter()
                        .find(|s| is_service(&s.labels[0].value))
                        .map(|s| s.values.get(0).expect("one interval"))
                        .expect("the service has a series")
                };
                let stated = &service.duration_ns;
                assert_eq!(only(&maxima), stated.max as f64 / 1e9, "{name}");
                assert_eq!(only(&sums), stated.sum as f64 / 1e9, "{name}");
                for (p, exact) in [(0.5, stated.p50), (0.9, stated.p90), (0.99, stated.p99)] {
                    let series = quantiles.series.iter().find(|s| {
                        is_service(&s.labels[0].value) && s.labels[1].value == LabelValue::Float(p)
                    });
                    let value = series
                        .expect("the service has a quantile")
                        .values
                        .get(0)
                        .expect("one interval");
                    let exact = exact as f64 / 1e9;
                    assert!(
                        (value - exact).abs() <= 0.01 * exact,
                        "{name} p{p}: {value} {exact}"
                    );
                }
            }
        });
    }
}
