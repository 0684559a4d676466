//! `/api/metrics/query_range` and `/api/metrics/query`.

use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::Response;

use super::error::TempoError;
use super::metrics_params::MetricsParams;
use super::wire;
use crate::answer::RangeRequest;
use crate::api::params::Params;
use crate::api::state::ApiState;
use crate::api::{body, tenancy};
use crate::error::QueryError;
use crate::limits;
use crate::query::Frontend;

pub(super) async fn query_range(
    State(state): State<ApiState>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, TempoError> {
    let frontend = &*state.frontend;
    let tenants = tenancy::tenants(frontend.config(), &headers)?;
    let params = MetricsParams::parse(&Params::of_url(&uri), frontend.config(), frontend.now_ns())?;
    let grid = params.range_grid(frontend.config())?;
    check_range(frontend, &params)?;
    let request = RangeRequest {
        tenants,
        query: params.query,
        dialect: params.dialect,
        grid,
        max_series: params.max_series,
        exemplars: params.exemplars,
        timeout: None,
    };
    let answer = frontend.query_range(&request).await?;
    let limit = frontend.config().query.max_response_bytes;
    Ok(body::json(wire::RangeResponse(answer), limit).await?)
}

pub(super) async fn query_instant(
    State(state): State<ApiState>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, TempoError> {
    let frontend = &*state.frontend;
    let tenants = tenancy::tenants(frontend.config(), &headers)?;
    let params = MetricsParams::parse(&Params::of_url(&uri), frontend.config(), frontend.now_ns())?;
    let grid = params.instant_grid()?;
    check_range(frontend, &params)?;
    let request = RangeRequest {
        tenants,
        query: params.query,
        dialect: params.dialect,
        grid,
        max_series: params.max_series,
        exemplars: 0,
        timeout: None,
    };
    let answer = frontend.query_range(&request).await?;
    let limit = frontend.config().query.max_response_bytes;
    Ok(body::json(wire::InstantResponse(answer), limit).await?)
}

fn check_range(frontend: &Frontend, params: &MetricsParams) -> Result<(), QueryError> {
    let checked = limits::check_range(frontend.config(), params.start_ns, params.end_ns);
    if let Err(error) = &checked
        && let Some(code) = error.limit_code()
    {
        frontend.metrics.limit_hit(code);
    }
    checked
}
