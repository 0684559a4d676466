//! A 128-bit hash of all that a span says, to tell a repeated delivery from a different span.

use xxhash_rust::xxh3::xxh3_128;

use crate::model::{AnyValue, Attribute, InstrumentationScope, Resource, Span};

/// Hash of a resource.
pub(crate) fn resource_hash(resource: &Resource) -> u128 {
    let mut out = Vec::with_capacity(512);
    attributes(&mut out, &resource.attributes);
    number(&mut out, u64::from(resource.dropped_attributes_count));
    bytes(&mut out, resource.schema_url.as_bytes());
    number(&mut out, resource.entity_refs.len() as u64);
    for entity in &resource.entity_refs {
        bytes(&mut out, entity);
    }
    xxh3_128(&out)
}

/// Hash of an instrumentation scope.
pub(crate) fn scope_hash(scope: &InstrumentationScope) -> u128 {
    let mut out = Vec::with_capacity(128);
    bytes(&mut out, scope.name.as_bytes());
    bytes(&mut out, scope.version.as_bytes());
    attributes(&mut out, &scope.attributes);
    number(&mut out, u64::from(scope.dropped_attributes_count));
    bytes(&mut out, scope.schema_url.as_bytes());
    xxh3_128(&out)
}

/// Hash of a span with its resource and scope.
pub(crate) fn span_hash(span: &Span, resource: u128, scope: u128) -> u128 {
    let mut out = Vec::with_capacity(1024);
    out.extend_from_slice(&resource.to_le_bytes());
    out.extend_from_slice(&scope.to_le_bytes());
    out.extend_from_slice(&span.trace_id.0);
    out.extend_from_slice(&span.span_id.0);
    bytes(
        &mut out,
        span.parent_span_id.as_ref().map_or(&[][..], |id| &id.0),
    );
    bytes(&mut out, span.trace_state.as_bytes());
    bytes(&mut out, span.name.as_bytes());
    bytes(&mut out, span.status_message.as_bytes());
    for time in [span.start_ns, span.end_ns] {
        number(&mut out, time.cast_unsigned());
    }
    for code in [span.kind, span.status_code] {
        number(&mut out, u64::from(code.cast_unsigned()));
    }
    let counts = [
        span.flags,
        span.dropped_attributes_count,
        span.dropped_events_count,
        span.dropped_links_count,
    ];
    for count in counts {
        number(&mut out, u64::from(count));
    }
    attributes(&mut out, &span.attributes);
    number(&mut out, span.events.len() as u64);
    for event in &span.events {
        number(&mut out, event.time_ns.cast_unsigned());
        bytes(&mut out, event.name.as_bytes());
        attributes(&mut out, &event.attributes);
        number(&mut out, u64::from(event.dropped_attributes_count));
    }
    number(&mut out, span.links.len() as u64);
    for link in &span.links {
        out.extend_from_slice(&link.trace_id.0);
        out.extend_from_slice(&link.span_id.0);
        bytes(&mut out, link.trace_state.as_bytes());
        attributes(&mut out, &link.attributes);
        number(&mut out, u64::from(link.dropped_attributes_count));
        number(&mut out, u64::from(link.flags));
    }
    xxh3_128(&out)
}

/// Lists and texts carry their length, so that no two different contents give the same bytes.
fn bytes(out: &mut Vec<u8>, content: &[u8]) {
    number(out, content.len() as u64);
    out.extend_from_slice(content);
}

fn number(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(&number.to_le_bytes());
}

/// Attributes in key order, equal keys in the order received: a block does not keep the order of
/// different keys, and a span that went through a block must still be known as the same.
fn attributes(out: &mut Vec<u8>, attributes: &[Attribute]) {
    number(out, attributes.len() as u64);
    let mut sorted: Vec<&Attribute> = attributes.iter().collect();
    sorted.sort_by(|a, b| a.key.cmp(&b.key));
    for attribute in sorted {
        bytes(out, attribute.key.as_bytes());
        value(out, &attribute.value);
    }
}

fn value(out: &mut Vec<u8>, from: &AnyValue) {
    match from {
        AnyValue::Empty => out.push(0),
        AnyValue::String(text) => {
            out.push(1);
            bytes(out, text.as_bytes());
        }
        AnyValue::Bool(value) => out.extend([2, u8::from(*value)]),
        AnyValue::Int(value) => {
            out.push(3);
            number(out, value.cast_unsigned());
        }
        AnyValue::Double(value) => {
            out.push(4);
            number(out, value.to_bits());
        }
        AnyValue::Bytes(content) => {
            out.push(5);
            bytes(out, content);
        }
        AnyValue::Array(values) => {
            out.push(6);
            number(out, values.len() as u64);
            for element in values {
                value(out, element);
            }
        }
        // Inside a value the order received is kept by the block, so it counts here.
        AnyValue::KeyValueList(list) => {
            out.push(7);
            number(out, list.len() as u64);
            for attribute in list {
                bytes(out, attribute.key.as_bytes());
                value(out, &attribute.value);
            }
        }
    }
}
