//! `/api/search`: the newest traces that match.

use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::Response;

use super::encoding::Encoding;
use super::error::TempoError;
use super::found::response;
use super::search_params::SearchParams;
use crate::api::params::Params;
use crate::api::state::ApiState;
use crate::api::tenancy;
use crate::search::SearchRequest;
use crate::threads::off_reactor;

pub(super) async fn search(
    State(state): State<ApiState>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, TempoError> {
    let frontend = &*state.frontend;
    let config = frontend.config();
    let tenants = tenancy::tenants(config, &headers)?;
    let params = SearchParams::parse(&Params::of_url(&uri), config, frontend.now_ns())?;
    let request = SearchRequest {
        tenants,
        query: params.query,
        dialect: params.dialect,
        start_ns: params.window.start_ns,
        end_ns: params.window.end_ns,
        limit: params.limit,
        spans_per_spanset: params.spans_per_spanset,
    };
    let answer = frontend.search(&request).await?;
    let padded = config.overrides.defaults.read.left_pad_trace_ids;
    let response = off_reactor(move || response(answer, padded)).await?;
    let limit = config.query.max_response_bytes;
    Ok(Encoding::accepted(&headers).send(response, limit).await?)
}
