//! `/api/traces/{id}` and `/api/v2/traces/{id}`: a trace by its id.

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use opentelemetry_proto::tonic::trace::v1::ResourceSpans;
use serde::ser::SerializeMap;
use storage::otlp::to_resource_spans;

use super::encoding::Encoding;
use super::error::TempoError;
use super::invalid::{InvalidParameter, unreadable};
use super::params::SECOND_NS;
use super::proto_json::{Json, Message, Object};
use crate::api::body;
use crate::api::params::Params;
use crate::api::state::ApiState;
use crate::api::tenancy;
use crate::error::QueryError;
use crate::threads::off_reactor;
use crate::trace::{TraceAnswer, TraceRequest};
use crate::viewer;

/// A trace; wire-equal to OTLP's `TracesData`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Trace {
    /// The spans, by resource and scope.
    #[prost(message, repeated, tag = "1")]
    pub resource_spans: Vec<ResourceSpans>,
}

/// The answer of `/api/v2/traces/{id}` in protobuf.
#[derive(Clone, PartialEq, prost::Message)]
pub struct TraceByIdResponse {
    /// The trace; empty if there is none of this id.
    #[prost(message, optional, tag = "1")]
    pub trace: Option<Trace>,
    /// What the answer took.
    #[prost(message, optional, tag = "2")]
    pub metrics: Option<TraceByIdMetrics>,
    /// 0: the trace is whole, 1: it is not.
    #[prost(int32, tag = "3")]
    pub status: i32,
    /// Why the trace is not whole.
    #[prost(string, tag = "4")]
    pub message: String,
}

const COMPLETE: i32 = 0;
const PARTIAL: i32 = 1;

/// What looking up a trace took.
#[derive(Clone, PartialEq, prost::Message)]
pub struct TraceByIdMetrics {
    /// Bytes read from storage.
    #[prost(uint64, tag = "1")]
    pub inspected_bytes: u64,
}

/// What the first version of the endpoint sends as JSON: the same under another name.
struct Batches(Trace);

impl Message for Batches {
    fn write<M: SerializeMap>(&self, object: &mut Object<M>) -> Result<(), M::Error> {
        object.whole_list("batches", &self.0.resource_spans)
    }
}

impl Message for Trace {
    fn write<M: SerializeMap>(&self, object: &mut Object<M>) -> Result<(), M::Error> {
        object.list("resourceSpans", &self.resource_spans)
    }
}

impl Message for TraceByIdResponse {
    fn write<M: SerializeMap>(&self, object: &mut Object<M>) -> Result<(), M::Error> {
        object.message("trace", self.trace.as_ref())?;
        object.message("metrics", self.metrics.as_ref())?;
        object.choice("status", self.status, Some("PARTIAL"))?;
        object.text("message", &self.message)
    }
}

impl Message for TraceByIdMetrics {
    fn write<M: SerializeMap>(&self, object: &mut Object<M>) -> Result<(), M::Error> {
        object.wide("inspectedBytes", self.inspected_bytes)
    }
}

/// Says that there is no such trace by its status, and that a trace is too large by an error.
pub(super) async fn v1(
    State(state): State<ApiState>,
    Path(id): Path<String>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, TempoError> {
    let answer = find(&state, &id, &headers, &uri).await?;
    if let Some(reason) = answer.partial {
        let limit = reason.limit_bytes;
        return Err(QueryError::TraceTooLarge { limit }.into());
    }
    if answer.groups.is_empty() {
        return Ok(StatusCode::NOT_FOUND.into_response());
    }
    let limit = state.frontend.config().query.max_response_bytes;
    let trace = Trace::of(answer).await?;
    let response = match Encoding::accepted(&headers) {
        Encoding::Json => body::json(Json(Batches(trace)), limit).await,
        Encoding::Protobuf => body::protobuf(trace, limit).await,
    };
    Ok(response?)
}

/// Says that there is no such trace by an empty one, and that a trace is too large beside a part of
/// it. Grafana asks here first.
pub(super) async fn v2(
    State(state): State<ApiState>,
    Path(id): Path<String>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, TempoError> {
    let answer = find(&state, &id, &headers, &uri).await?;
    let status = match answer.partial {
        None => COMPLETE,
        Some(_) => PARTIAL,
    };
    let response = TraceByIdResponse {
        metrics: Some(TraceByIdMetrics {
            inspected_bytes: answer.stats.inspected_bytes,
        }),
        status,
        message: answer
            .partial
            .map_or_else(String::new, |reason| reason.to_string()),
        trace: Some(Trace::of(answer).await?),
    };
    let limit = state.frontend.config().query.max_response_bytes;
    Ok(Encoding::accepted(&headers).send(response, limit).await?)
}

async fn find(
    state: &ApiState,
    id: &str,
    headers: &HeaderMap,
    uri: &Uri,
) -> Result<TraceAnswer, TempoError> {
    let frontend = &*state.frontend;
    let tenants = tenancy::tenants(frontend.config(), headers)?;
    let params = Params::of_url(uri);
    let start_ns = seconds(&params, "start")?;
    let end_ns = seconds(&params, "end")?;
    if let (Some(start_ns), Some(end_ns)) = (start_ns, end_ns)
        && start_ns >= end_ns
    {
        return Err(InvalidParameter::EmptyRange { start_ns, end_ns }.into());
    }
    // The parts of a trace that these modes tell apart are one here.
    match params.get("mode") {
        None | Some("all" | "ingesters" | "blocks" | "external") => {}
        Some(mode) => {
            let expected = "all, ingesters, blocks or external";
            return Err(unreadable("mode", mode, expected).into());
        }
    }
    let request = TraceRequest {
        tenants,
        trace_id: id.parse().map_err(InvalidParameter::TraceId)?,
        start_ns,
        end_ns,
    };
    Ok(frontend.trace(&request).await?)
}

/// Whole seconds since the epoch, in ns.
fn seconds(params: &Params, name: &'static str) -> Result<Option<i64>, InvalidParameter> {
    let parse = |text: &str| {
        let seconds = text.parse::<i64>().ok();
        let ns = seconds.and_then(|seconds| seconds.checked_mul(SECOND_NS));
        ns.ok_or_else(|| unreadable(name, text, "whole seconds since 1970"))
    };
    params.get(name).map(parse).transpose()
}

impl Trace {
    async fn of(answer: TraceAnswer) -> Result<Self, QueryError> {
        off_reactor(move || {
            let mut groups = answer.groups;
            viewer::prepare(&mut groups);
            Self {
                resource_spans: to_resource_spans(&groups),
            }
        })
        .await
    }
}
