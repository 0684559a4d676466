//! Spans as plain values: what comes in over OTLP and goes out again, field by field.
//!
//! No Arrow here. Spans come in groups that share a resource and an instrumentation scope, as they
//! do on the wire, so that what is constant for many spans is kept and encoded once.

use std::sync::Arc;

use crate::ids::{SpanId, TraceId};

/// Spans that share a resource and an instrumentation scope.
#[derive(Debug, Clone, PartialEq)]
pub struct SpanGroup {
    /// What produced the spans.
    pub resource: Arc<Resource>,
    /// Which library recorded them.
    pub scope: Arc<InstrumentationScope>,
    /// The spans, in the order received.
    pub spans: Vec<Span>,
}

/// What produced a span.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Resource {
    /// Attributes, in the order received.
    pub attributes: Vec<Attribute>,
    /// Attributes that the sender left out.
    pub dropped_attributes_count: u32,
    /// Schema URL of the resource.
    pub schema_url: String,
    /// OTLP `entity_refs`, each as its protobuf bytes; nothing reads into them.
    pub entity_refs: Vec<Vec<u8>>,
}

impl Resource {
    /// The value of `service.name`, if the first of that key is text.
    #[must_use]
    pub fn service_name(&self) -> Option<&str> {
        let is_it = |attribute: &&Attribute| &*attribute.key == "service.name";
        match &self.attributes.iter().find(is_it)?.value {
            AnyValue::String(name) => Some(name),
            _ => None,
        }
    }
}

/// Which library recorded a span.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct InstrumentationScope {
    /// Name; empty if none.
    pub name: String,
    /// Version; empty if none.
    pub version: String,
    /// Attributes, in the order received.
    pub attributes: Vec<Attribute>,
    /// Attributes that the sender left out.
    pub dropped_attributes_count: u32,
    /// Schema URL of the spans of this scope.
    pub schema_url: String,
}

/// One span.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Span {
    /// Trace the span belongs to.
    pub trace_id: TraceId,
    /// The span's own id.
    pub span_id: SpanId,
    /// Id of the parent span; `None` for a root.
    pub parent_span_id: Option<SpanId>,
    /// W3C trace state; empty if none.
    pub trace_state: String,
    /// OTLP flags.
    pub flags: u32,
    /// Name.
    pub name: String,
    /// OTLP kind number: 0 unspecified … 5 consumer; other numbers are kept as they came.
    pub kind: i32,
    /// Start, ns since the epoch.
    pub start_ns: i64,
    /// End, ns since the epoch; may lie before the start.
    pub end_ns: i64,
    /// Attributes, in the order received.
    pub attributes: Vec<Attribute>,
    /// Attributes that the sender left out.
    pub dropped_attributes_count: u32,
    /// Events, in the order received.
    pub events: Vec<Event>,
    /// Events that the sender left out.
    pub dropped_events_count: u32,
    /// Links, in the order received.
    pub links: Vec<Link>,
    /// Links that the sender left out.
    pub dropped_links_count: u32,
    /// OTLP status code: 0 unset, 1 ok, 2 error; other numbers are kept as they came.
    pub status_code: i32,
    /// Status message; empty if none.
    pub status_message: String,
}

impl Span {
    /// End minus start in ns; 0 where the end lies before the start.
    #[must_use]
    pub fn duration_ns(&self) -> i64 {
        self.end_ns.saturating_sub(self.start_ns).max(0)
    }

    /// Moves the span and its events to a later time, or an earlier one.
    pub fn shift(&mut self, offset_ns: i64) {
        self.start_ns = self.start_ns.saturating_add(offset_ns);
        self.end_ns = self.end_ns.saturating_add(offset_ns);
        for event in &mut self.events {
            event.time_ns = event.time_ns.saturating_add(offset_ns);
        }
    }
}

/// Something that happened during a span.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Event {
    /// When, ns since the epoch.
    pub time_ns: i64,
    /// Name.
    pub name: String,
    /// Attributes, in the order received.
    pub attributes: Vec<Attribute>,
    /// Attributes that the sender left out.
    pub dropped_attributes_count: u32,
}

/// A reference to a span, in this or another trace.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Link {
    /// Trace of the linked span.
    pub trace_id: TraceId,
    /// The linked span.
    pub span_id: SpanId,
    /// W3C trace state of the link; empty if none.
    pub trace_state: String,
    /// Attributes, in the order received.
    pub attributes: Vec<Attribute>,
    /// Attributes that the sender left out.
    pub dropped_attributes_count: u32,
    /// OTLP flags of the link.
    pub flags: u32,
}

/// A key with its value.
#[derive(Debug, Clone, PartialEq)]
pub struct Attribute {
    /// The key; shared, because few distinct keys serve many spans.
    pub key: Arc<str>,
    /// The value.
    pub value: AnyValue,
}

/// An OTLP attribute value.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum AnyValue {
    /// A value message without a value.
    #[default]
    Empty,
    /// Text.
    String(String),
    /// Boolean.
    Bool(bool),
    /// 64-bit integer.
    Int(i64),
    /// 64-bit float.
    Double(f64),
    /// Bytes.
    Bytes(Vec<u8>),
    /// List of values, of any types.
    Array(Vec<AnyValue>),
    /// Nested attributes.
    KeyValueList(Vec<Attribute>),
}
