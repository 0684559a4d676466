//! What requests for names and values of attributes, which Tempo calls tags, have in common.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::Response;

use super::encoding::Encoding;
use super::error::TempoError;
use super::invalid::{InvalidParameter, unreadable};
use super::params::time;
use super::proto_json;
use super::window::Window;
use crate::api::params::Params;
use crate::api::tenancy;
use crate::names::NamesRequest;
use crate::query::Frontend;

/// Says why an answer is not complete, which its body cannot.
const WARNING: HeaderName = HeaderName::from_static("x-spandrel-warning");

/// Whose names or values, and of which spans.
pub(super) fn request(
    frontend: &Frontend,
    headers: &HeaderMap,
    params: &Params,
) -> Result<NamesRequest, TempoError> {
    let config = frontend.config();
    let tenants = tenancy::tenants(config, headers)?;
    let window = Window::parse(params, config, frontend.now_ns(), time)?;
    Ok(NamesRequest {
        tenants,
        start_ns: window.start_ns,
        end_ns: window.end_ns,
        filter: params.get("q").map(str::to_owned),
    })
}

/// A number of names or values; 0 and nothing mean as many as there are.
pub(super) fn count(params: &Params, name: &'static str) -> Result<usize, InvalidParameter> {
    let parse = |text: &str| {
        let count = text.parse::<u32>().ok();
        let count = count.and_then(|count| usize::try_from(count).ok());
        count.ok_or_else(|| unreadable(name, text, "a whole number, zero or more"))
    };
    let count = params.get(name).map(parse).transpose()?;
    Ok(count.filter(|count| *count > 0).unwrap_or(usize::MAX))
}

/// Answers with a message, and a warning if it is not complete.
pub(super) async fn send<T>(
    frontend: &Frontend,
    headers: &HeaderMap,
    message: T,
    warning: Option<String>,
) -> Result<Response, TempoError>
where
    T: prost::Message + proto_json::Message + 'static,
{
    let limit = frontend.config().query.max_response_bytes;
    let mut response = Encoding::accepted(headers).send(message, limit).await?;
    let warning = warning.and_then(|text| HeaderValue::from_str(&text).ok());
    if let Some(warning) = warning {
        response.headers_mut().insert(WARNING, warning);
    }
    Ok(response)
}
