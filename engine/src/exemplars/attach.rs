//! Exemplars beside finished series.

use hashbrown::HashSet;
use traceql::ast::{MetricsAggregate, MetricsFunction, MetricsStage};

use super::Exemplar;
use super::candidate::{Chosen, ShownSpan};
use super::values::bucket;
use crate::aggregate::histogram::bound;
use crate::plan::MetricsPlan;
use crate::series::{Label, LabelValue, SeriesSet, label_order, satisfies_filters};
use crate::spanset::number::Number;

/// The exemplars of each of the series, which are the answer to the query, in order of time: those of the
/// chosen spans that were read, one of a trace, and those first that were chosen first.
///
/// A span is left out where its series has no sample in its interval, or its value is not one that the
/// query's filters keep. A span counts for every quantile; it is shown with the one whose sample is
/// nearest to its value.
#[must_use]
pub fn attach(chosen: &[Chosen], plan: &MetricsPlan, set: &SeriesSet) -> Vec<Vec<Exemplar>> {
    let mut attached = vec![Vec::new(); set.series.len()];
    let MetricsStage::Aggregate(aggregate) = &plan.stage else {
        return attached;
    };
    let scale = if plan.aggregates_duration() { 1e9 } else { 1.0 };
    let mut traces = HashSet::new();
    for chosen in chosen {
        let Some(shown) = chosen.shown() else {
            continue;
        };
        let of_span = chosen.candidate.value;
        let Some(interval) = set.grid.interval_of(shown.start_ns) else {
            continue;
        };
        let place = place(aggregate, set, interval, shown, (of_span, scale));
        let Some((series, sample)) = place else {
            continue;
        };
        let value = if has_value(&aggregate.function) {
            of_span.as_float() / scale
        } else {
            sample
        };
        if satisfies_filters(value, &plan.second_stages) && traces.insert(shown.trace_id) {
            attached[series].push(Exemplar {
                start_ns: shown.start_ns,
                trace_id: shown.trace_id,
                span_id: shown.span_id,
                value,
                attributes: shown.attributes.clone(),
            });
        }
    }
    for exemplars in &mut attached {
        exemplars.sort_by_key(|exemplar| (exemplar.start_ns, exemplar.trace_id, exemplar.span_id));
    }
    attached
}

/// Whether a span is at its own value, and not at that of its series.
const fn has_value(function: &MetricsFunction) -> bool {
    !matches!(
        function,
        MetricsFunction::Rate | MetricsFunction::CountOverTime | MetricsFunction::HistogramOverTime
    )
}

/// The series that a span is shown with, and its sample in the span's interval.
fn place(
    aggregate: &MetricsAggregate,
    set: &SeriesSet,
    interval: u32,
    shown: &ShownSpan,
    (value, scale): (Number, f64),
) -> Option<(usize, f64)> {
    let with = |name: &str, value: f64| {
        let mut labels = shown.labels.clone();
        labels.push(Label {
            name: name.into(),
            value: LabelValue::Float(value),
        });
        find(set, interval, &labels)
    };
    match &aggregate.function {
        MetricsFunction::HistogramOverTime => with("__bucket", bound(bucket(value)?) / scale),
        MetricsFunction::QuantileOverTime { quantiles } => {
            let value = value.as_float() / scale;
            let distance = |&(_, sample): &(usize, f64)| (sample - value).abs();
            let found = quantiles.iter().filter_map(|q| with("p", *q));
            found.min_by(|a, b| distance(a).total_cmp(&distance(b)))
        }
        _ => find(set, interval, &shown.labels),
    }
}

/// The series with these labels, and its sample; none if there is no sample.
fn find(set: &SeriesSet, interval: u32, labels: &[Label]) -> Option<(usize, f64)> {
    let series = &set.series;
    let found = series.binary_search_by(|series| label_order(&series.labels, labels));
    let found = found.ok()?;
    let sample = series[found].values.get(usize::try_from(interval).ok()?)?;
    (!sample.is_nan()).then_some((found, sample))
}
