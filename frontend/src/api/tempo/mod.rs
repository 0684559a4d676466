//! The Tempo API: plain-text errors, parameters in the URL only.

mod encoding;
mod legacy;
mod messages;
mod otlp_json;
pub(super) mod params;
mod proto_json;
mod search;
mod tags;
mod trace;
mod window;
mod wire;

pub use self::trace::{Trace, TraceByIdMetrics, TraceByIdResponse};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;

use self::params::{InvalidParameter, MetricsParams};
use super::params::Params;
use super::tenancy::{self, TenancyError};
use super::{ApiState, body};
use crate::answer::RangeRequest;
use crate::error::{ErrorKind, QueryError};
use crate::limits;
use crate::query::Frontend;

/// When a client that was refused for a full queue should come back.
const RETRY_AFTER_SECONDS: &str = "2";

pub(super) fn routes() -> Router<ApiState> {
    Router::new()
        .route("/api/metrics/query_range", any(query_range))
        .route("/api/metrics/query", any(query_instant))
        .route("/api/traces/{id}", any(trace::v1))
        .route("/api/v2/traces/{id}", any(trace::v2))
        .route("/api/search", any(search::search))
        .route("/api/search/tags", any(tags::names_v1))
        .route("/api/v2/search/tags", any(tags::names_v2))
        .route("/api/search/tag/{tag}/values", any(tags::values_v1))
        .route("/api/v2/search/tag/{tag}/values", any(tags::values_v2))
}

async fn query_range(
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

async fn query_instant(
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

/// An error as the Tempo API shows it.
#[derive(Debug)]
enum TempoError {
    Tenancy(TenancyError),
    Parameter(InvalidParameter),
    Query(QueryError),
}

impl TempoError {
    fn status(&self) -> StatusCode {
        match self {
            Self::Tenancy(error) => error.status,
            Self::Parameter(_) => StatusCode::BAD_REQUEST,
            Self::Query(error) => match error.kind() {
                ErrorKind::Invalid => StatusCode::BAD_REQUEST,
                ErrorKind::LimitExceeded => StatusCode::UNPROCESSABLE_ENTITY,
                ErrorKind::Overloaded => StatusCode::TOO_MANY_REQUESTS,
                ErrorKind::Timeout | ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
                // "Client closed request": nobody reads it but the log.
                ErrorKind::Cancelled => {
                    StatusCode::from_u16(499).unwrap_or(StatusCode::SERVICE_UNAVAILABLE)
                }
                ErrorKind::Execution | ErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            },
        }
    }
}

impl IntoResponse for TempoError {
    fn into_response(self) -> Response {
        let status = self.status();
        let text = match self {
            Self::Tenancy(error) => error.message,
            Self::Parameter(error) => error.to_string(),
            Self::Query(error) => error.to_string(),
        };
        let mut response = (status, text).into_response();
        if status == StatusCode::TOO_MANY_REQUESTS {
            let delay = HeaderValue::from_static(RETRY_AFTER_SECONDS);
            response.headers_mut().insert(header::RETRY_AFTER, delay);
        }
        response
    }
}

impl From<TenancyError> for TempoError {
    fn from(error: TenancyError) -> Self {
        Self::Tenancy(error)
    }
}

impl From<InvalidParameter> for TempoError {
    fn from(error: InvalidParameter) -> Self {
        Self::Parameter(error)
    }
}

impl From<QueryError> for TempoError {
    fn from(error: QueryError) -> Self {
        Self::Query(error)
    }
}
