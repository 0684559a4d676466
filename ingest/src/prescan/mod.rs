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
    /// `ResourceSpans` messages.
    pub resources: u64,
    /// `ScopeSpans` messages.
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
    /// Messages of all kinds.
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
    /// Any other field.
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
mod tests;
