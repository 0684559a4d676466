//! From the model to messages.

use opentelemetry_proto::tonic::common::v1 as pb_common;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::resource::v1 as pb_resource;
use opentelemetry_proto::tonic::trace::v1 as pb;
use prost::Message as _;

use crate::model::{
    AnyValue, Attribute, Event, InstrumentationScope, Link, Resource, Span, SpanGroup,
};

/// Spans as OTLP messages. Neighbouring groups of one resource share a `ResourceSpans`.
#[must_use]
pub fn to_resource_spans(groups: &[SpanGroup]) -> Vec<pb::ResourceSpans> {
    let mut out: Vec<pb::ResourceSpans> = Vec::new();
    let mut last: Option<&SpanGroup> = None;
    for group in groups {
        let scope_spans = pb::ScopeSpans {
            scope: Some(scope(&group.scope)),
            spans: group.spans.iter().map(span).collect(),
            schema_url: group.scope.schema_url.clone(),
        };
        match out.last_mut() {
            Some(open) if last.is_some_and(|last| last.resource == group.resource) => {
                open.scope_spans.push(scope_spans);
            }
            _ => out.push(pb::ResourceSpans {
                resource: Some(resource(&group.resource)),
                scope_spans: vec![scope_spans],
                schema_url: group.resource.schema_url.clone(),
            }),
        }
        last = Some(group);
    }
    out
}

/// Bytes that a span adds to the message it is in.
pub(crate) fn span_len(from: &Span) -> usize {
    framed(span(from).encoded_len())
}

/// Bytes of a `ResourceSpans` with one scope and no spans, at least; it grows with its spans by a few
/// more, which its lengths then take.
pub(crate) fn group_len(from: &Resource, of: &InstrumentationScope) -> usize {
    let scope_spans = framed(scope(of).encoded_len()) + framed(of.schema_url.len());
    let resource_spans = framed(resource(from).encoded_len()) + framed(from.schema_url.len());
    framed(resource_spans + framed(scope_spans))
}

/// Bytes of a field with so many bytes of content.
fn framed(length: usize) -> usize {
    1 + prost::length_delimiter_len(length) + length
}

fn resource(resource: &Resource) -> pb_resource::Resource {
    // The bytes came from an encoded message; what does not decode was never such a message.
    let entity = |bytes: &Vec<u8>| pb_common::EntityRef::decode(bytes.as_slice()).ok();
    pb_resource::Resource {
        attributes: attributes(&resource.attributes),
        dropped_attributes_count: resource.dropped_attributes_count,
        entity_refs: resource.entity_refs.iter().filter_map(entity).collect(),
    }
}

fn scope(scope: &InstrumentationScope) -> pb_common::InstrumentationScope {
    pb_common::InstrumentationScope {
        name: scope.name.clone(),
        version: scope.version.clone(),
        attributes: attributes(&scope.attributes),
        dropped_attributes_count: scope.dropped_attributes_count,
    }
}

fn span(span: &Span) -> pb::Span {
    pb::Span {
        trace_id: span.trace_id.0.to_vec(),
        span_id: span.span_id.0.to_vec(),
        trace_state: span.trace_state.clone(),
        parent_span_id: span
            .parent_span_id
            .map(|id| id.0.to_vec())
            .unwrap_or_default(),
        flags: span.flags,
        name: span.name.clone(),
        kind: span.kind,
        start_time_unix_nano: unix_nano(span.start_ns),
        end_time_unix_nano: unix_nano(span.end_ns),
        attributes: attributes(&span.attributes),
        dropped_attributes_count: span.dropped_attributes_count,
        events: span.events.iter().map(event).collect(),
        dropped_events_count: span.dropped_events_count,
        links: span.links.iter().map(link).collect(),
        dropped_links_count: span.dropped_links_count,
        status: Some(pb::Status {
            message: span.status_message.clone(),
            code: span.status_code,
        }),
    }
}

fn event(event: &Event) -> pb::span::Event {
    pb::span::Event {
        time_unix_nano: unix_nano(event.time_ns),
        name: event.name.clone(),
        attributes: attributes(&event.attributes),
        dropped_attributes_count: event.dropped_attributes_count,
    }
}

fn link(link: &Link) -> pb::span::Link {
    pb::span::Link {
        trace_id: link.trace_id.0.to_vec(),
        span_id: link.span_id.0.to_vec(),
        trace_state: link.trace_state.clone(),
        attributes: attributes(&link.attributes),
        dropped_attributes_count: link.dropped_attributes_count,
        flags: link.flags,
    }
}

/// OTLP knows no time before the epoch; none can come in over it either.
fn unix_nano(time_ns: i64) -> u64 {
    u64::try_from(time_ns).unwrap_or(0)
}

fn attributes(attributes: &[Attribute]) -> Vec<pb_common::KeyValue> {
    let message = |attribute: &Attribute| pb_common::KeyValue {
        key: attribute.key.to_string(),
        value: Some(value(&attribute.value)),
        ..pb_common::KeyValue::default()
    };
    attributes.iter().map(message).collect()
}

fn value(from: &AnyValue) -> pb_common::AnyValue {
    let value = match from {
        AnyValue::Empty => None,
        AnyValue::String(text) => Some(Value::StringValue(text.clone())),
        AnyValue::Bool(value) => Some(Value::BoolValue(*value)),
        AnyValue::Int(value) => Some(Value::IntValue(*value)),
        AnyValue::Double(value) => Some(Value::DoubleValue(*value)),
        AnyValue::Bytes(bytes) => Some(Value::BytesValue(bytes.clone())),
        AnyValue::Array(values) => Some(Value::ArrayValue(pb_common::ArrayValue {
            values: values.iter().map(value).collect(),
        })),
        AnyValue::KeyValueList(list) => Some(Value::KvlistValue(pb_common::KeyValueList {
            values: attributes(list),
        })),
    };
    pb_common::AnyValue { value }
}

/// A value as the bytes of its protobuf message.
pub(crate) fn value_to_bytes(from: &AnyValue) -> Vec<u8> {
    value(from).encode_to_vec()
}
