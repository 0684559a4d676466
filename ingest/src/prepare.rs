//! From the bytes of a request to spans and a record for the log: everything before the log that
//! costs time, and nothing that waits.

use std::time::Instant;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;
use storage::ids::TenantId;
use storage::model::SpanGroup;

use crate::budget::Share;
use crate::config::LimitsConfig;
use crate::decompress::{Encoding, decompress};
use crate::error::PushError;
use crate::json;
use crate::limits::{self, Report};
use crate::prescan::{Counts, prescan};
use crate::rates::{Load, Rates};
use crate::wal::record;

/// How a request is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Protobuf,
    Json,
}

/// What requests are held to.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) limits: LimitsConfig,
    pub(crate) rates: Rates,
}

/// A request as it came.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) body: bytes::Bytes,
    pub(crate) encoding: Encoding,
    pub(crate) format: Format,
    /// The memory that the body takes up.
    pub(crate) memory: Share,
}

/// A request ready for the log.
#[derive(Debug)]
pub(crate) struct Prepared {
    /// Empty if no span was accepted.
    pub(crate) groups: Vec<SpanGroup>,
    pub(crate) accepted: u64,
    pub(crate) report: Report,
    pub(crate) request_hash: u128,
    pub(crate) packed: Vec<u8>,
    pub(crate) request_len: u32,
    pub(crate) memory: Share,
}

/// A request that was refused, and how many spans it had as far as is known.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) error: PushError,
    pub(crate) spans: u64,
}

impl From<PushError> for Refused {
    fn from(error: PushError) -> Self {
        Self { error, spans: 0 }
    }
}

/// Decompresses, checks, decodes and packs a request.
pub(crate) fn prepare(
    tenant: &TenantId,
    received: Received,
    rules: &Rules,
    now_ns: u64,
) -> Result<Prepared, Refused> {
    let limits = &rules.limits;
    let Received {
        body,
        encoding,
        format,
        mut memory,
    } = received;
    let body = decompress(body, encoding, limits.max_request_bytes, &mut memory)?;
    match format {
        Format::Protobuf => {
            let counts = prescan(&body, limits)?;
            take(tenant, counts, &body, rules)?;
            let request = reserve(&mut memory, counts, body.len()).and_then(|()| {
                ExportTraceServiceRequest::decode(&body[..]).map_err(|error| PushError::Malformed {
                    reason: error.to_string(),
                })
            });
            let request = request.map_err(|error| Refused {
                error,
                spans: counts.spans,
            })?;
            finish(tenant, request, &body, counts, memory, limits, now_ns)
        }
        Format::Json => {
            let request = decode_json(&body, limits, &mut memory)?;
            drop(body);
            let body = request.encode_to_vec();
            let counts = prescan(&body, limits)?;
            take(tenant, counts, &body, rules)?;
            finish(tenant, request, &body, counts, memory, limits, now_ns)
        }
    }
}

/// Counts a request towards what its tenant may send.
fn take(tenant: &TenantId, counts: Counts, body: &[u8], rules: &Rules) -> Result<(), Refused> {
    let load = Load {
        bytes: body.len() as u64,
        spans: counts.spans,
    };
    let taken = rules.rates.take(tenant, load, Instant::now());
    taken.map_err(|error| Refused {
        error,
        spans: counts.spans,
    })
}

fn reserve(memory: &mut Share, counts: Counts, len: usize) -> Result<(), PushError> {
    memory.grow(usize::try_from(counts.decoded_bytes(len)).unwrap_or(usize::MAX))
}

fn decode_json(
    text: &[u8],
    limits: &LimitsConfig,
    memory: &mut Share,
) -> Result<ExportTraceServiceRequest, PushError> {
    let objects = json::measure(text).objects;
    // An attribute is two objects: itself and its value.
    if objects > limits.max_messages_per_request.saturating_mul(2) {
        return Err(PushError::TooManyItems {
            what: "messages",
            limit: limits.max_messages_per_request,
            key: "ingest.max_messages_per_request",
        });
    }
    let needed = objects
        .saturating_mul(320)
        .saturating_add(2 * text.len() as u64);
    memory.grow(usize::try_from(needed).unwrap_or(usize::MAX))?;
    json::decode_json(text).map_err(|error| PushError::Malformed {
        reason: error.to_string(),
    })
}

fn finish(
    tenant: &TenantId,
    mut request: ExportTraceServiceRequest,
    body: &[u8],
    counts: Counts,
    memory: Share,
    limits: &LimitsConfig,
    now_ns: u64,
) -> Result<Prepared, Refused> {
    let mut report = limits::apply(&mut request, limits, counts.value_depth, body.len(), now_ns);
    // The log holds what was accepted, so that reading it back needs no limits: they may have
    // changed by then, and time has. Ids are checked the same way at any time.
    let logged = if report.altered() {
        request.encode_to_vec()
    } else {
        Vec::new()
    };
    let logged = if report.altered() {
        logged.as_slice()
    } else {
        body
    };
    let too_large = || Refused {
        error: PushError::BodyTooLarge {
            limit: limits.max_request_bytes,
        },
        spans: counts.spans,
    };
    let (packed, request_len) = record::pack(logged).ok_or_else(too_large)?;
    let decoded = storage::otlp::from_request(request);
    report.add(&decoded.rejected);
    Ok(Prepared {
        accepted: decoded.span_count() as u64,
        groups: decoded.groups,
        report,
        request_hash: record::request_hash(tenant, body),
        packed,
        request_len,
        memory,
    })
}
