//! A router over a few spans in memory.

use std::sync::Arc;

use async_trait::async_trait;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{Request, Response, StatusCode};
use engine::{Engine, EngineOptions};
use frontend::{Frontend, FrontendConfig, Operations, router};
use http_body_util::BodyExt;
use object_store::ObjectStore;
use object_store::memory::InMemory;
use object_store::path::Path;
use prometheus::Registry;
use serde_json::Value;
use storage::block::{EncodeOptions, MemoryBlock, encode};
use storage::ids::{BlockId, SpanId, TenantId, TraceId};
use storage::model::{AnyValue, Attribute, InstrumentationScope, Resource, Span, SpanGroup};
use storage::snapshot::{Snapshot, SnapshotSource, Times};
use storage::{StorageError, SystemClock};
use tower::ServiceExt;
use ulid::Ulid;

/// Seconds since the epoch at which the spans of [`spans`] begin.
pub(crate) const T0: i64 = 1_700_000_000;
const S: i64 = 1_000_000_000;

/// What a tenant's spans are.
#[derive(Debug)]
pub(crate) struct Live(pub Vec<(TenantId, Arc<MemoryBlock>)>);

#[async_trait]
impl SnapshotSource for Live {
    async fn snapshot(&self, tenant: &TenantId, _: &Times) -> Result<Snapshot, StorageError> {
        let of_tenant = self.0.iter().filter(|(owner, _)| owner == tenant);
        Ok(Snapshot {
            live: of_tenant.map(|(_, block)| Arc::clone(block)).collect(),
            ..Snapshot::empty(tenant.clone())
        })
    }
}

/// A source that always fails.
#[derive(Debug)]
pub(crate) struct Broken;

#[async_trait]
impl SnapshotSource for Broken {
    async fn snapshot(&self, tenant: &TenantId, _: &Times) -> Result<Snapshot, StorageError> {
        Err(StorageError::CommitContention {
            tenant: tenant.clone(),
            attempts: 1,
        })
    }
}

/// One span per service, start second after [`T0`], and status code.
pub(crate) fn block(tenant: &TenantId, spans: &[(&str, i64, i64)]) -> Arc<MemoryBlock> {
    let groups: Vec<SpanGroup> = spans
        .iter()
        .enumerate()
        .map(|(index, (service, second, code))| {
            let attribute = |key: &str, value| Attribute {
                key: key.into(),
                value,
            };
            let index = u8::try_from(index).unwrap() + 1;
            let start_ns = (T0 + second) * S;
            SpanGroup {
                resource: Arc::new(Resource {
                    attributes: vec![attribute(
                        "service.name",
                        AnyValue::String((*service).to_owned()),
                    )],
                    ..Resource::default()
                }),
                scope: Arc::new(InstrumentationScope::default()),
                spans: vec![Span {
                    trace_id: TraceId([index; 16]),
                    span_id: SpanId([index; 8]),
                    name: format!("op{index}"),
                    start_ns,
                    end_ns: start_ns + 100_000_000,
                    attributes: vec![attribute("http.status_code", AnyValue::Int(*code))],
                    ..Span::default()
                }],
            }
        })
        .collect();
    let options = EncodeOptions::new(tenant.clone(), BlockId(Ulid::from_parts(1, 1)));
    Arc::new(encode(&groups, &options).unwrap())
}

/// Three spans: cart at 1 s and 2 s, shop at 12 s.
pub(crate) fn spans() -> Live {
    let tenant = TenantId::single();
    let block = block(
        &tenant,
        &[("cart", 1, 200), ("cart", 2, 500), ("shop", 12, 200)],
    );
    Live(vec![(tenant, block)])
}

pub(crate) fn app(source: impl SnapshotSource + 'static, config: FrontendConfig) -> Router {
    app_over(Arc::new(InMemory::new()), source, config)
}

/// A router over a source whose stored blocks are in this store.
pub(crate) fn app_over(
    store: Arc<dyn ObjectStore>,
    source: impl SnapshotSource + 'static,
    config: FrontendConfig,
) -> Router {
    let options = EngineOptions {
        threads: 1,
        ..EngineOptions::default()
    };
    let engine = Engine::try_new(store, Path::from(""), &options).unwrap();
    let registry = Registry::new();
    let clock = Arc::new(SystemClock);
    let frontend =
        Frontend::try_new(Arc::new(engine), Arc::new(source), config, &registry, clock).unwrap();
    let operations = Operations {
        ready: Arc::new(|| Ok(())),
        registry,
        config: frontend::api::ConfigTexts::default(),
        version: "0.1.0".to_owned(),
        revision: String::new(),
    };
    router(Arc::new(frontend), operations)
}

pub(crate) async fn send(
    app: &Router,
    request: Request<Body>,
) -> (StatusCode, Response<()>, String) {
    let (status, response, bytes) = send_for_bytes(app, request).await;
    (
        status,
        response,
        String::from_utf8_lossy(&bytes).into_owned(),
    )
}

pub(crate) async fn send_for_bytes(
    app: &Router,
    request: Request<Body>,
) -> (StatusCode, Response<()>, Bytes) {
    let response = app.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    (parts.status, Response::from_parts(parts, ()), bytes)
}

/// Status, content type and body of a request that asks for protobuf.
pub(crate) async fn get_protobuf(app: &Router, uri: &str) -> (u16, String, Bytes) {
    let request = Request::get(encode_spaces(uri))
        .header("accept", "application/protobuf")
        .body(Body::empty())
        .unwrap();
    let (status, response, bytes) = send_for_bytes(app, request).await;
    let content_type = response
        .headers()
        .get("content-type")
        .map_or("", |value| value.to_str().unwrap());
    (status.as_u16(), content_type.to_owned(), bytes)
}

pub(crate) async fn get(app: &Router, uri: &str) -> (u16, String) {
    let request = Request::get(encode_spaces(uri))
        .body(Body::empty())
        .unwrap();
    let (status, _, text) = send(app, request).await;
    (status.as_u16(), text)
}

pub(crate) async fn get_json(app: &Router, uri: &str) -> (u16, Value) {
    let (status, text) = get(app, uri).await;
    (
        status,
        serde_json::from_str(&text).unwrap_or_else(|_| panic!("{uri}: no JSON: {text}")),
    )
}

pub(crate) async fn post_form(app: &Router, uri: &str, form: &str) -> (u16, String) {
    let request = Request::post(uri)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Body::from(encode_spaces(form)))
        .unwrap();
    let (status, _, text) = send(app, request).await;
    (status.as_u16(), text)
}

/// Tests write queries as people do; URLs cannot.
fn encode_spaces(text: &str) -> String {
    let mut encoded = String::new();
    for c in text.chars() {
        match c {
            ' ' | '{' | '}' | '|' | '"' | '+' | '<' | '>' | '^' | '`' => {
                encoded.push_str(&format!("%{:02X}", u32::from(c)));
            }
            _ => encoded.push(c),
        }
    }
    encoded
}
