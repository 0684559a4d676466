//! The Tempo API: plain-text errors, parameters in the URL only.

mod encoding;
mod error;
mod invalid;
mod legacy;
mod messages;
mod metrics;
mod metrics_params;
mod otlp_json;
mod params;
mod proto_json;
mod search;
mod tags;
mod trace;
mod window;
mod wire;

pub use self::trace::{Trace, TraceByIdMetrics, TraceByIdResponse};

use axum::Router;
use axum::routing::any;

use super::state::ApiState;

pub(super) fn routes() -> Router<ApiState> {
    Router::new()
        .route("/api/metrics/query_range", any(metrics::query_range))
        .route("/api/metrics/query", any(metrics::query_instant))
        .route("/api/traces/{id}", any(trace::v1))
        .route("/api/v2/traces/{id}", any(trace::v2))
        .route("/api/search", any(search::search))
        .route("/api/search/tags", any(tags::names_v1))
        .route("/api/v2/search/tags", any(tags::names_v2))
        .route("/api/search/tag/{tag}/values", any(tags::values_v1))
        .route("/api/v2/search/tag/{tag}/values", any(tags::values_v2))
}
