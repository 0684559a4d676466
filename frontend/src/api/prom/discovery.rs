//! Names and values that queries can use.

use std::collections::BTreeSet;

use axum::extract::{Path, Request, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde_json::{Map, Value, json};

use super::envelope::{ApiError, Success};
use super::params;
use crate::api::params::Params;
use crate::api::state::ApiState;
use crate::api::tenancy;
use crate::names::{METRIC_FUNCTIONS, NamesRequest};

const METRIC_NAME: &str = "__name__";

/// `/api/v1/labels`: every name that a query can use in the time range.
pub(super) async fn labels(
    State(state): State<ApiState>,
    headers: HeaderMap,
    request: Request,
) -> Result<Response, ApiError> {
    let tenants = tenancy::tenants(state.frontend.config(), &headers)?;
    let params = Params::of_url_and_form(state.frontend.config(), request).await?;
    let limit = params::limit(&params)?;
    let (start_ns, end_ns) = time_range(&params)?;
    let mut names = vec![METRIC_NAME.to_owned()];
    names.extend(
        state
            .frontend
            .names(&NamesRequest {
                tenants,
                start_ns,
                end_ns,
                filter: None,
            })
            .await?,
    );
    names.sort_unstable();
    limited(names, limit)
        .bounded(state.frontend.config().query.max_response_bytes)
        .await
}

/// `/api/v1/label/{name}/values`.
pub(super) async fn values(
    State(state): State<ApiState>,
    Path(name): Path<String>,
    headers: HeaderMap,
    request: Request,
) -> Result<Response, ApiError> {
    let tenants = tenancy::tenants(state.frontend.config(), &headers)?;
    let params = Params::of_url_and_form(state.frontend.config(), request).await?;
    let limit = params::limit(&params)?;
    let (start_ns, end_ns) = time_range(&params)?;
    let name = unescape(&name);
    if name == METRIC_NAME {
        let names = METRIC_FUNCTIONS
            .iter()
            .map(|(name, _)| (*name).to_owned())
            .collect();
        return Ok(limited(names, limit).small());
    }
    let request = NamesRequest {
        tenants,
        start_ns,
        end_ns,
        filter: None,
    };
    // A text that names nothing has no values.
    let Ok(name) = traceql::parse_attribute(&name) else {
        return Ok(limited(Vec::new(), limit).small());
    };
    let limits = state.frontend.value_limits();
    let found = state.frontend.values(&request, &name, limits).await?;
    let texts: BTreeSet<String> = found.values.into_iter().map(|value| value.text).collect();
    let mut success = limited(texts.into_iter().collect(), limit);
    success.warnings.extend(found.partial);
    success
        .bounded(state.frontend.config().query.max_response_bytes)
        .await
}

/// `/api/v1/series`: always empty, because series are made by queries. A non-empty answer would tell
/// Grafana that service graph metrics are stored here.
pub(super) async fn series(
    State(state): State<ApiState>,
    headers: HeaderMap,
    request: Request,
) -> Result<Response, ApiError> {
    tenancy::tenants(state.frontend.config(), &headers)?;
    let params = Params::of_url_and_form(state.frontend.config(), request).await?;
    params::limit(&params)?;
    time_range(&params)?;
    if params.get("match[]").is_none() {
        return Err(ApiError::bad_data("no match[] parameter provided"));
    }
    Ok(Success::new(json!([])).small())
}

/// `/api/v1/metadata`: what the functions mean.
pub(super) async fn metadata(
    State(state): State<ApiState>,
    request: Request,
) -> Result<Response, ApiError> {
    let params = Params::of_url_and_form(state.frontend.config(), request).await?;
    let limit = params::limit(&params)?.unwrap_or(usize::MAX);
    let wanted = params.get("metric");
    let functions = METRIC_FUNCTIONS
        .iter()
        .filter(|(name, _)| wanted.is_none_or(|w| w == *name));
    let metadata: Map<String, Value> = functions
        .take(limit)
        .map(|(name, help)| {
            (
                (*name).to_owned(),
                json!([{"type": "gauge", "help": help, "unit": ""}]),
            )
        })
        .collect();
    Ok(Success::new(metadata).small())
}

/// `start` and `end`, each open unless given.
fn time_range(params: &Params) -> Result<(i64, i64), ApiError> {
    let start_ns = params::time(params, "start")?.unwrap_or(i64::MIN);
    let end_ns = params::time(params, "end")?.unwrap_or(i64::MAX);
    if end_ns < start_ns {
        let problem = "end timestamp must not be before start time";
        return Err(ApiError::parameter("end", problem));
    }
    Ok((start_ns, end_ns))
}

fn limited(mut values: Vec<String>, limit: Option<usize>) -> Success<Vec<String>> {
    let truncated = limit.is_some_and(|limit| limit < values.len());
    if let Some(limit) = limit {
        values.truncate(limit);
    }
    let mut success = Success::new(values);
    if truncated {
        success
            .warnings
            .push("results truncated due to limit".to_owned());
    }
    success
}

/// A name from its escaped form: after `U__`, two underscores are one and `_HEX_` is a code point.
/// A text that is not well escaped is taken as it is, as Prometheus does.
fn unescape(name: &str) -> String {
    let decode = || {
        let mut rest = name.strip_prefix("U__")?;
        let mut decoded = String::new();
        while let Some(start) = rest.find('_') {
            decoded.push_str(&rest[..start]);
            let after = &rest[start + 1..];
            let end = after.find('_')?;
            match &after[..end] {
                "" => decoded.push('_'),
                hex => decoded.push(char::from_u32(u32::from_str_radix(hex, 16).ok()?)?),
            }
            rest = &after[end + 1..];
        }
        decoded.push_str(rest);
        Some(decoded)
    };
    decode().unwrap_or_else(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaped_names() {
        for (escaped, name) in [
            ("U__resource_2e_service_2e_name", "resource.service.name"),
            ("U__span_2e_http_2e_status__code", "span.http.status_code"),
            ("U__a__b", "a_b"),
            ("U__", ""),
            ("resource.service.name", "resource.service.name"),
            ("status", "status"),
            ("U__bad_zz_", "U__bad_zz_"),
            ("U__open_2e", "U__open_2e"),
            ("U___1F600_", "\u{1F600}"),
        ] {
            assert_eq!(unescape(escaped), name, "{escaped}");
        }
    }
}
