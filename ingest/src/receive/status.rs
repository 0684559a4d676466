//! Errors as each protocol says them.
//!
//! Senders try again on HTTP 429, 502, 503 and 504, and on gRPC `UNAVAILABLE` and a few more, but on
//! `RESOURCE_EXHAUSTED` only with a `RetryInfo`. So what can never succeed must be none of these,
//! and what can must be one.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use prost::Message;
use serde_json::json;
use tonic::Code;

use crate::error::{ErrorKind, PushError};

/// The body of a response.
pub(super) type ResponseBody = UnsyncBoxBody<Bytes, Infallible>;

const RETRY_INFO_URL: &str = "type.googleapis.com/google.rpc.RetryInfo";

/// `google.rpc.Status`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct RpcStatus {
    #[prost(int32, tag = "1")]
    pub(super) code: i32,
    #[prost(string, tag = "2")]
    pub(super) message: String,
    #[prost(message, repeated, tag = "3")]
    pub(super) details: Vec<AnyMessage>,
}

/// `google.protobuf.Any`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct AnyMessage {
    #[prost(string, tag = "1")]
    pub(super) type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    pub(super) value: Vec<u8>,
}

/// `google.rpc.RetryInfo`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    pub(super) retry_delay: Option<ProtoDuration>,
}

/// `google.protobuf.Duration`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct ProtoDuration {
    #[prost(int64, tag = "1")]
    pub(super) seconds: i64,
    #[prost(int32, tag = "2")]
    pub(super) nanos: i32,
}

fn code(error: &PushError) -> Code {
    match error.kind() {
        ErrorKind::Invalid => Code::InvalidArgument,
        ErrorKind::TooLarge | ErrorKind::RateLimited { .. } => Code::ResourceExhausted,
        ErrorKind::Unauthenticated => Code::Unauthenticated,
        ErrorKind::Unavailable { .. } => Code::Unavailable,
        ErrorKind::Timeout => Code::DeadlineExceeded,
        ErrorKind::Internal => Code::Internal,
    }
}

fn http_code(error: &PushError) -> StatusCode {
    match error.kind() {
        ErrorKind::Invalid => StatusCode::BAD_REQUEST,
        ErrorKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorKind::RateLimited { .. } => StatusCode::TOO_MANY_REQUESTS,
        ErrorKind::Unauthenticated => StatusCode::UNAUTHORIZED,
        ErrorKind::Unavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::Timeout => StatusCode::REQUEST_TIMEOUT,
        ErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

fn retry_after(error: &PushError) -> Option<Duration> {
    match error.kind() {
        ErrorKind::Unavailable { retry_after } | ErrorKind::RateLimited { retry_after } => {
            Some(retry_after)
        }
        _ => None,
    }
}

fn rpc_status(error: &PushError) -> RpcStatus {
    let details = retry_after(error).map(|delay| AnyMessage {
        type_url: RETRY_INFO_URL.to_owned(),
        value: RetryInfo {
            retry_delay: Some(ProtoDuration {
                seconds: i64::try_from(delay.as_secs()).unwrap_or(i64::MAX),
                nanos: 0,
            }),
        }
        .encode_to_vec(),
    });
    RpcStatus {
        code: i32::from(code(error)),
        message: error.to_string(),
        details: details.into_iter().collect(),
    }
}

/// The answer of a failed gRPC call.
pub(super) fn grpc(error: &PushError) -> Response<ResponseBody> {
    let status = rpc_status(error);
    let details = if status.details.is_empty() {
        Bytes::new()
    } else {
        status.encode_to_vec().into()
    };
    grpc_status(tonic::Status::with_details(
        code(error),
        status.message,
        details,
    ))
}

/// A gRPC status as an answer without a message.
pub(super) fn grpc_status(status: tonic::Status) -> Response<ResponseBody> {
    status
        .into_http::<Full<Bytes>>()
        .map(|body| body.boxed_unsync())
}

/// The answer of a failed HTTP request, as JSON or protobuf.
pub(super) fn http(error: &PushError, json: bool) -> Response<ResponseBody> {
    let retry_after = retry_after(error).map(|delay| delay.as_secs());
    let body = if json {
        let details: Vec<_> = retry_after
            .map(|seconds| json!({"@type": RETRY_INFO_URL, "retryDelay": format!("{seconds}s")}))
            .into_iter()
            .collect();
        let body = json!({"code": i32::from(code(error)), "message": error.to_string(), "details": details});
        body.to_string().into_bytes()
    } else {
        rpc_status(error).encode_to_vec()
    };
    let mut response = message(http_code(error), body, json);
    if let Some(seconds) = retry_after {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// A message in the encoding of the request.
pub(super) fn message(status: StatusCode, body: Vec<u8>, json: bool) -> Response<ResponseBody> {
    with_body(
        status,
        body,
        if json {
            "application/json"
        } else {
            "application/x-protobuf"
        },
    )
}

/// An answer that is a short text.
pub(super) fn text(status: StatusCode, text: &'static str) -> Response<ResponseBody> {
    with_body(
        status,
        text.as_bytes().to_vec(),
        "text/plain; charset=utf-8",
    )
}

fn with_body(
    status: StatusCode,
    body: Vec<u8>,
    content_type: &'static str,
) -> Response<ResponseBody> {
    let mut response = Response::new(Full::new(Bytes::from(body)).boxed_unsync());
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_succeed_later_asks_for_a_retry() {
        let forever = [
            PushError::Malformed {
                reason: String::new(),
            },
            PushError::BodyTooLarge { limit: 1 },
            PushError::TooManyItems {
                what: "spans",
                limit: 1,
                key: "k",
            },
            PushError::LargerThanBurst {
                observed: 2,
                what: "spans",
                limit: 1,
                key: "k",
            },
            PushError::TenantMissing,
            PushError::Internal,
        ];
        for error in forever {
            let response = grpc(&error);
            let status = tonic::Status::from_header_map(response.headers()).unwrap();
            let retried = [
                Code::Unavailable,
                Code::Aborted,
                Code::Cancelled,
                Code::OutOfRange,
                Code::DataLoss,
            ];
            assert!(!retried.contains(&status.code()), "{error}");
            assert!(status.details().is_empty());
            let response = http(&error, true);
            assert!(
                ![429, 502, 503, 504].contains(&response.status().as_u16()),
                "{error}"
            );
            assert!(!response.headers().contains_key(header::RETRY_AFTER));
        }
        let later = [
            (
                PushError::Overloaded {
                    resource: "r",
                    key: "k",
                },
                Code::Unavailable,
                1,
            ),
            (
                PushError::RateLimited {
                    what: "bytes",
                    limit: 1,
                    key: "k",
                    retry_after: Duration::from_secs(7),
                },
                Code::ResourceExhausted,
                7,
            ),
            (PushError::DiskFull, Code::Unavailable, 30),
            (PushError::DiskLow { limit: 1 }, Code::Unavailable, 30),
            (PushError::WalUnavailable, Code::Unavailable, 1),
            (PushError::ShuttingDown, Code::Unavailable, 1),
        ];
        for (error, code, seconds) in later {
            let status = tonic::Status::from_header_map(grpc(&error).headers()).unwrap();
            assert_eq!(status.code(), code);
            let details = RpcStatus::decode(status.details()).unwrap();
            assert_eq!(details.details[0].type_url, RETRY_INFO_URL);
            let info = RetryInfo::decode(details.details[0].value.as_slice()).unwrap();
            assert_eq!(info.retry_delay.unwrap().seconds, seconds);
            let response = http(&error, false);
            let http_code = match code {
                Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
                _ => StatusCode::SERVICE_UNAVAILABLE,
            };
            assert_eq!(response.status(), http_code);
            assert_eq!(response.headers()[header::RETRY_AFTER], seconds.to_string());
        }
    }
}
