//! From the bytes of a request to spans and a record for the log: everything before the log that
//! costs time, and nothing that waits.

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;
use storage::ids::TenantId;
use storage::otlp::PlainRequest;

use crate::budget::Share;
use crate::config::LimitsConfig;
use crate::decompress::{Encoding, decompress};
use crate::error::PushError;
use crate::json;
use crate::limits::{self, LimitReport};
use crate::prescan::{Counts, prescan};
use crate::rates::{Load, Rates};
use crate::wal::record;

const SECOND_NS: u64 = 1_000_000_000;

/// The encoding of a request: OTLP as protobuf or as JSON.
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
    /// Kept as it is if it is plain, with all of the memory that it is a part of.
    pub(crate) body: Bytes,
    pub(crate) encoding: Encoding,
    pub(crate) format: Format,
    /// The memory that the body takes up.
    pub(crate) memory: Share,
}

/// A request ready for the log.
#[derive(Debug)]
pub(crate) struct Prepared {
    /// What was accepted, and goes to the log. Says when it arrived.
    pub(crate) spans: PlainRequest,
    pub(crate) report: LimitReport,
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

/// Decompresses, checks and packs a request that arrived at `now_ns`, ns since the epoch.
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
            let bounds = limits::bounds(limits, now_ns);
            let found = match PlainRequest::from_bytes(body.clone(), &bounds) {
                Some(plain) => Ok(plain),
                None => Err(prescan(&body, limits)?),
            };
            let spans = match &found {
                Ok(plain) => plain.span_count() as u64,
                Err(counts) => counts.spans,
            };
            take(tenant, spans, &body, rules)?;
            let refused = |error| Refused { error, spans };
            // Room for the copy that is compressed.
            memory.grow(body.len()).map_err(refused)?;
            let request_hash = record::request_hash(tenant, &body);
            let counts = match found {
                Ok(plain) => {
                    let report = LimitReport::default();
                    return pack(plain, report, request_hash, memory, limits, now_ns);
                }
                Err(counts) => counts,
            };
            reserve(&mut memory, counts, body.len()).map_err(refused)?;
            let request = ExportTraceServiceRequest::decode(&body[..]);
            let request = request.map_err(|error| {
                refused(PushError::Malformed {
                    reason: error.to_string(),
                })
            })?;
            let (spans, report) = put_right(request, counts, body.len(), limits, now_ns);
            pack(spans, report, request_hash, memory, limits, now_ns)
        }
        Format::Json => {
            let request = decode_json(&body, limits, &mut memory)?;
            drop(body);
            let body = request.encode_to_vec();
            let counts = prescan(&body, limits)?;
            take(tenant, counts.spans, &body, rules)?;
            let request_hash = record::request_hash(tenant, &body);
            let (spans, report) = put_right(request, counts, body.len(), limits, now_ns);
            pack(spans, report, request_hash, memory, limits, now_ns)
        }
    }
}

/// Counts a request towards what its tenant may send.
fn take(tenant: &TenantId, spans: u64, body: &[u8], rules: &Rules) -> Result<(), Refused> {
    let load = Load {
        bytes: body.len() as u64,
        spans,
    };
    let taken = rules.rates.take(tenant, load);
    taken.map_err(|error| Refused { error, spans })
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

/// Cuts what is too long, and leaves out spans that are too large or invalid.
fn put_right(
    mut request: ExportTraceServiceRequest,
    counts: Counts,
    request_len: usize,
    limits: &LimitsConfig,
    now_ns: u64,
) -> (PlainRequest, LimitReport) {
    let depth = counts.value_depth;
    let mut report = limits::apply(&mut request, limits, depth, request_len, now_ns);
    let (spans, rejected) = PlainRequest::from_message(request);
    report.add(&rejected);
    (spans, report)
}

/// Compresses for the log what was accepted, so that reading it back needs no limits: they may have
/// changed by then, and time has.
fn pack(
    spans: PlainRequest,
    report: LimitReport,
    request_hash: u128,
    memory: Share,
    limits: &LimitsConfig,
    now_ns: u64,
) -> Result<Prepared, Refused> {
    // The second that ends the interval, open on the left, in which the request arrived: metrics count
    // its spans there.
    let received_s = i64::try_from(now_ns.div_ceil(SECOND_NS)).ok();
    let (packed, request_len) = record::pack(spans.bytes()).ok_or_else(|| Refused {
        error: PushError::BodyTooLarge {
            limit: limits.max_request_bytes,
        },
        spans: spans.span_count() as u64,
    })?;
    Ok(Prepared {
        spans: spans.arrived(received_s),
        report,
        request_hash,
        packed,
        request_len,
        memory,
    })
}
