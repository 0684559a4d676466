//! Pages for people, probes and scrapers: `/ready`, `/metrics`, `/status` and the like.

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use prometheus::TextEncoder;
use serde_json::json;

use super::body;
use super::params::Params;
use super::state::{ApiState, ConfigTexts, Operations};

/// The version of Tempo whose API this is; clients choose their requests by it.
const COMPATIBLE_TEMPO_VERSION: &str = "3.0.3";

/// Routes that stand at the root whatever the API prefix is.
pub(super) fn routes() -> Router<ApiState> {
    Router::new()
        .route("/ready", get(ready))
        .route("/metrics", get(metrics))
        .route("/status", get(status))
        .route("/status/version", get(version))
        .route("/status/config", get(config))
        .route("/status/endpoints", get(endpoints))
}

/// Routes below the API prefix.
pub(super) fn api_routes() -> Router<ApiState> {
    Router::new()
        .route("/api/echo", any(async || "echo\n"))
        .route("/api/status/buildinfo", any(buildinfo))
        .route(
            "/status/usage-stats",
            get(async || "usage-stats is not enabled\n"),
        )
}

async fn ready(State(state): State<ApiState>) -> Response {
    match (state.operations.ready)() {
        Ok(()) => "ready\n".into_response(),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")).into_response(),
    }
}

async fn metrics(State(state): State<ApiState>) -> Response {
    match TextEncoder::new().encode_to_string(&state.operations.registry.gather()) {
        Ok(text) => ([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "metrics cannot be written");
            (
                StatusCode::INTERNAL_SERVER_ERROR,
                "metrics cannot be written\n",
            )
                .into_response()
        }
    }
}

async fn status(State(state): State<ApiState>) -> String {
    format!(
        "{}{}{}",
        version_text(&state),
        endpoints_text(),
        config_text(&state, "", "current")
    )
}

async fn version(State(state): State<ApiState>) -> String {
    version_text(&state)
}

fn version_text(state: &ApiState) -> String {
    let Operations {
        version, revision, ..
    } = &*state.operations;
    format!(
        "GET /status/version\nspandrel, version {version} (revision: {revision})\n  \
         compatible with: tempo {COMPATIBLE_TEMPO_VERSION}\n"
    )
}

async fn config(State(state): State<ApiState>, uri: Uri) -> Response {
    let params = Params::of_url(&uri);
    match params.get("mode") {
        None => config_text(&state, "", "current").into_response(),
        Some(mode @ ("defaults" | "diff")) => {
            config_text(&state, &format!("?mode={mode}"), mode).into_response()
        }
        Some(mode) => {
            let text = format!("invalid mode: {mode:?}: use defaults or diff\n");
            (StatusCode::BAD_REQUEST, text).into_response()
        }
    }
}

fn config_text(state: &ApiState, query: &str, mode: &str) -> String {
    let ConfigTexts {
        current,
        defaults,
        diff,
    } = &state.operations.config;
    let text = match mode {
        "defaults" => defaults,
        "diff" => diff,
        _ => current,
    };
    format!("GET /status/config{query}\n---\n{}\n", text.trim_end())
}

async fn endpoints() -> String {
    endpoints_text()
}

fn endpoints_text() -> String {
    let paths = [
        "/api/echo",
        "/api/metrics/query",
        "/api/metrics/query_range",
        "/api/search",
        "/api/search/tag/{name}/values",
        "/api/search/tags",
        "/api/status/buildinfo",
        "/api/traces/{id}",
        "/api/v2/search/tag/{name}/values",
        "/api/v2/search/tags",
        "/api/v2/traces/{id}",
        "/metrics",
        "/prom/api/v1/label/{name}/values",
        "/prom/api/v1/labels",
        "/prom/api/v1/query",
        "/prom/api/v1/query_range",
        "/ready",
        "/status",
    ];
    format!("GET /status/endpoints\n{}\n", paths.join("\n"))
}

/// Tempo's version, because clients choose what they may ask by it; ours stands in the revision.
async fn buildinfo(State(state): State<ApiState>) -> Response {
    let body = json!({
        "version": COMPATIBLE_TEMPO_VERSION,
        "revision": state.operations.revision_text(),
        "branch": "",
        "buildUser": "",
        "buildDate": "",
        "goVersion": "",
    });
    body::small_json(StatusCode::OK, &body)
}
