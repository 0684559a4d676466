//! Pages about the server that clients look at without needing them.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::envelope::{ApiError, Success};
use crate::api::state::ApiState;

/// The version of Prometheus whose API this is: Grafana asks differently below 2.24.
const COMPATIBLE_PROMETHEUS_VERSION: &str = "3.0.0";

/// Pages directly below `/api/v1`.
pub(super) async fn page(Path(page): Path<String>) -> Result<Response, ApiError> {
    let data = match page.as_str() {
        "rules" => json!({"groups": []}),
        "alerts" => json!({"alerts": []}),
        "targets" => json!({"activeTargets": [], "droppedTargets": []}),
        "alertmanagers" => json!({"activeAlertmanagers": [], "droppedAlertmanagers": []}),
        _ => return Err(ApiError::not_found()),
    };
    Ok(Success::new(data).small())
}

/// Pages below `/api/v1/status`.
pub(super) async fn status(
    State(state): State<ApiState>,
    Path(page): Path<String>,
) -> Result<Response, ApiError> {
    let operations = &*state.operations;
    let data = match page.as_str() {
        // A key "features" would make Grafana look for the rules API of Mimir.
        "buildinfo" => json!({
            "version": COMPATIBLE_PROMETHEUS_VERSION,
            "revision": operations.revision_text(),
            "branch": "",
            "buildUser": "",
            "buildDate": "",
            "goVersion": "",
        }),
        "config" => json!({"yaml": operations.config.current}),
        "runtimeinfo" | "flags" => json!({}),
        "tsdb" => json!({
            "headStats": {},
            "seriesCountByMetricName": [],
            "labelValueCountByLabelName": [],
            "memoryInBytesByLabelName": [],
            "seriesCountByLabelValuePair": [],
        }),
        _ => return Err(ApiError::not_found()),
    };
    Ok(Success::new(data).small())
}

pub(super) async fn healthy() -> &'static str {
    "Spandrel is Healthy.\n"
}

pub(super) async fn ready(State(state): State<ApiState>) -> Response {
    match (state.operations.ready)() {
        Ok(()) => "Spandrel is Ready.\n".into_response(),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")).into_response(),
    }
}
