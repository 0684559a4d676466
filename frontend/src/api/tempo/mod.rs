//! The Tempo API: plain-text errors, parameters in the URL only.

mod encoding;
mod error;
mod found;
mod invalid;
mod legacy;
mod messages;
mod metrics;
mod metrics_params;
mod numbers;
mod otlp_json;
mod params;
mod proto_json;
mod search;
mod search_params;
mod tag_names;
mod tag_values;
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
        .route("/api/search/tags", any(tag_names::names_v1))
        .route("/api/v2/search/tags", any(tag_names::names_v2))
        .route("/api/search/tag/{tag}/values", any(tag_values::values_v1))
        .route(
            "/api/v2/search/tag/{tag}/values",
            any(tag_values::values_v2),
        )
}
