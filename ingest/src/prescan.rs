//! Counting what a request holds, on its wire bytes, before anything is built from them.
//!
//! A decoded message is far bigger than its wire form: an empty span is two bytes on the wire and
//! hundreds in memory. So size limits alone do not bound memory. This walk builds nothing, visits
//! each byte of structure once, and knows just the fields that hold messages. A
//! [plain](storage::otlp::PlainRequest) request is counted by the walk that finds it to be plain, and
//! is spared this one.

use prost::encoding::decode_varint;

use crate::config::LimitsConfig;
use crate::error::PushError;

/// Levels of messages that the decoder accepts; deeper requests are malformed.
const MAX_DEPTH: u32 = 100;

/// What a request holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// `ResourceSpans`.
    pub resources: u64,
    /// `ScopeSpans`.
    pub scopes: u64,
    /// Spans.
    pub spans: u64,
    /// Events of spans.
    pub events: u64,
    /// Links of spans.
    pub links: u64,
    /// Attributes, also those inside values.
    pub attributes: u64,
    /// Elements of array values, entity references and their keys.
    pub values: u64,
    /// Deepest nesting of arrays and maps in a value; a plain value has depth 0.
    pub value_depth: u32,
}

impl Counts {
    /// All messages.
    #[must_use]
    pub fn messages(&self) -> u64 {
        self.resources
            + self.scopes
            + self.spans
            + self.events
            + self.links
            + self.attributes
            + self.values
    }

    /// An estimate, on the high side, of the memory needed to decode a request of this length.
    #[must_use]
    pub fn decoded_bytes(&self, wire_len: usize) -> u64 {
        // As protobuf structs, and one span at a time once more; text is copied and written anew.
        let text = (wire_len as u64).saturating_mul(2);
        text + self.spans * 640
            + (self.resources + self.scopes) * 400
            + (self.events + self.links) * 240
            + self.attributes * 160
            + self.values * 80
    }
}

/// Which message is being walked.
#[derive(Clone, Copy)]
enum Kind {
    Request,
    ResourceSpans,
    Resource,
    ScopeSpans,
    Scope,
    Span,
    Event,
    Link,
    KeyValue,
    Value,
    Array,
    Map,
    EntityRef,
}

/// What a length-delimited field of a message is.
enum Field {
    /// A message of this kind, and the count it adds to.
    Message(Kind, Option<fn(&mut Counts) -> &mut u64>),
    /// Repeated text, which costs memory however short it is.
    Text,
    /// Anything else.
    Other,
}

fn field(kind: Kind, number: u64) -> Field {
    use Kind as K;
    let counted = |kind, count| Field::Message(kind, Some(count));
    match (kind, number) {
        (K::Request, 1) => counted(K::ResourceSpans, |c| &mut c.resources),
        (K::ResourceSpans, 1) => Field::Message(K::Resource, None),
        (K::ResourceSpans, 2) => counted(K::ScopeSpans, |c| &mut c.scopes),
        (K::Resource, 3) => counted(K::EntityRef, |c| &mut c.values),
        (K::ScopeSpans, 1) => Field::Message(K::Scope, None),
        (K::ScopeSpans, 2) => counted(K::Span, |c| &mut c.spans),
        (K::Span, 11) => counted(K::Event, |c| &mut c.events),
        (K::Span, 13) => counted(K::Link, |c| &mut c.links),
        (K::Resource | K::Map, 1) | (K::Scope | K::Event, 3) | (K::Link, 4) | (K::Span, 9) => {
            counted(K::KeyValue, |c| &mut c.attributes)
        }
        (K::KeyValue, 2) => Field::Message(K::Value, None),
        (K::Value, 5) => Field::Message(K::Array, None),
        (K::Value, 6) => Field::Message(K::Map, None),
        (K::Array, 1) => counted(K::Value, |c| &mut c.values),
        (K::EntityRef, 3 | 4) => Field::Text,
        _ => Field::Other,
    }
}

/// Counts what an `ExportTraceServiceRequest` holds and checks it against the limits.
///
/// Stops at the first limit that is passed. Allocates nothing.
pub fn prescan(request: &[u8], limits: &LimitsConfig) -> Result<Counts, PushError> {
    let mut walk = Walk {
        counts: Counts::default(),
        limits,
    };
    walk.message(request, Kind::Request, 0, 0)?;
    Ok(walk.counts)
}

struct Walk<'a> {
    counts: Counts,
    limits: &'a LimitsConfig,
}

impl Walk<'_> {
    fn message(
        &mut self,
        mut bytes: &[u8],
        kind: Kind,
        depth: u32,
        value_depth: u32,
    ) -> Result<(), PushError> {
        if depth > MAX_DEPTH {
            return Err(malformed("messages nested too deep"));
        }
        while !bytes.is_empty() {
            let key = varint(&mut bytes)?;
            let number = key >> 3;
            if number == 0 || number > 0x1fff_ffff {
                return Err(malformed("invalid field number"));
            }
            match key & 7 {
                0 => {
                    varint(&mut bytes)?;
                }
                1 => skip(&mut bytes, 8)?,
                5 => skip(&mut bytes, 4)?,
                2 => {
                    let content = delimited(&mut bytes)?;
                    match field(kind, number) {
                        Field::Message(inner, count) => {
                            if let Some(count) = count {
                                *count(&mut self.counts) += 1;
                                self.check()?;
                            }
                            let nested =
                                value_depth + u32::from(matches!(inner, Kind::Array | Kind::Map));
                            self.counts.value_depth = self.counts.value_depth.max(nested);
                            self.message(content, inner, depth + 1, nested)?;
                        }
                        Field::Text => {
                            self.counts.values += 1;
                            self.check()?;
                        }
                        Field::Other => {}
                    }
                }
                // Groups: OTLP never had them.
                _ => return Err(malformed("invalid wire type")),
            }
        }
        Ok(())
    }

    fn check(&self) -> Result<(), PushError> {
        if self.counts.spans > self.limits.max_spans_per_request {
            return Err(PushError::TooManyItems {
                what: "spans",
                limit: self.limits.max_spans_per_request,
                key: "ingest.max_spans_per_request",
            });
        }
        if self.counts.messages() > self.limits.max_messages_per_request {
            return Err(PushError::TooManyItems {
                what: "messages",
                limit: self.limits.max_messages_per_request,
                key: "ingest.max_messages_per_request",
            });
        }
        Ok(())
    }
}

fn malformed(reason: &str) -> PushError {
    PushError::Malformed {
        reason: format!("invalid protobuf: {reason}"),
    }
}

fn varint(bytes: &mut &[u8]) -> Result<u64, PushError> {
    decode_varint(bytes).map_err(|_| malformed("invalid varint"))
}

fn skip(bytes: &mut &[u8], len: usize) -> Result<(), PushError> {
    *bytes = bytes.get(len..).ok_or_else(|| malformed("it ends early"))?;
    Ok(())
}

fn delimited<'a>(bytes: &mut &'a [u8]) -> Result<&'a [u8], PushError> {
    let len = usize::try_from(varint(bytes)?).map_err(|_| malformed("it ends early"))?;
    let (content, rest) = bytes
        .split_at_checked(len)
        .ok_or_else(|| malformed("it ends early"))?;
    *bytes = rest;
    Ok(content)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use opentelemetry_proto::tonic::common::v1::{
        AnyValue, ArrayValue, EntityRef, InstrumentationScope, KeyValue, KeyValueList,
        any_value::Value,
    };
    use opentelemetry_proto::tonic::resource::v1::Resource;
    use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, span};
    use prost::Message;
    use storage::otlp::{PlainBounds, PlainRequest};

    use super::*;

    fn attribute(value: Value) -> KeyValue {
        KeyValue {
            key: "k".into(),
            value: Some(AnyValue { value: Some(value) }),
            ..Default::default()
        }
    }

    fn nested(levels: u32) -> Value {
        (0..levels).fold(Value::IntValue(1), |inner, level| {
            if level % 2 == 0 {
                Value::ArrayValue(ArrayValue {
                    values: vec![AnyValue { value: Some(inner) }],
                })
            } else {
                Value::KvlistValue(KeyValueList {
                    values: vec![attribute(inner)],
                })
            }
        })
    }

    fn request(value: Value) -> Vec<u8> {
        ExportTraceServiceRequest {
            resource_spans: vec![ResourceSpans {
                resource: Some(Resource {
                    attributes: vec![attribute(Value::BoolValue(true))],
                    ..Default::default()
                }),
                scope_spans: vec![ScopeSpans {
                    scope: Some(InstrumentationScope {
                        attributes: vec![attribute(Value::IntValue(1))],
                        ..Default::default()
                    }),
                    spans: vec![
                        Span {
                            attributes: vec![attribute(value), attribute(Value::DoubleValue(1.0))],
                            events: vec![span::Event {
                                attributes: vec![attribute(Value::IntValue(1))],
                                ..Default::default()
                            }],
                            links: vec![span::Link::default(), span::Link::default()],
                            ..Default::default()
                        },
                        Span::default(),
                    ],
                    ..Default::default()
                }],
                ..Default::default()
            }],
        }
        .encode_to_vec()
    }

    #[test]
    fn everything_is_counted() {
        let counts = prescan(&request(nested(3)), &LimitsConfig::default()).unwrap();
        assert_eq!(
            counts,
            Counts {
                resources: 1,
                scopes: 1,
                spans: 2,
                events: 1,
                links: 2,
                // Five written out, one inside the nested value.
                attributes: 6,
                values: 2,
                value_depth: 3,
            }
        );
    }

    fn wrapped(tag: u8, content: &[u8]) -> Vec<u8> {
        let mut outer = vec![tag];
        prost::encoding::encode_varint(content.len() as u64, &mut outer);
        outer.extend_from_slice(content);
        outer
    }

    #[test]
    fn empty_messages_are_stopped_at_the_limit() {
        let limits = LimitsConfig::default();
        let empty = |tag: u8| [tag, 0].repeat(10 << 20);
        let spans = wrapped(0x0a, &wrapped(0x12, &empty(0x12)));
        assert!(matches!(
            prescan(&spans, &limits),
            Err(PushError::TooManyItems { what: "spans", .. })
        ));
        let span = |content: &[u8]| wrapped(0x0a, &wrapped(0x12, &wrapped(0x12, content)));
        let entity_keys = wrapped(0x0a, &wrapped(0x0a, &wrapped(0x1a, &empty(0x1a))));
        // Resources, scopes, attributes, events, links, keys of entities.
        let requests = [
            empty(0x0a),
            wrapped(0x0a, &empty(0x12)),
            span(&empty(0x4a)),
            span(&empty(0x5a)),
            span(&empty(0x6a)),
            entity_keys,
        ];
        for request in requests {
            assert!(matches!(
                prescan(&request, &limits),
                Err(PushError::TooManyItems {
                    what: "messages",
                    ..
                })
            ));
        }
    }

    #[test]
    fn no_bytes_upset_it() {
        let bytes = request(nested(5));
        for at in 0..bytes.len() {
            let cut = prescan(&bytes[..at], &LimitsConfig::default());
            assert_eq!(
                cut.is_ok(),
                ExportTraceServiceRequest::decode(&bytes[..at]).is_ok(),
                "cut at {at}"
            );
            for value in 0..=255 {
                let mut damaged = bytes.clone();
                damaged[at] = value;
                let scanned = prescan(&damaged, &LimitsConfig::default());
                // What decodes has been counted right.
                if let (Ok(counts), Ok(decoded)) =
                    (scanned, ExportTraceServiceRequest::decode(&damaged[..]))
                {
                    let spans: usize = decoded
                        .resource_spans
                        .iter()
                        .flat_map(|r| &r.scope_spans)
                        .map(|s| s.spans.len())
                        .sum();
                    assert_eq!(counts.spans, spans as u64);
                }
            }
        }
    }

    #[test]
    fn numbers_have_64_bits() {
        // Of a field that OTLP does not have.
        let field = |last: u8| [vec![0x98, 0x06], vec![0xff; 9], vec![last]].concat();
        assert!(prescan(&field(1), &LimitsConfig::default()).is_ok());
        for last in [2, 0x7f, 0xff] {
            let bytes = field(last);
            assert!(ExportTraceServiceRequest::decode(&bytes[..]).is_err());
            let refused = prescan(&bytes, &LimitsConfig::default());
            assert!(matches!(refused, Err(PushError::Malformed { .. })));
        }
    }

    /// A request of valid spans.
    fn plain() -> Vec<u8> {
        let mut request = ExportTraceServiceRequest::decode(&request(nested(5))[..]).unwrap();
        let resource = &mut request.resource_spans[0];
        resource.resource.as_mut().unwrap().entity_refs = vec![EntityRef {
            id_keys: vec!["a".into(), "b".into()],
            description_keys: vec!["c".into()],
            ..Default::default()
        }];
        for span in &mut resource.scope_spans[0].spans {
            (span.trace_id, span.span_id) = (vec![1; 16], vec![2; 8]);
            for link in &mut span.links {
                (link.trace_id, link.span_id) = (vec![3; 16], vec![4; 8]);
            }
        }
        request.encode_to_vec()
    }

    #[test]
    fn what_is_plain_is_counted_alike() {
        let is_plain = |bytes: &[u8], spans, messages| {
            let bounds = PlainBounds {
                spans,
                messages,
                ..PlainBounds::NONE
            };
            PlainRequest::from_bytes(Bytes::copy_from_slice(bytes), &bounds).is_some()
        };
        let bytes = plain();
        let mut plain = 0;
        for at in 0..bytes.len() {
            for value in [bytes[at], 0, 1, 2, 0x0a, 0x12, 0x1a, 0x7f, 0x80, 0xff] {
                let mut damaged = bytes.clone();
                damaged[at] = value;
                if is_plain(&damaged, u64::MAX, u64::MAX) {
                    let counts = prescan(&damaged, &LimitsConfig::default());
                    let counts = counts.expect("what is plain passes the scan");
                    let (spans, messages) = (counts.spans, counts.messages());
                    assert!(is_plain(&damaged, spans, messages), "{at} {value}");
                    if spans > 0 {
                        assert!(!is_plain(&damaged, spans - 1, messages), "{at} {value}");
                        assert!(!is_plain(&damaged, spans, messages - 1), "{at} {value}");
                        plain += 1;
                    }
                }
            }
        }
        assert!(plain > bytes.len(), "{plain}");
    }

    #[test]
    fn depth_is_bounded() {
        assert!(prescan(&request(nested(90)), &LimitsConfig::default()).is_err());
        assert_eq!(
            prescan(&request(nested(20)), &LimitsConfig::default())
                .unwrap()
                .value_depth,
            20
        );
        // Far deeper than any stack.
        let deep = (0..300_000).fold(Vec::new(), |inner, _| {
            wrapped(0x2a, &inner[..inner.len().min(3000)])
        });
        assert!(
            prescan(
                &wrapped(
                    0x0a,
                    &wrapped(0x12, &wrapped(0x12, &wrapped(0x4a, &wrapped(0x12, &deep))))
                ),
                &LimitsConfig::default()
            )
            .is_err()
        );
    }
}
