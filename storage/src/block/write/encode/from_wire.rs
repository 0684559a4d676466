//! Spans in the bytes of their requests on their way into a block.
//!
//! The bytes are those of a [`PlainRequest`], so nothing here is malformed or said twice, but for what
//! cannot matter: a scalar field that stands twice counts as its last. What could not be read all
//! the same is left out.

use std::sync::Arc;

use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use super::arrive::{Arrived, Item, Origin, SpanRow};
use super::attributes::Datum;
use super::text::checked;
use crate::block::meta::ValueType;
use crate::block::write::row_number::row_number;
use crate::error::StorageError;
use crate::ids::{SpanId, TraceId};
use crate::otlp::wire::{Fields, Wire, low_u32, short_attribute, short_text};
use crate::otlp::{
    KeyInterner, PlainRequest, resource_from_bytes, scope_from_bytes, value_from_bytes,
};

/// Adds the spans of a request, but for those that `skip` says yes to, all of them later by `offset_ns`.
/// When they arrived stays as it is.
pub(super) fn add_request<'a>(
    request: &'a PlainRequest,
    offset_ns: i64,
    out: &mut Arrived<'a>,
    mut skip: impl FnMut() -> bool,
) -> Result<(), StorageError> {
    for resource_spans in messages(request.bytes(), 1) {
        let resource = messages(resource_spans, 1).next().unwrap_or_default();
        let url = messages(resource_spans, 3).last().unwrap_or_default();
        let resource = out.resources.index(name(resource, url), || {
            Arc::new(resource_from_bytes(resource, checked(url)))
        });
        for scope_spans in messages(resource_spans, 2) {
            let scope = messages(scope_spans, 1).next().unwrap_or_default();
            let url = messages(scope_spans, 3).last().unwrap_or_default();
            let scope = out.scopes.index(name(scope, url), || {
                Arc::new(scope_from_bytes(scope, checked(url)))
            });
            for span in messages(scope_spans, 2) {
                if !skip() {
                    let origin = Origin::Wire {
                        message: span,
                        offset_ns,
                        received_s: request.received_s(),
                    };
                    let row = row(span, offset_ns, (resource, scope), out);
                    out.push(row, origin)?;
                }
            }
        }
    }
    Ok(())
}

/// Names a resource or scope by its bytes.
fn name(message: &[u8], schema_url: &[u8]) -> u128 {
    xxh3_128(message) ^ u128::from(xxh3_64(schema_url))
}

fn messages(message: &[u8], wanted: u32) -> impl Iterator<Item = &[u8]> {
    Fields::of(message).filter_map(move |(number, value)| match value {
        Wire::Bytes(bytes) if number == wanted => Some(bytes),
        _ => None,
    })
}

fn id<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.try_into().unwrap_or([0; N])
}

fn time(unix_nano: u64, offset_ns: i64) -> i64 {
    let time = i64::try_from(unix_nano).unwrap_or(i64::MAX);
    time.saturating_add(offset_ns)
}

/// Takes a span apart; its attributes, events and links go to `out`.
fn row<'a>(
    message: &'a [u8],
    offset_ns: i64,
    (resource, scope): (u32, u32),
    out: &mut Arrived<'a>,
) -> SpanRow {
    let unit = out.unit();
    let first_event = row_number(out.events.len());
    let first_link = row_number(out.links.len());
    let mut row = SpanRow {
        // Times that are not said are zero, and move like all others.
        start_ns: offset_ns,
        end_ns: offset_ns,
        resource,
        scope,
        ..SpanRow::default()
    };
    let (mut name, mut status_message, mut trace_state) = (&[][..], &[][..], &[][..]);
    let mut position = 0;
    for (number, value) in Fields::of(message) {
        match (number, value) {
            (1, Wire::Bytes(bytes)) => row.trace_id = TraceId(id(bytes)),
            (2, Wire::Bytes(bytes)) => row.span_id = SpanId(id(bytes)),
            (3, Wire::Bytes(bytes)) => trace_state = bytes,
            (4, Wire::Bytes(bytes)) => {
                let parent = id(bytes);
                row.parent = (parent != [0; 8]).then_some(SpanId(parent));
            }
            (5, Wire::Bytes(bytes)) => name = bytes,
            (6, Wire::Varint(kind)) => row.kind = low_u32(kind).cast_signed(),
            (7, Wire::Fixed64(start)) => row.start_ns = time(start, offset_ns),
            (8, Wire::Fixed64(end)) => row.end_ns = time(end, offset_ns),
            (9, Wire::Bytes(bytes)) => {
                let (key, value) = attribute(bytes);
                out.attributes.add(unit, position, key, value, 1);
                position += 1;
            }
            (10, Wire::Varint(count)) => row.dropped_attributes_count = low_u32(count),
            (11, Wire::Bytes(bytes)) => out.events.push(event(bytes, offset_ns)),
            (12, Wire::Varint(count)) => row.dropped_events_count = low_u32(count),
            (13, Wire::Bytes(bytes)) => out.links.push(link(bytes)),
            (14, Wire::Varint(count)) => row.dropped_links_count = low_u32(count),
            (15, Wire::Bytes(bytes)) => {
                for (number, value) in Fields::of(bytes) {
                    match (number, value) {
                        (2, Wire::Bytes(bytes)) => status_message = bytes,
                        (3, Wire::Varint(code)) => row.status_code = low_u32(code).cast_signed(),
                        _ => {}
                    }
                }
            }
            (16, Wire::Fixed32(flags)) => row.flags = flags,
            _ => {}
        }
    }
    row.name = out.names.code_of_bytes(name);
    row.status_message = out.status_messages.code_of_bytes(status_message);
    row.trace_state = out.trace_states.code_of_bytes(trace_state);
    row.events = (first_event, row_number(out.events.len()));
    row.links = (first_link, row_number(out.links.len()));
    row
}

fn event(message: &[u8], offset_ns: i64) -> Item<'_> {
    let mut item = Item {
        time_ns: offset_ns,
        ..Item::default()
    };
    for (number, value) in Fields::of(message) {
        match (number, value) {
            (1, Wire::Fixed64(at)) => item.time_ns = time(at, offset_ns),
            (2, Wire::Bytes(bytes)) => item.text = checked(bytes),
            (3, Wire::Bytes(bytes)) => item.attributes.push(named(attribute(bytes))),
            (4, Wire::Varint(count)) => item.dropped_attributes_count = low_u32(count),
            _ => {}
        }
    }
    item
}

fn link(message: &[u8]) -> Item<'_> {
    let mut item = Item::default();
    for (number, value) in Fields::of(message) {
        match (number, value) {
            (1, Wire::Bytes(bytes)) => item.trace_id = TraceId(id(bytes)),
            (2, Wire::Bytes(bytes)) => item.span_id = SpanId(id(bytes)),
            (3, Wire::Bytes(bytes)) => item.text = checked(bytes),
            (4, Wire::Bytes(bytes)) => item.attributes.push(named(attribute(bytes))),
            (5, Wire::Varint(count)) => item.dropped_attributes_count = low_u32(count),
            (6, Wire::Fixed32(flags)) => item.flags = flags,
            _ => {}
        }
    }
    item
}

/// An attribute of an event or a link, whose key is written as text.
fn named<'a>((key, value): (&'a [u8], Datum<'a>)) -> (&'a str, Datum<'a>) {
    (checked(key), value)
}

fn attribute(message: &[u8]) -> (&[u8], Datum<'_>) {
    if let Some((key, value)) = short_attribute(message) {
        return (
            key,
            short_text(value).map_or_else(|| datum(value), Datum::Text),
        );
    }
    let (mut key, mut value) = (&[][..], &[][..]);
    for (number, field) in Fields::of(message) {
        match (number, field) {
            (1, Wire::Bytes(bytes)) => key = bytes,
            (2, Wire::Bytes(bytes)) => value = bytes,
            _ => {}
        }
    }
    (key, datum(value))
}

fn datum(message: &[u8]) -> Datum<'_> {
    for (number, value) in Fields::of(message) {
        match (number, value) {
            (1, Wire::Bytes(bytes)) => return Datum::Text(bytes),
            (2, Wire::Varint(value)) => return Datum::Bool(value != 0),
            (3, Wire::Varint(value)) => return Datum::Int(value.cast_signed()),
            (4, Wire::Fixed64(bits)) => return Datum::Double(f64::from_bits(bits)),
            _ => {}
        }
    }
    // Lists, bytes and the like are rare. They are stored as our own encoder writes them, not as some
    // other one did.
    let value = value_from_bytes(message, &mut KeyInterner::default()).unwrap_or_default();
    match Datum::of(&value) {
        Datum::Other(value_type, bytes) => Datum::Other(value_type, bytes),
        // Plain values were found above.
        _ => Datum::Other(ValueType::Other, Vec::new()),
    }
}
