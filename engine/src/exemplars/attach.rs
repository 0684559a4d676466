//! Exemplars beside finished series.

use traceql::ast::{MetricsFunction, MetricsStage};

use super::select::Candidate;
use super::{Content, Exemplar, PartialExemplars};
use crate::plan::MetricsPlan;
use crate::series::{Label, LabelValue, SeriesSet, label_order, satisfies_filters};

impl PartialExemplars {
    /// The exemplars of each of the series, which are the answer to the query, in order of time.
    ///
    /// A span is left out where its series has no sample in its interval, or its value is not one
    /// that the query's filters keep. A span counts for every quantile; it is shown with the one
    /// whose sample is nearest to its value.
    #[must_use]
    pub fn attach(self, plan: &MetricsPlan, set: &SeriesSet) -> Vec<Vec<Exemplar>> {
        let mut attached = vec![Vec::new(); set.series.len()];
        for Candidate { key, content } in self.chosen.finish() {
            let Some(interval) = set.grid.interval_of(key.start_ns) else {
                continue;
            };
            let Some((series, sample)) = place(plan, set, interval, &content) else {
                continue;
            };
            let value = content.value.unwrap_or(sample);
            if satisfies_filters(value, &plan.second_stages) {
                attached[series].push(Exemplar {
                    start_ns: key.start_ns,
                    trace_id: key.trace_id,
                    span_id: key.span_id,
                    value,
                    attributes: content.attributes,
                });
            }
        }
        attached
    }
}

/// The series that a span is shown with, and its sample in the span's interval.
fn place(
    plan: &MetricsPlan,
    set: &SeriesSet,
    interval: u32,
    content: &Content,
) -> Option<(usize, f64)> {
    let MetricsStage::Aggregate(aggregate) = &plan.stage else {
        return None;
    };
    let MetricsFunction::QuantileOverTime { quantiles } = &aggregate.function else {
        return find(set, interval, &content.labels);
    };
    let value = content.value?;
    let of_quantile = |q: &f64| {
        let mut labels = content.labels.clone();
        labels.push(Label {
            name: "p".into(),
            value: LabelValue::Float(*q),
        });
        find(set, interval, &labels)
    };
    let distance = |&(_, sample): &(usize, f64)| (sample - value).abs();
    let found = quantiles.iter().filter_map(of_quantile);
    found.min_by(|a, b| distance(a).total_cmp(&distance(b)))
}

/// The series with these labels, and its sample; none if there is no sample.
fn find(set: &SeriesSet, interval: u32, labels: &[Label]) -> Option<(usize, f64)> {
    let series = &set.series;
    let found = series.binary_search_by(|series| label_order(&series.labels, labels));
    let found = found.ok()?;
    let sample = series[found].values.get(usize::try_from(interval).ok()?)?;
    (!sample.is_nan()).then_some((found, sample))
}
