//! The Prometheus API, as far as Grafana's Prometheus data source uses it.
//!
//! Every path takes GET and POST, parameters come from the URL and from forms, and statuses are
//! only those that the data source parses as Prometheus answers: 200, 400, 422 and 503, besides 401
//! for a missing tenant and 404 for unknown paths.

mod discovery;
mod envelope;
mod exemplars;
mod language;
mod params;
mod query;
mod render;
mod sample;
mod status;
mod wire;

use std::any::Any;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{Method, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};

use self::envelope::ApiError;
use crate::api::panics::log_panic;
use crate::api::state::ApiState;

/// Routes below `/prom`.
pub(super) fn routes() -> Router<ApiState> {
    let both = |handler: fn() -> MethodRouter<ApiState>| handler().fallback(method_not_allowed);
    Router::new()
        .route(
            "/api/v1/query",
            both(|| get(query::instant).post(query::instant)),
        )
        .route(
            "/api/v1/query_range",
            both(|| get(query::range).post(query::range)),
        )
        .route(
            "/api/v1/query_exemplars",
            both(|| get(exemplars::exemplars).post(exemplars::exemplars)),
        )
        .route(
            "/api/v1/format_query",
            both(|| get(query::format).post(query::format)),
        )
        .route(
            "/api/v1/labels",
            both(|| get(discovery::labels).post(discovery::labels)),
        )
        .route(
            "/api/v1/label/{name}/values",
            both(|| get(discovery::values).post(discovery::values)),
        )
        .route(
            "/api/v1/series",
            both(|| get(discovery::series).post(discovery::series)),
        )
        .route(
            "/api/v1/metadata",
            both(|| get(discovery::metadata).post(discovery::metadata)),
        )
        .route(
            "/api/v1/{page}",
            both(|| get(status::page).post(status::page)),
        )
        .route(
            "/api/v1/status/{page}",
            both(|| get(status::status).post(status::status)),
        )
        .route(
            "/-/healthy",
            both(|| get(status::healthy).post(status::healthy)),
        )
        .route("/-/ready", both(|| get(status::ready).post(status::ready)))
        .fallback(async || ApiError::not_found())
        // Forms have a limit of their own, which depends on that of the query.
        .layer(DefaultBodyLimit::disable())
        .layer(middleware::from_fn(answer_options))
}

/// Any OPTIONS request has the same answer.
async fn answer_options(request: Request, next: Next) -> Response {
    if request.method() == Method::OPTIONS {
        return StatusCode::NO_CONTENT.into_response();
    }
    next.run(request).await
}

async fn method_not_allowed(method: Method) -> ApiError {
    ApiError::bad_data(format!("method {method} is not allowed: use GET or POST"))
}

/// The answer to a request whose handler panicked.
#[expect(
    clippy::needless_pass_by_value,
    reason = "the layer hands the panic over"
)]
pub(super) fn internal_error(panic: Box<dyn Any + Send>) -> Response {
    log_panic(&*panic);
    ApiError::internal("internal error, see the log").into_response()
}
