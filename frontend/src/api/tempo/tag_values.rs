//! Values of attributes: `/api/search/tag/{name}/values` and its newer form.

use axum::extract::{Path, State};
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use storage::block::ValueLimits;
use traceql::ast::{Attribute, Intrinsic, Scope};

use super::error::TempoError;
use super::invalid::InvalidParameter;
use super::messages::{
    MetadataMetrics, SearchTagValuesResponse, SearchTagValuesV2Response, TagValue,
};
use super::tags::{count, request, send};
use crate::api::params::Params;
use crate::api::state::ApiState;
use crate::query::Frontend;
use crate::values::Values;

/// `/api/v2/search/tag/{name}/values`: values with their types.
pub(super) async fn values_v2(
    State(state): State<ApiState>,
    Path(tag): Path<String>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, TempoError> {
    let name = traceql::parse_attribute(&tag);
    let name = name.map_err(|error| InvalidParameter::TagName(error.to_string()))?;
    let found = values(&state.frontend, &headers, &uri, &name).await?;
    let values = found.values.into_iter().map(|value| TagValue {
        value_type: value.value_type.to_string(),
        value: value.text,
    });
    let response = SearchTagValuesV2Response {
        tag_values: values.collect(),
        metrics: Some(MetadataMetrics::from(&found.stats)),
    };
    send(&state.frontend, &headers, response, found.partial).await
}

/// `/api/search/tag/{name}/values`: values as text, of a name without scope.
pub(super) async fn values_v1(
    State(state): State<ApiState>,
    Path(tag): Path<String>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, TempoError> {
    let found = values(&state.frontend, &headers, &uri, &plain_name(&tag)).await?;
    let mut texts: Vec<String> = found.values.into_iter().map(|value| value.text).collect();
    // The same text may have been a value of several types.
    texts.sort_unstable();
    texts.dedup();
    let response = SearchTagValuesResponse {
        tag_values: texts,
        metrics: Some(MetadataMetrics::from(&found.stats)),
    };
    send(&state.frontend, &headers, response, found.partial).await
}

/// What a name means that does not say its scope.
fn plain_name(tag: &str) -> Attribute {
    match traceql::parse_attribute(tag) {
        Ok(attribute @ Attribute::Intrinsic { .. }) => attribute,
        _ if tag == "status.code" => Attribute::of_span(Intrinsic::Status),
        _ => Attribute::Key {
            scope: Scope::Unscoped,
            of_parent: false,
            key: tag.to_owned(),
        },
    }
}

async fn values(
    frontend: &Frontend,
    headers: &HeaderMap,
    uri: &Uri,
    name: &Attribute,
) -> Result<Values, TempoError> {
    let params = Params::of_url(uri);
    let request = request(frontend, headers, &params)?;
    let limits = ValueLimits {
        values: count(&params, "limit")?,
        stale: count(&params, "maxStaleValues")?,
        ..frontend.value_limits()
    };
    Ok(frontend.values(&request, name, limits).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_names() {
        for (tag, expected) in [
            ("name", "name"),
            ("status.code", "status"),
            ("status", "status"),
            ("service.name", ".service.name"),
            ("span.foo", ".span.foo"),
            ("http.status_code", ".http.status_code"),
        ] {
            assert_eq!(plain_name(tag).canonical(), expected);
        }
    }
}
