//! From messages to the model.

use std::sync::Arc;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1 as pb_common;
use opentelemetry_proto::tonic::resource::v1 as pb_resource;
use opentelemetry_proto::tonic::trace::v1 as pb;
use prost::Message as _;

use super::keys::KeyInterner;
use super::rejection::{Rejection, RejectionReason};
use crate::ids::{SpanId, TraceId};
use crate::model::{
    AnyValue, Attribute, Event, InstrumentationScope, Link, Resource, Span, SpanGroup,
};

/// Deepest protobuf nesting of one attribute value. Protobuf decoders stop at 100 levels, and a
/// stored value must be readable again; no value that came as protobuf can be deeper than this.
const MAX_VALUE_LEVELS: u32 = 96;

/// What a request holds.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Decoded {
    /// The good spans; no group is empty.
    pub groups: Vec<SpanGroup>,
    /// The spans turned away.
    pub rejected: Vec<Rejection>,
}

impl Decoded {
    /// Number of good spans.
    #[must_use]
    pub fn span_count(&self) -> usize {
        self.groups.iter().map(|group| group.spans.len()).sum()
    }
}

/// Decodes a request. Fails for no request as a whole.
#[must_use]
pub fn from_request(request: ExportTraceServiceRequest) -> Decoded {
    let mut keys = KeyInterner::default();
    let mut decoded = Decoded::default();
    for resource_spans in request.resource_spans {
        let resource = resource(
            resource_spans.resource,
            resource_spans.schema_url,
            &mut keys,
        );
        for scope_spans in resource_spans.scope_spans {
            if scope_spans.spans.is_empty() {
                continue;
            }
            let scope = scope(scope_spans.scope, scope_spans.schema_url, &mut keys);
            let shared = resource
                .clone()
                .and_then(|resource| Ok((resource, Arc::new(scope?))));
            let (resource, scope) = match shared {
                Ok(shared) => shared,
                Err(reason) => {
                    let names = scope_spans.spans.into_iter().map(|span| span.name);
                    decoded
                        .rejected
                        .extend(names.map(|span_name| Rejection { reason, span_name }));
                    continue;
                }
            };
            let mut spans = Vec::with_capacity(scope_spans.spans.len());
            for mut message in scope_spans.spans {
                let name = std::mem::take(&mut message.name);
                match span(message, &mut keys) {
                    Ok(span) => spans.push(Span { name, ..span }),
                    Err(reason) => decoded.rejected.push(Rejection {
                        reason,
                        span_name: name,
                    }),
                }
            }
            if !spans.is_empty() {
                decoded.groups.push(SpanGroup {
                    resource,
                    scope,
                    spans,
                });
            }
        }
    }
    decoded
}

pub(super) fn resource(
    message: Option<pb_resource::Resource>,
    schema_url: String,
    keys: &mut KeyInterner,
) -> Result<Arc<Resource>, RejectionReason> {
    let message = message.unwrap_or_default();
    Ok(Arc::new(Resource {
        attributes: attributes(message.attributes, keys)?,
        dropped_attributes_count: message.dropped_attributes_count,
        schema_url,
        entity_refs: message
            .entity_refs
            .iter()
            .map(|entity| entity.encode_to_vec())
            .collect(),
    }))
}

pub(super) fn scope(
    message: Option<pb_common::InstrumentationScope>,
    schema_url: String,
    keys: &mut KeyInterner,
) -> Result<InstrumentationScope, RejectionReason> {
    let message = message.unwrap_or_default();
    Ok(InstrumentationScope {
        name: message.name,
        version: message.version,
        attributes: attributes(message.attributes, keys)?,
        dropped_attributes_count: message.dropped_attributes_count,
        schema_url,
    })
}

/// The span without its name, which the caller keeps for a rejection.
pub(super) fn span(message: pb::Span, keys: &mut KeyInterner) -> Result<Span, RejectionReason> {
    let status = message.status.unwrap_or_default();
    Ok(Span {
        trace_id: trace_id(&message.trace_id).ok_or(RejectionReason::InvalidTraceId)?,
        span_id: span_id(&message.span_id).ok_or(RejectionReason::InvalidSpanId)?,
        parent_span_id: parent(&message.parent_span_id)?,
        trace_state: message.trace_state,
        flags: message.flags,
        name: String::new(),
        kind: message.kind,
        start_ns: time(message.start_time_unix_nano)?,
        end_ns: time(message.end_time_unix_nano)?,
        attributes: attributes(message.attributes, keys)?,
        dropped_attributes_count: message.dropped_attributes_count,
        events: message
            .events
            .into_iter()
            .map(|e| event(e, keys))
            .collect::<Result<_, _>>()?,
        dropped_events_count: message.dropped_events_count,
        links: message
            .links
            .into_iter()
            .map(|l| link(l, keys))
            .collect::<Result<_, _>>()?,
        dropped_links_count: message.dropped_links_count,
        status_code: status.code,
        status_message: status.message,
    })
}

fn event(message: pb::span::Event, keys: &mut KeyInterner) -> Result<Event, RejectionReason> {
    Ok(Event {
        time_ns: time(message.time_unix_nano)?,
        name: message.name,
        attributes: attributes(message.attributes, keys)?,
        dropped_attributes_count: message.dropped_attributes_count,
    })
}

fn link(message: pb::span::Link, keys: &mut KeyInterner) -> Result<Link, RejectionReason> {
    Ok(Link {
        trace_id: trace_id(&message.trace_id).ok_or(RejectionReason::InvalidLink)?,
        span_id: span_id(&message.span_id).ok_or(RejectionReason::InvalidLink)?,
        trace_state: message.trace_state,
        attributes: attributes(message.attributes, keys)?,
        dropped_attributes_count: message.dropped_attributes_count,
        flags: message.flags,
    })
}

fn trace_id(bytes: &[u8]) -> Option<TraceId> {
    let id = <[u8; 16]>::try_from(bytes).ok()?;
    (id != [0; 16]).then_some(TraceId(id))
}

fn span_id(bytes: &[u8]) -> Option<SpanId> {
    let id = <[u8; 8]>::try_from(bytes).ok()?;
    (id != [0; 8]).then_some(SpanId(id))
}

fn parent(bytes: &[u8]) -> Result<Option<SpanId>, RejectionReason> {
    if bytes.is_empty() || bytes == [0; 8] {
        return Ok(None);
    }
    span_id(bytes)
        .map(Some)
        .ok_or(RejectionReason::InvalidParentSpanId)
}

fn time(unix_nano: u64) -> Result<i64, RejectionReason> {
    i64::try_from(unix_nano).map_err(|_| RejectionReason::TimeOutOfRange)
}

fn attributes(
    messages: Vec<pb_common::KeyValue>,
    keys: &mut KeyInterner,
) -> Result<Vec<Attribute>, RejectionReason> {
    key_values(messages, keys, 0)
}

fn key_values(
    messages: Vec<pb_common::KeyValue>,
    keys: &mut KeyInterner,
    levels: u32,
) -> Result<Vec<Attribute>, RejectionReason> {
    let attribute = |message: pb_common::KeyValue| {
        let value = value(message.value.unwrap_or_default(), keys, levels)?;
        Ok(Attribute {
            key: keys.intern(&message.key),
            value,
        })
    };
    messages.into_iter().map(attribute).collect()
}

fn value(
    message: pb_common::AnyValue,
    keys: &mut KeyInterner,
    levels: u32,
) -> Result<AnyValue, RejectionReason> {
    use pb_common::any_value::Value;
    if levels > MAX_VALUE_LEVELS {
        return Err(RejectionReason::ValueTooDeep);
    }
    Ok(match message.value {
        None | Some(Value::StringValueStrindex(_)) => AnyValue::Empty,
        Some(Value::StringValue(text)) => AnyValue::String(text),
        Some(Value::BoolValue(value)) => AnyValue::Bool(value),
        Some(Value::IntValue(value)) => AnyValue::Int(value),
        Some(Value::DoubleValue(value)) => AnyValue::Double(value),
        Some(Value::BytesValue(bytes)) => AnyValue::Bytes(bytes),
        Some(Value::ArrayValue(array)) => {
            let values = array.values.into_iter().map(|v| value(v, keys, levels + 2));
            AnyValue::Array(values.collect::<Result<_, _>>()?)
        }
        Some(Value::KvlistValue(list)) => {
            AnyValue::KeyValueList(key_values(list.values, keys, levels + 3)?)
        }
    })
}

/// Reads a span from the bytes of its message; `None` if they are none, or the span is invalid.
pub(crate) fn span_from_bytes(bytes: &[u8], keys: &mut KeyInterner) -> Option<Span> {
    let mut message = pb::Span::decode(bytes).ok()?;
    let name = std::mem::take(&mut message.name);
    let span = span(message, keys).ok()?;
    Some(Span { name, ..span })
}

/// Reads a resource from the bytes of its message; what cannot be read is empty.
pub(crate) fn resource_from_bytes(bytes: &[u8], schema_url: &str) -> Resource {
    let message = pb_resource::Resource::decode(bytes).ok();
    let keys = &mut KeyInterner::default();
    let resource = resource(message, schema_url.to_owned(), keys);
    resource.map(Arc::unwrap_or_clone).unwrap_or_default()
}

/// Reads a scope from the bytes of its message; what cannot be read is empty.
pub(crate) fn scope_from_bytes(bytes: &[u8], schema_url: &str) -> InstrumentationScope {
    let message = pb_common::InstrumentationScope::decode(bytes).ok();
    let keys = &mut KeyInterner::default();
    scope(message, schema_url.to_owned(), keys).unwrap_or_default()
}

/// Reads a value from the bytes of a protobuf `AnyValue`, which is how values without a column of
/// their own type are stored. `None` if they are no such message.
#[must_use]
pub fn value_from_bytes(bytes: &[u8], keys: &mut KeyInterner) -> Option<AnyValue> {
    value(pb_common::AnyValue::decode(bytes).ok()?, keys, 0).ok()
}
