//! The labels of a group's series.

use std::sync::Arc;

use traceql::ast::{MetricsAggregate, MetricsFunction};

use crate::key::{KeyValue, NIL};
use crate::series::{Label, LabelValue};

/// A key of nothing but absence is shown as text, so it is the same series as that of the text.
pub(super) fn show_nil(key: &mut [KeyValue<'_>]) {
    if key.iter().all(|value| *value == KeyValue::Nil)
        && let Some(first) = key.first_mut()
    {
        *first = KeyValue::String(NIL);
    }
}

/// The labels that the series of a span share, by its values of the `by` attributes.
pub(crate) fn base_labels(aggregate: &MetricsAggregate, key: &mut [KeyValue<'_>]) -> Vec<Label> {
    if !has_own_label(&aggregate.function) {
        show_nil(key);
    }
    labels_of(aggregate, &names(aggregate), key.iter().copied(), None)
}

/// The names of the labels of groups.
pub(super) fn names(aggregate: &MetricsAggregate) -> Vec<Arc<str>> {
    let attributes = aggregate.by.iter();
    attributes
        .map(|by| by.attribute.canonical().into())
        .collect()
}

/// The labels that a group's series share, and then the one that a series has of its own.
pub(super) fn labels_of<'k>(
    aggregate: &MetricsAggregate,
    names: &[Arc<str>],
    key: impl Iterator<Item = KeyValue<'k>>,
    own: Option<&Label>,
) -> Vec<Label> {
    let mut labels = Vec::with_capacity(names.len() + usize::from(own.is_some()));
    labels.extend(names.iter().zip(key).filter_map(|(name, value)| {
        let name = Arc::clone(name);
        value.label().map(|value| Label { name, value })
    }));
    if aggregate.by.is_empty() && !has_own_label(&aggregate.function) {
        let value = LabelValue::String(aggregate.function.as_str().into());
        let name = "__name__".into();
        labels.push(Label { name, value });
    }
    labels.extend(own.cloned());
    labels
}

/// Whether a function's series have a label besides those of their group.
pub(super) const fn has_own_label(function: &MetricsFunction) -> bool {
    matches!(
        function,
        MetricsFunction::QuantileOverTime { .. } | MetricsFunction::HistogramOverTime
    )
}
