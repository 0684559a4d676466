//! Traces by id over the Tempo API.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Router;
use frontend::FrontendConfig;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::ResourceSpans;
use prost::Message as _;
use serde_json::{Value, json};
use storage::ids::{SpanId, TraceId};
use storage::model::{AnyValue, Attribute, Resource, Span, SpanGroup};

use crate::common::{T0, app_over, get, get_json, get_protobuf};
use crate::stored::Mixed;

const S: i64 = 1_000_000_000;

/// The wrapper of the second version of the endpoint.
#[derive(Clone, PartialEq, prost::Message)]
struct TraceById {
    #[prost(message, optional, tag = "1")]
    trace: Option<Trace>,
    #[prost(message, optional, tag = "2")]
    metrics: Option<Metrics>,
    #[prost(int32, tag = "3")]
    status: i32,
    #[prost(string, tag = "4")]
    message: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Trace {
    #[prost(message, repeated, tag = "1")]
    resource_spans: Vec<ResourceSpans>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Metrics {
    #[prost(uint64, tag = "1")]
    inspected_bytes: u64,
}

fn id(number: u8) -> TraceId {
    let mut bytes = [0; 16];
    bytes[15] = number;
    TraceId(bytes)
}

fn span(trace: u8, id_number: u8, parent: u8, second: i64) -> Span {
    Span {
        trace_id: id(trace),
        span_id: SpanId([id_number; 8]),
        parent_span_id: (parent != 0).then_some(SpanId([parent; 8])),
        name: format!("span {id_number}"),
        kind: 2,
        start_ns: (T0 + second) * S,
        end_ns: (T0 + second) * S + 5,
        attributes: vec![Attribute {
            key: "n".into(),
            value: AnyValue::Int(i64::from(id_number)),
        }],
        ..Span::default()
    }
}

fn group(service: &str, spans: Vec<Span>) -> SpanGroup {
    let value = AnyValue::String(service.to_owned());
    let attributes = vec![Attribute {
        key: "service.name".into(),
        value,
    }];
    let resource = Arc::new(Resource {
        attributes,
        ..Resource::default()
    });
    SpanGroup {
        resource,
        scope: Arc::default(),
        spans,
    }
}

fn open(source: &Mixed, config: FrontendConfig) -> Router {
    let store = Arc::clone(&source.store);
    app_over(store, source.clone(), config)
}

/// Service and span of each span, as the answer has them.
fn contents(resource_spans: Vec<ResourceSpans>) -> BTreeSet<String> {
    let request = ExportTraceServiceRequest { resource_spans };
    let decoded = storage::otlp::from_request(request);
    assert!(decoded.rejected.is_empty());
    let mut out = BTreeSet::new();
    for group in decoded.groups {
        for span in group.spans {
            assert!(
                out.insert(format!("{:?} {span:?}", group.resource)),
                "twice: {span:?}"
            );
        }
    }
    out
}

#[tokio::test]
async fn a_trace_is_joined_from_all_its_places() {
    let mut source = Mixed::new();
    let (root, child) = (span(7, 1, 0, 0), span(7, 2, 1, 1));
    let (late, last) = (span(7, 3, 1, 70), span(7, 4, 2, 140));
    let stranger = |second| group("shop", vec![span(200, 9, 0, second)]);
    let whole = [
        group("cart", vec![root.clone(), child.clone(), late.clone()]),
        group("shop", vec![last.clone()]),
    ];
    let first = source
        .store(&[group("cart", vec![root, child.clone()]), stranger(2)])
        .await;
    let without = source.store(&[stranger(3)]).await;
    // The child came twice.
    let second = source
        .store(&[group("cart", vec![child, late]), stranger(4)])
        .await;
    source.keep_live(&[group("shop", vec![last]), stranger(141)]);
    let app = open(&source, FrontendConfig::default());

    let (status, content_type, body) =
        get_protobuf(&app, &format!("/api/v2/traces/{}", id(7))).await;
    assert_eq!(
        (status, content_type.as_str()),
        (200, "application/protobuf")
    );
    let answer = TraceById::decode(body).unwrap();
    assert_eq!((answer.status, answer.message.as_str()), (0, ""));
    assert!(answer.metrics.unwrap().inspected_bytes > 1000);
    let expected = contents(storage::otlp::to_resource_spans(&whole));
    assert_eq!(contents(answer.trace.unwrap().resource_spans), expected);

    // Footer, ids and rows of the blocks that have it; nothing of the other.
    let reads = source.store.take_reads();
    assert_eq!(reads, [(first, 3), (second, 3)].into());
    assert!(!reads.contains_key(&without));

    let (status, _, body) = get_protobuf(&app, "/api/traces/7").await;
    assert_eq!(status, 200);
    assert_eq!(
        contents(Trace::decode(body).unwrap().resource_spans),
        expected
    );
    // The footers and the ids are known by now.
    assert_eq!(source.store.take_reads(), [(first, 1), (second, 1)].into());

    let (status, v1) = get_json(&app, "/api/traces/0007").await;
    let (_, v2) = get_json(&app, "/api/v2/traces/7").await;
    assert_eq!(status, 200);
    assert_eq!(v1["batches"], v2["trace"]["resourceSpans"]);
    let keys = |value: &Value| {
        value
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect::<Vec<_>>()
    };
    assert_eq!(
        (keys(&v1), keys(&v2)),
        (
            vec!["batches".to_owned()],
            vec!["trace".to_owned(), "metrics".to_owned()]
        )
    );
    let spans = &v1["batches"][0]["scopeSpans"][0]["spans"];
    assert_eq!(spans.as_array().unwrap().len(), 3);
    assert_eq!(
        spans[1],
        json!({
            "traceId": "AAAAAAAAAAAAAAAAAAAABw==",
            "spanId": "AgICAgICAgI=",
            "parentSpanId": "AQEBAQEBAQE=",
            "name": "span 2",
            "kind": "SPAN_KIND_SERVER",
            "startTimeUnixNano": format!("{}", (T0 + 1) * S),
            "endTimeUnixNano": format!("{}", (T0 + 1) * S + 5),
            "attributes": [{"key": "n", "value": {"intValue": "2"}}],
            "status": {},
        })
    );
}

#[tokio::test]
async fn a_trace_that_is_not_there() {
    let mut source = Mixed::new();
    source.store(&[group("cart", vec![span(7, 1, 0, 0)])]).await;
    let app = open(&source, FrontendConfig::default());
    assert_eq!(get(&app, "/api/traces/abc").await, (404, String::new()));
    let (status, body) = get_json(&app, "/api/v2/traces/abc").await;
    assert_eq!((status, body), (200, json!({"trace": {}, "metrics": {}})));
    let (status, _, body) = get_protobuf(&app, "/api/v2/traces/abc").await;
    // Both messages are there, and empty.
    assert_eq!((status, &body[..]), (200, &[10, 0, 18, 0][..]));
    assert!(source.store.take_reads().is_empty());
}

#[tokio::test]
async fn ids_and_parameters() {
    let mut source = Mixed::new();
    let mut long = span(1, 1, 0, 0);
    long.trace_id = "0abcdef00000000000000000000000ff".parse().unwrap();
    source.store(&[group("cart", vec![long])]).await;
    let app = open(&source, FrontendConfig::default());
    for (path, status, part) in [
        (
            "/api/traces/0abcdef00000000000000000000000ff",
            200,
            "batches",
        ),
        (
            "/api/traces/ABCDEF00000000000000000000000FF",
            200,
            "batches",
        ),
        (
            "/api/traces/abcdef00000000000000000000000ff?mode=blocks&blockStart=0&blockEnd=f",
            200,
            "",
        ),
        (
            "/api/v2/traces/xyz",
            400,
            "invalid character 'x' at position 1",
        ),
        (
            "/api/v2/traces/%20",
            400,
            "invalid character ' ' at position 1",
        ),
        (
            "/api/traces/000abcdef00000000000000000000000ff",
            400,
            "128 bits",
        ),
        ("/api/traces/1?mode=fast", 400, "invalid mode: \"fast\""),
        ("/api/traces/1?start=1.5", 400, "invalid start: \"1.5\""),
        (
            "/api/traces/1?start=9&end=5",
            400,
            "start must be before end",
        ),
        ("/api/traces/1?end=9223372036854775807", 400, "invalid end"),
    ] {
        let (found, text) = get(&app, path).await;
        assert_eq!(found, status, "{path}: {text}");
        assert!(text.contains(part), "{path}: {text}");
    }
}

#[tokio::test]
async fn times_leave_out_whole_blocks() {
    let mut source = Mixed::new();
    source.store(&[group("cart", vec![span(7, 1, 0, 0)])]).await;
    source
        .store(&[group("cart", vec![span(7, 2, 1, 100)])])
        .await;
    source.keep_live(&[group("cart", vec![span(7, 3, 1, 200)])]);
    let app = open(&source, FrontendConfig::default());
    let count = async |query: String| {
        let (status, body) = get_json(&app, &format!("/api/v2/traces/7{query}")).await;
        assert_eq!(status, 200, "{query}: {body}");
        match &body["trace"]["resourceSpans"][0]["scopeSpans"][0]["spans"] {
            Value::Array(spans) => spans.len(),
            _ => 0,
        }
    };
    assert_eq!(count(String::new()).await, 3);
    assert_eq!(count(format!("?start={}", T0 + 50)).await, 2);
    assert_eq!(count(format!("?end={}", T0 + 150)).await, 2);
    assert_eq!(
        count(format!("?start={}&end={}", T0 + 50, T0 + 150)).await,
        1
    );
    assert_eq!(count("?start=5&end=6".to_owned()).await, 0);
}

#[tokio::test]
async fn a_trace_that_is_too_large() {
    let mut source = Mixed::new();
    let spans = |from: u8, to: u8| {
        (from..to)
            .map(|n| span(7, n, n - 1, i64::from(n)))
            .collect()
    };
    source.store(&[group("cart", spans(1, 100))]).await;
    source.store(&[group("cart", spans(100, 200))]).await;
    let mut config = FrontendConfig::default();
    config.overrides.defaults.global.max_bytes_per_trace = 5_000;
    let app = open(&source, config);
    let (status, text) = get(&app, "/api/traces/7").await;
    assert_eq!(status, 422);
    assert!(
        text.contains("5000 bytes (overrides.defaults.global.max_bytes_per_trace)"),
        "{text}"
    );
    let (status, body) = get_json(&app, "/api/v2/traces/7").await;
    assert_eq!((status, &body["status"]), (200, &json!("PARTIAL")));
    let message = body["message"].as_str().unwrap();
    assert!(
        message.starts_with("Trace exceeds maximum size of 5000 bytes, a partial trace"),
        "{message}"
    );
    let spans = body["trace"]["resourceSpans"][0]["scopeSpans"][0]["spans"]
        .as_array()
        .unwrap();
    assert!((30..99).contains(&spans.len()), "{}", spans.len());
    assert_eq!(spans[0]["name"], "span 1");
    let (_, _, bytes) = get_protobuf(&app, "/api/v2/traces/7").await;
    let answer = TraceById::decode(bytes).unwrap();
    assert_eq!((answer.status, answer.message.as_str()), (1, message));
    assert!(answer.trace.unwrap().encoded_len() <= 5_000);

    let app = open(&source, FrontendConfig::default());
    assert_eq!(get(&app, "/api/traces/7").await.0, 200);
}

#[tokio::test]
async fn what_grafana_would_stumble_over_is_there() {
    let mut source = Mixed::new();
    let bare = SpanGroup {
        spans: vec![span(7, 1, 0, 0)],
        resource: Arc::default(),
        scope: Arc::default(),
    };
    source.store(&[bare]).await;
    let app = open(&source, FrontendConfig::default());
    let (_, _, body) = get_protobuf(&app, "/api/v2/traces/7").await;
    let trace = TraceById::decode(body).unwrap().trace.unwrap();
    let of_resource = &trace.resource_spans[0];
    assert_eq!(
        of_resource.resource.as_ref().unwrap().attributes[0].key,
        "service.name"
    );
    assert!(of_resource.scope_spans[0].scope.is_some());
    assert!(of_resource.scope_spans[0].spans[0].status.is_some());
}

#[tokio::test]
async fn tenants_are_apart() {
    let mut source = Mixed::new();
    source.store(&[group("cart", vec![span(7, 1, 0, 0)])]).await;
    let config = FrontendConfig {
        multitenancy_enabled: true,
        ..FrontendConfig::default()
    };
    let app = open(&source, config);
    for (tenant, status) in [
        (None, 401),
        (Some("other"), 404),
        (Some("single-tenant"), 200),
        (Some("other|single-tenant"), 200),
    ] {
        let mut request = axum::http::Request::get("/api/traces/7");
        if let Some(tenant) = tenant {
            request = request.header("x-scope-orgid", tenant);
        }
        let request = request.body(axum::body::Body::empty()).unwrap();
        assert_eq!(
            crate::common::send(&app, request).await.0,
            status,
            "{tenant:?}"
        );
    }
}
