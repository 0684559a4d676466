//! Which queries come to the same partial states over the same spans.

use sha2::{Digest, Sha256};
use storage::ids::TraceId;
use traceql::ast::{Body, MetricsFunction, MetricsQuery, MetricsStage, Query};

/// Tells apart what partial states depend on. SHA-256, so that equal fingerprints mean equal things,
/// even where someone chooses the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Of a metrics query: its canonical text and its dialect, without what is applied to finished
    /// series only. So `rate()` and `count_over_time()` have the same, and so have different
    /// quantiles of one attribute.
    pub(crate) fn of_query(query: &Query, metrics: &MetricsQuery, log2_quantiles: bool) -> Self {
        let mut metrics = metrics.clone();
        metrics.second_stages.clear();
        match &mut metrics.stage {
            MetricsStage::Aggregate(aggregate) => match &mut aggregate.function {
                function @ MetricsFunction::Rate => *function = MetricsFunction::CountOverTime,
                function @ MetricsFunction::AvgOverTime => *function = MetricsFunction::SumOverTime,
                MetricsFunction::QuantileOverTime { quantiles } => quantiles.clear(),
                MetricsFunction::CountOverTime
                | MetricsFunction::MinOverTime
                | MetricsFunction::MaxOverTime
                | MetricsFunction::SumOverTime
                | MetricsFunction::HistogramOverTime => {}
            },
            MetricsStage::Compare(compare) => compare.top_n = 0,
        }
        let text = Query {
            dialect: query.dialect,
            body: Body::Metrics(metrics),
            hints: Vec::new(),
        };
        let all = format!("{:?} {log2_quantiles} {text}", query.dialect);
        Self(Sha256::digest(all).into())
    }

    /// Of a set of traces, in any order.
    pub(crate) fn of_traces<'a>(traces: impl IntoIterator<Item = &'a TraceId>) -> Self {
        let mut ids: Vec<&TraceId> = traces.into_iter().collect();
        ids.sort_unstable();
        ids.dedup();
        let mut hash = Sha256::new();
        for id in ids {
            hash.update(id.0);
        }
        Self(hash.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SeriesPlan;
    use traceql::Dialect;

    fn of(dialect: Dialect, text: &str) -> Fingerprint {
        let query = traceql::compile_with(text, &dialect.into()).expect("the query compiles");
        let plan = SeriesPlan::analyse(&query).expect("a metrics query");
        plan.operands()[0].fingerprint
    }

    #[test]
    fn queries_share_states_only_where_those_are_the_same() {
        // Each line is one fingerprint.
        let lines: [&[&str]; 13] = [
            &[
                "{} | rate()",
                "{ } | count_over_time()",
                "{} | rate() | topk(3)",
                "{} | rate() with(exemplars=7)",
            ],
            &["{} | rate() by (name)", "{}|count_over_time()by(name) > 3"],
            &["{} | rate() by (name, kind)"],
            &["{} | rate() by (kind, name)"],
            &[
                "{} | sum_over_time(duration)",
                "{} | avg_over_time(duration)",
            ],
            &["{} | min_over_time(duration)"],
            &["{} | max_over_time(duration)"],
            &[
                "{} | quantile_over_time(duration, .5)",
                "{} | quantile_over_time(duration, .9, .99)",
            ],
            &["{} | quantile_over_time(duration, .5) with(quantile=\"log2\")"],
            &["{} | histogram_over_time(duration)"],
            &["{ status = error } | rate()"],
            &[
                "{} | compare({ status = error })",
                "{} | compare({ status = error }, 3)",
            ],
            &["{} | compare({ status = error }, 10, 5, 6)"],
        ];
        let mut seen = Vec::new();
        for line in lines {
            let first = of(Dialect::default(), line[0]);
            for text in line {
                assert_eq!(of(Dialect::default(), text), first, "{text}");
            }
            assert!(!seen.contains(&first), "{line:?}");
            seen.push(first);
        }
        assert_ne!(
            of(Dialect::Tempo, "{} | rate()"),
            of(Dialect::Spandrel, "{} | rate()")
        );
    }

    #[test]
    fn sets_of_traces_have_no_order() {
        let id = |byte| TraceId([byte; 16]);
        let of = |ids: &[TraceId]| Fingerprint::of_traces(ids);
        assert_eq!(of(&[id(1), id(2)]), of(&[id(2), id(1), id(2)]));
        assert_ne!(of(&[id(1)]), of(&[id(1), id(2)]));
        assert_ne!(of(&[]), of(&[id(0)]));
    }
}
