//! OTLP over gRPC: the unary `TraceService/Export`.
//!
//! The one method is small enough to be read from its frame here. That keeps the raw bytes, which
//! are counted before they are decoded and stored as they came, and keeps the bounds on length,
//! memory and decompression the same as over HTTP.

use bytes::{BufMut, Bytes, BytesMut};
use futures::future;
use http::{HeaderMap, HeaderValue, Method, Request, Response, header};
use http_body_util::{BodyExt as _, Full};
use prost::Message as _;
use tonic::Status;

use super::body;
use super::outcome::response;
use super::status::{self, ResponseBody};
use super::tenant::tenant;
use crate::connections::RequestBody;
use crate::decompress::Encoding;
use crate::error::PushError;
use crate::ingest::{Ingest, PushOutcome};
use crate::prepare::{Format, Received};

const PATH: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
const ACCEPTED_ENCODINGS: &str = "identity,gzip,zstd,deflate";
/// A flag byte and the length of the message.
const PREFIX_LEN: usize = 5;

/// Whether the request is a gRPC call.
pub(super) fn is_grpc(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
}

/// Answers one gRPC call.
pub(super) async fn export(
    ingest: &Ingest,
    request: Request<RequestBody>,
) -> Response<ResponseBody> {
    if request.uri().path() != PATH || request.method() != Method::POST {
        return status::grpc_status(Status::unimplemented("unknown method"));
    }
    match receive(ingest, request).await {
        Ok(outcome) => success(outcome),
        Err(error @ PushError::UnknownEncoding { .. }) => {
            let mut response = status::grpc_status(Status::unimplemented(error.to_string()));
            response.headers_mut().insert(
                "grpc-accept-encoding",
                HeaderValue::from_static(ACCEPTED_ENCODINGS),
            );
            response
        }
        Err(error) => status::grpc(&error),
    }
}

async fn receive(ingest: &Ingest, request: Request<RequestBody>) -> Result<PushOutcome, PushError> {
    let (parts, incoming) = request.into_parts();
    let tenant = tenant(ingest, &parts.headers)?;
    let named = match parts.headers.get("grpc-encoding") {
        Some(name) => Encoding::from_name(&String::from_utf8_lossy(name.as_bytes()))?,
        None => Encoding::Identity,
    };
    let limit = ingest
        .config()
        .ingest
        .max_request_bytes
        .saturating_add(PREFIX_LEN);
    let (frame, memory) = body::read(ingest, incoming, limit, frame_len).await?;
    let (compressed, body) = unframe(frame)?;
    let encoding = if compressed {
        named
    } else {
        Encoding::Identity
    };
    if compressed && encoding == Encoding::Identity {
        return Err(malformed("a compressed message without grpc-encoding"));
    }
    ingest
        .receive(
            &tenant,
            Received {
                body,
                encoding,
                format: Format::Protobuf,
                memory,
            },
        )
        .await
}

/// What a frame begins with: a flag, and the length of its message.
fn prefix(frame: &[u8]) -> Option<(u8, usize)> {
    let [flag, length @ ..] = *frame.first_chunk::<PREFIX_LEN>()?;
    Some((flag, usize::try_from(u32::from_be_bytes(length)).ok()?))
}

/// How long a frame says to be.
fn frame_len(frame: &[u8]) -> Option<usize> {
    let (_, length) = prefix(frame)?;
    length.checked_add(PREFIX_LEN)
}

/// The only message of a unary call, and whether it is compressed.
fn unframe(mut frame: Bytes) -> Result<(bool, Bytes), PushError> {
    let (flag, length) = prefix(&frame).ok_or_else(|| malformed("no whole message"))?;
    let body = frame.split_off(PREFIX_LEN);
    if length != body.len() {
        return Err(malformed(
            "the message is not as long as it says, or is not the only one",
        ));
    }
    match flag {
        0 => Ok((false, body)),
        1 => Ok((true, body)),
        _ => Err(malformed("unknown flag")),
    }
}

fn malformed(reason: &str) -> PushError {
    PushError::Malformed {
        reason: format!("invalid gRPC frame: {reason}"),
    }
}

fn success(outcome: PushOutcome) -> Response<ResponseBody> {
    let message = response(outcome).encode_to_vec();
    let Ok(length) = u32::try_from(message.len()) else {
        return status::grpc(&PushError::Internal);
    };
    let mut frame = BytesMut::with_capacity(PREFIX_LEN + message.len());
    frame.put_u8(0);
    frame.put_u32(length);
    frame.put_slice(&message);
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let body = Full::new(frame.freeze()).with_trailers(future::ready(Some(Ok(trailers))));
    let mut response = Response::new(body.boxed_unsync());
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/grpc"),
    );
    headers.insert(
        "grpc-accept-encoding",
        HeaderValue::from_static(ACCEPTED_ENCODINGS),
    );
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_holds_exactly_one_message() {
        let frame = |bytes: &'static [u8]| unframe(Bytes::from_static(bytes));
        assert_eq!(frame(&[0, 0, 0, 0, 0]).unwrap(), (false, Bytes::new()));
        assert_eq!(
            frame(&[1, 0, 0, 0, 2, 7, 8]).unwrap(),
            (true, Bytes::from_static(&[7, 8]))
        );
        for bad in [
            &[] as &'static [u8],
            &[0, 0, 0, 0],
            &[0, 0, 0, 0, 2, 7],
            &[0, 0, 0, 0, 1, 7, 8],
            &[2, 0, 0, 0, 0],
            &[0, 255, 255, 255, 255, 1],
        ] {
            assert!(frame(bad).is_err(), "{bad:?}");
        }
    }
}
