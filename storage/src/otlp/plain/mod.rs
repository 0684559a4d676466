//! Requests kept as the bytes they came in, and read only where they become a block.
//!
//! Decoded spans take several times the memory of their bytes, in dozens of pieces each; making and
//! freeing these costs more than all else that happens to a span before it is stored. So a request is
//! checked where it lies. If it is *plain*, its bytes are all that is kept. If it is not (a bad span,
//! a limit passed, a field that says a thing twice), it is decoded, put right, and written anew.

mod bounds;
mod check;

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;

use super::decode;
use super::keys::KeyInterner;
use super::rejection::Rejection;
use super::wire::{Fields, Wire};
pub use bounds::PlainBounds;
use check::Check;

/// The spans of a plain request, and when it arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlainRequest {
    bytes: Bytes,
    span_count: usize,
    received_s: Option<i64>,
}

impl PlainRequest {
    /// Takes a request whose spans are all valid and within bounds, and whose bytes say each thing once.
    /// `None` for any other; that says nothing about what is the matter. Allocates nothing.
    #[must_use]
    pub fn from_bytes(bytes: Bytes, bounds: &PlainBounds) -> Option<Self> {
        let mut check = Check {
            bounds,
            spans: 0,
            messages: 0,
        };
        check.request(&bytes)?;
        let span_count = usize::try_from(check.spans).ok()?;
        Some(Self {
            bytes,
            span_count,
            received_s: None,
        })
    }

    /// Takes the valid spans of a message, and says which were not.
    #[must_use]
    pub fn from_message(mut request: ExportTraceServiceRequest) -> (Self, Vec<Rejection>) {
        let rejected = keep_valid(&mut request);
        let scopes = request
            .resource_spans
            .iter()
            .flat_map(|resource| &resource.scope_spans);
        let kept = Self {
            span_count: scopes.map(|scope| scope.spans.len()).sum(),
            bytes: request.encode_to_vec().into(),
            received_s: None,
        };
        (kept, rejected)
    }

    /// Reads a request that was not checked before: takes the valid spans, and says which were not.
    ///
    /// # Errors
    /// If the bytes are no `ExportTraceServiceRequest`.
    pub fn read(bytes: Bytes) -> Result<(Self, Vec<Rejection>), prost::DecodeError> {
        match Self::from_bytes(bytes.clone(), &PlainBounds::NONE) {
            Some(plain) => Ok((plain, Vec::new())),
            None => ExportTraceServiceRequest::decode(bytes).map(Self::from_message),
        }
    }

    /// The same request, which arrived in this second: see [`Self::received_s`].
    #[must_use]
    pub fn arrived(self, received_s: Option<i64>) -> Self {
        Self { received_s, ..self }
    }

    /// When the request arrived, whole seconds since the epoch, rounded up; `None` if nobody knows, as of
    /// what is read from a file.
    #[must_use]
    pub fn received_s(&self) -> Option<i64> {
        self.received_s
    }

    /// The latest end of a span, ns since the epoch.
    #[must_use]
    pub fn latest_end_ns(&self) -> Option<i64> {
        let messages = |message, wanted| {
            Fields::of(message).filter_map(move |(number, value)| match value {
                Wire::Bytes(bytes) if number == wanted => Some(bytes),
                _ => None,
            })
        };
        let scopes = messages(&self.bytes, 1).flat_map(move |resource| messages(resource, 2));
        let ends = scopes
            .flat_map(move |scope| messages(scope, 2))
            .map(|span| {
                Fields::of(span).fold(0, |end, (number, value)| match (number, value) {
                    (8, Wire::Fixed64(end)) => end,
                    _ => end,
                })
            });
        ends.max().and_then(|end| i64::try_from(end).ok())
    }

    /// The request in protobuf.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Number of spans.
    #[must_use]
    pub fn span_count(&self) -> usize {
        self.span_count
    }
}

/// Removes what [`decode::from_request`] turns away.
fn keep_valid(request: &mut ExportTraceServiceRequest) -> Vec<Rejection> {
    let mut keys = KeyInterner::default();
    let mut rejected = Vec::new();
    for resource_spans in &mut request.resource_spans {
        let resource = resource_spans.resource.clone();
        let resource = decode::resource(resource, String::new(), &mut keys).map(drop);
        for scope_spans in &mut resource_spans.scope_spans {
            let scope = scope_spans.scope.clone();
            let scope = decode::scope(scope, String::new(), &mut keys).map(drop);
            scope_spans.spans.retain(|span| {
                let valid = resource.and(scope);
                match valid.and_then(|()| decode::span(span.clone(), &mut keys)) {
                    Ok(_) => true,
                    Err(reason) => {
                        rejected.push(Rejection {
                            reason,
                            span_name: span.name.clone(),
                        });
                        false
                    }
                }
            });
        }
    }
    rejected
}
