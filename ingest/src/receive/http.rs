//! OTLP over HTTP: `POST /v1/traces`.

use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use prost::Message as _;
use serde_json::json;

use super::body;
use super::outcome::response;
use super::status::{self, ResponseBody};
use super::tenant::tenant;
use crate::connections::RequestBody;
use crate::decompress::Encoding;
use crate::error::PushError;
use crate::ingest::{Ingest, PushOutcome};
use crate::prepare::{Format, Received};

const PATH: &str = "/v1/traces";

/// Whether the body is said to be JSON.
pub(super) fn is_json(headers: &HeaderMap) -> bool {
    media_type(headers).eq_ignore_ascii_case("application/json")
}

fn is_protobuf(headers: &HeaderMap) -> bool {
    let media_type = media_type(headers);
    media_type.eq_ignore_ascii_case("application/x-protobuf")
        || media_type.eq_ignore_ascii_case("application/protobuf")
}

/// The content type without its parameters.
fn media_type(headers: &HeaderMap) -> &str {
    let content_type = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    content_type.split(';').next().unwrap_or_default().trim()
}

/// Answers one HTTP request.
pub(super) async fn export(
    ingest: &Ingest,
    request: Request<RequestBody>,
) -> Response<ResponseBody> {
    if request.uri().path() != PATH {
        return status::text(StatusCode::NOT_FOUND, "not found\n");
    }
    if request.method() != Method::POST {
        let mut response = status::text(
            StatusCode::METHOD_NOT_ALLOWED,
            "method not allowed; use POST\n",
        );
        response
            .headers_mut()
            .insert(header::ALLOW, HeaderValue::from_static("POST"));
        return response;
    }
    let json = is_json(request.headers());
    if !json && !is_protobuf(request.headers()) {
        return status::text(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported content type; use application/x-protobuf or application/json\n",
        );
    }
    match receive(ingest, request, json).await {
        Ok(outcome) => status::message(StatusCode::OK, success(outcome, json), json),
        Err(error) => status::http(&error, json),
    }
}

async fn receive(
    ingest: &Ingest,
    request: Request<RequestBody>,
    json: bool,
) -> Result<PushOutcome, PushError> {
    let (parts, incoming) = request.into_parts();
    let tenant = tenant(ingest, &parts.headers)?;
    let encoding = match parts.headers.get(header::CONTENT_ENCODING) {
        Some(name) => Encoding::from_name(&String::from_utf8_lossy(name.as_bytes()))?,
        None => Encoding::Identity,
    };
    let limit = ingest.config().ingest.max_request_bytes;
    let (body, memory) = body::read(ingest, incoming, limit, |_| None).await?;
    let format = if json { Format::Json } else { Format::Protobuf };
    ingest
        .receive(
            &tenant,
            Received {
                body,
                encoding,
                format,
                memory,
            },
        )
        .await
}

fn success(outcome: PushOutcome, json: bool) -> Vec<u8> {
    let response = response(outcome);
    if !json {
        return response.encode_to_vec();
    }
    let body = match response.partial_success {
        None => json!({}),
        Some(partial) => json!({"partialSuccess": {
            "rejectedSpans": partial.rejected_spans.to_string(),
            "errorMessage": partial.error_message,
        }}),
    };
    body.to_string().into_bytes()
}
