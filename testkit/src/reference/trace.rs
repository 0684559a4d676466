//! One trace: its spans in the order received, and what only the whole trace can tell.

use std::collections::HashMap;

use storage::ids::{SpanId, TraceId};
use storage::model::{InstrumentationScope, Resource, Span, SpanGroup};

use super::tree::{Place, places, self_time_ns};
use super::value::Value;

/// A span with what it shares with its group.
#[derive(Debug, Clone, Copy)]
pub struct SpanRef<'a> {
    /// What produced the span.
    pub resource: &'a Resource,
    /// Which library recorded it.
    pub scope: &'a InstrumentationScope,
    /// The span itself.
    pub span: &'a Span,
}

impl SpanRef<'_> {
    /// The `service.name` of the resource; `""` where there is none or it is not a string.
    #[must_use]
    pub fn service_name(&self) -> String {
        match attribute(&self.resource.attributes, "service.name") {
            Value::String(name) => name,
            _ => String::new(),
        }
    }
}

/// All spans of one trace id.
#[derive(Debug)]
pub struct Trace<'a> {
    /// The id.
    pub id: TraceId,
    /// The spans, in the order received.
    pub spans: Vec<SpanRef<'a>>,
    /// Where each span stands in the tree, in the order of `spans`.
    pub places: Vec<Place>,
    /// Earliest start, epoch ns.
    pub start_ns: i64,
    /// Latest end, epoch ns.
    pub end_ns: i64,
    /// Latest end minus earliest start, never negative.
    pub duration_ns: i64,
    /// Name of the last root span; empty if there is none.
    pub root_name: String,
    /// Service of the last root span; empty if there is none.
    pub root_service_name: String,
}

impl<'a> Trace<'a> {
    /// A trace of these spans.
    #[must_use]
    pub fn new(id: TraceId, spans: Vec<SpanRef<'a>>) -> Self {
        let start_ns = spans.iter().map(|it| it.span.start_ns).min().unwrap_or(0);
        let end_ns = spans.iter().map(|it| it.span.end_ns).max().unwrap_or(0);
        let root = spans.iter().rfind(|it| it.span.parent_span_id.is_none());
        Self {
            id,
            start_ns,
            end_ns,
            duration_ns: end_ns.saturating_sub(start_ns).max(0),
            root_name: root.map(|it| it.span.name.clone()).unwrap_or_default(),
            root_service_name: root.map(SpanRef::service_name).unwrap_or_default(),
            places: places(&spans.iter().map(|it| it.span).collect::<Vec<_>>()),
            spans,
        }
    }

    /// The part of the duration of the span at `index` in which none of its children runs.
    #[must_use]
    pub fn self_time_ns(&self, index: usize) -> i64 {
        let spans: Vec<&Span> = self.spans.iter().map(|it| it.span).collect();
        self_time_ns(index, &spans, &self.places)
    }

    /// The id of the span at `index`, in the form in which selections report spans.
    #[must_use]
    pub fn identity(&self, index: usize) -> (TraceId, SpanId) {
        (self.id, self.spans[index].span.span_id)
    }
}

/// Sorts the spans of the groups into traces; traces come in the order of their first span.
#[must_use]
pub fn assemble(groups: &[SpanGroup]) -> Vec<Trace<'_>> {
    let mut index_of: HashMap<TraceId, usize> = HashMap::new();
    let mut traces: Vec<(TraceId, Vec<SpanRef<'_>>)> = Vec::new();
    for group in groups {
        for span in &group.spans {
            let index = *index_of.entry(span.trace_id).or_insert_with(|| {
                traces.push((span.trace_id, Vec::new()));
                traces.len() - 1
            });
            traces[index].1.push(SpanRef {
                resource: &group.resource,
                scope: &group.scope,
                span,
            });
        }
    }
    traces
        .into_iter()
        .map(|(id, spans)| Trace::new(id, spans))
        .collect()
}

/// The value of `key` in an attribute list; of repeated keys the first counts.
#[must_use]
pub fn attribute(attributes: &[storage::model::Attribute], key: &str) -> Value {
    attributes
        .iter()
        .find(|attribute| &*attribute.key == key)
        .map_or(Value::Nil, |attribute| Value::of_any(&attribute.value))
}
