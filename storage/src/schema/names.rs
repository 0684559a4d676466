//! Names of the columns that every block has, but for [`OPTIONAL`] ones.
//!
//! They are the names of TraceQL where TraceQL has one. Attribute columns start with `resource.`,
//! `instrumentation.` or `span.`; no name here does, so the two never collide.

/// Trace id, 16 bytes.
pub const TRACE_ID: &str = "trace:id";
/// Span id, 8 bytes.
pub const SPAN_ID: &str = "span:id";
/// Rows of the trace before this one.
pub const TRACE_ROW: &str = "trace_row";
/// 1 for a root, one more than its parent for any other span; negative where no root leads to.
pub const DEPTH: &str = "depth";
/// Spans below; they are on the rows that follow.
pub const DESCENDANTS: &str = "descendants";
/// Parent span id where the parent is not in the block; null for a root.
pub const PARENT_ID: &str = "span:parentID";
/// Start, whole seconds since the epoch, rounded up.
pub const START_S: &str = "start_s";
/// Start, ns since the epoch.
pub const START_NS: &str = "start_ns";
/// End minus start in ns, at least 0.
pub const DURATION: &str = "duration";
/// End, ns since the epoch, where it is not start plus duration; else null.
pub const END_NS: &str = "end_ns";
/// Span name.
pub const NAME: &str = "name";
/// OTLP kind number.
pub const KIND: &str = "kind";
/// OTLP status code.
pub const STATUS: &str = "status";
/// Status message; empty if none.
pub const STATUS_MESSAGE: &str = "statusMessage";
/// Number of direct children.
pub const CHILD_COUNT: &str = "span:childCount";
/// Name of the trace's root span; empty if there is none.
pub const ROOT_NAME: &str = "rootName";
/// Service of the trace's root span; empty if there is none.
pub const ROOT_SERVICE_NAME: &str = "rootServiceName";
/// Last end minus first start of the trace, ns.
pub const TRACE_DURATION: &str = "traceDuration";
/// W3C trace state; null if empty.
pub const TRACE_STATE: &str = "trace_state";
/// OTLP flags.
pub const FLAGS: &str = "flags";
/// Span attributes that the sender left out.
pub const DROPPED_ATTRIBUTES: &str = "dropped_attributes_count";
/// Events that the sender left out.
pub const DROPPED_EVENTS: &str = "dropped_events_count";
/// Links that the sender left out.
pub const DROPPED_LINKS: &str = "dropped_links_count";
/// Arrival of the request that brought the span, whole seconds since the epoch, rounded up; null where
/// nobody knows. Not part of the span: a repeat of it arrives later.
pub const RECEIVED_S: &str = "received_s";
/// Length of the span's own message as it was accepted, in bytes of protobuf; null where nobody knows.
pub const RECEIVED_BYTES: &str = "received_bytes";
/// How many spans this one stands for, where the trace state says that it is more than itself; null
/// means 1. See [`crate::otlp::adjusted_count`].
pub const SAMPLING_WEIGHT: &str = "sampling.weight";
/// Name of the instrumentation scope; empty if none.
pub const SCOPE_NAME: &str = "instrumentation:name";
/// Version of the instrumentation scope; empty if none.
pub const SCOPE_VERSION: &str = "instrumentation:version";
/// Schema URL of the resource; null if empty.
pub const RESOURCE_SCHEMA_URL: &str = "resource:schema_url";
/// Resource attributes that the sender left out.
pub const RESOURCE_DROPPED_ATTRIBUTES: &str = "resource:dropped_attributes_count";
/// Entity references of the resource, protobuf bytes; null if none.
pub const RESOURCE_ENTITY_REFS: &str = "resource:entity_refs";
/// Schema URL of the spans of the scope; null if empty.
pub const SCOPE_SCHEMA_URL: &str = "instrumentation:schema_url";
/// Scope attributes that the sender left out.
pub const SCOPE_DROPPED_ATTRIBUTES: &str = "instrumentation:dropped_attributes_count";
/// Resource attributes without a column of their own.
pub const RESOURCE_RESIDUAL: &str = "resource:attributes";
/// Scope attributes without a column of their own.
pub const SCOPE_RESIDUAL: &str = "instrumentation:attributes";
/// Span attributes without a column of their own.
pub const SPAN_RESIDUAL: &str = "span:attributes";
/// Events.
pub const EVENTS: &str = "events";
/// Links.
pub const LINKS: &str = "links";
/// The column of `service.name`, which every block has.
pub const SERVICE_NAME: &str = "resource.service.name";

/// Columns that blocks of version 0.1.0 do not have. A block without one is read as if all its values
/// were null.
pub const OPTIONAL: [&str; 3] = [RECEIVED_S, RECEIVED_BYTES, SAMPLING_WEIGHT];

/// Field of an entry of a residual column: the attribute's key.
pub const ENTRY_KEY: &str = "key";
/// Field of an entry: the value if it is text.
pub const ENTRY_STRING: &str = "string";
/// Field of an entry: the value if it is an integer.
pub const ENTRY_INT: &str = "int";
/// Field of an entry: the value if it is a float.
pub const ENTRY_DOUBLE: &str = "double";
/// Field of an entry: the value if it is a boolean.
pub const ENTRY_BOOL: &str = "bool";
/// Field of an entry: any other value, as the bytes of a protobuf `AnyValue`.
pub const ENTRY_OTHER: &str = "other";

/// Field of an event or link: its attributes, shaped like a residual column.
pub const ITEM_ATTRIBUTES: &str = "attributes";
/// Field of an event or link: attributes that the sender left out.
pub const ITEM_DROPPED_ATTRIBUTES: &str = "dropped_attributes_count";
/// Field of an event: its name.
pub const EVENT_NAME: &str = "name";
/// Field of an event: when, ns since the epoch.
pub const EVENT_TIME_NS: &str = "time_ns";
/// Field of a link: the linked trace.
pub const LINK_TRACE_ID: &str = "trace_id";
/// Field of a link: the linked span.
pub const LINK_SPAN_ID: &str = "span_id";
/// Field of a link: W3C trace state; empty if none.
pub const LINK_TRACE_STATE: &str = "trace_state";
/// Field of a link: OTLP flags.
pub const LINK_FLAGS: &str = "flags";

/// The residual column of a scope; `None` for events and links, whose attributes stay with them.
#[must_use]
pub fn residual(scope: crate::block::meta::AttributeScope) -> Option<&'static str> {
    use crate::block::meta::AttributeScope;
    match scope {
        AttributeScope::Resource => Some(RESOURCE_RESIDUAL),
        AttributeScope::Instrumentation => Some(SCOPE_RESIDUAL),
        AttributeScope::Span => Some(SPAN_RESIDUAL),
        AttributeScope::Event | AttributeScope::Link => None,
    }
}
