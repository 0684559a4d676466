//! The HTTP query APIs.
//!
//! [`prom`] is for Grafana's Prometheus data source, [`tempo`] for its Tempo data source; both ask
//! the same [`Frontend`] and differ in parameters, envelopes and status codes. [`operations`] is for
//! people and probes.
//!
//! Responses are compressed with gzip or not at all: Grafana's resource path forwards a browser's
//! `Accept-Encoding` and then fails on zstd.

mod body;
mod operations;
mod panics;
mod params;
mod prom;
mod state;
mod step;
mod tempo;
mod tenancy;
mod time;

use std::any::Any;
use std::sync::Arc;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;

use self::panics::log_panic;
use self::state::ApiState;
use crate::query::Frontend;

pub use state::{ConfigTexts, Operations, Readiness};
pub use tempo::{Trace, TraceByIdMetrics, TraceByIdResponse};

/// All query routes and operational pages.
pub fn router(frontend: Arc<Frontend>, operations: Operations) -> Router {
    let prefix = frontend
        .config()
        .http_api_prefix
        .trim_end_matches('/')
        .to_owned();
    let state = ApiState {
        frontend,
        operations: Arc::new(operations),
    };
    let api = tempo::routes().merge(operations::api_routes());
    // A prefix without its slash would be no path.
    let api = match prefix.trim_start_matches('/') {
        "" => api,
        prefix => Router::new().nest(&format!("/{prefix}"), api),
    };
    let plain_text = api
        .merge(operations::routes())
        .fallback(not_found)
        .layer(CatchPanicLayer::custom(internal_error));
    let prom = prom::routes().layer(CatchPanicLayer::custom(prom::internal_error));
    Router::new()
        .nest("/prom", prom)
        .merge(plain_text)
        .layer(
            CompressionLayer::new()
                .gzip(true)
                .no_br()
                .no_deflate()
                .no_zstd(),
        )
        .layer(middleware::from_fn_with_state(state.clone(), count))
        .with_state(state)
}

/// Counts each request under the pattern of its route, which unlike its path is one of few.
async fn count(State(state): State<ApiState>, request: Request, next: Next) -> Response {
    let start = state.frontend.instant();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let response = next.run(request).await;
    let route = route.as_ref().map_or("other", MatchedPath::as_str);
    let took = state.frontend.instant() - start;
    let status = response.status().as_u16();
    state.frontend.metrics.request(route, status, took);
    response
}

async fn not_found() -> Response {
    (StatusCode::NOT_FOUND, "404 page not found\n").into_response()
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "the layer hands the panic over"
)]
fn internal_error(panic: Box<dyn Any + Send>) -> Response {
    log_panic(&*panic);
    (
        StatusCode::INTERNAL_SERVER_ERROR,
        "internal error, see the log\n",
    )
        .into_response()
}
