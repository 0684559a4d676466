//! Names of attributes and their values over the Tempo API.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use frontend::FrontendConfig;
use prost::Message as _;
use serde_json::{Value, json};
use storage::ids::{BlockId, SpanId, TraceId};
use storage::model::{AnyValue, Attribute, Event, InstrumentationScope, Resource, Span, SpanGroup};

use crate::common::{T0, app_over, get, get_json, get_protobuf, send};
use crate::stored::Mixed;

const S: i64 = 1_000_000_000;

fn attribute(key: &str, value: AnyValue) -> Attribute {
    Attribute {
        key: key.into(),
        value,
    }
}

fn text(key: &str, value: &str) -> Attribute {
    attribute(key, AnyValue::String(value.to_owned()))
}

/// Spans of one service, one a second, with attributes of every type.
fn spans(service: &str, first_second: i64, count: u8) -> Vec<SpanGroup> {
    let resource = Resource {
        attributes: vec![text("service.name", service), text("cluster", "eu")],
        ..Resource::default()
    };
    let scope = InstrumentationScope {
        name: "lib".to_owned(),
        attributes: vec![attribute("level", AnyValue::Int(3))],
        ..InstrumentationScope::default()
    };
    let span = |index: u8| {
        let start_ns = (T0 + first_second + i64::from(index)) * S;
        let code = 200 + 300 * i64::from(index % 2);
        Span {
            trace_id: TraceId([index + 1; 16]),
            span_id: SpanId([index + 1; 8]),
            name: format!("{service} {index}"),
            start_ns,
            end_ns: start_ns + 5,
            attributes: vec![
                attribute("http.status_code", AnyValue::Int(code)),
                text("http.method", ["GET", "POST"][usize::from(index % 2)]),
                attribute("ratio", AnyValue::Double(0.5)),
                attribute("cached", AnyValue::Bool(index == 0)),
            ],
            events: vec![Event {
                name: "exception".to_owned(),
                attributes: vec![text("exception.message", "it broke")],
                ..Event::default()
            }],
            ..Span::default()
        }
    };
    vec![SpanGroup {
        resource: Arc::new(resource),
        scope: Arc::new(scope),
        spans: (0..count).map(span).collect(),
    }]
}

struct Data {
    source: Mixed,
    cart: BlockId,
    shop: BlockId,
}

/// `cart` at 0 s and `shop` at 100 s stored, `mail` at 200 s not yet.
async fn data() -> Data {
    let mut source = Mixed::new();
    let cart = source.store(&spans("cart", 0, 4)).await;
    let shop = source.store(&spans("shop", 100, 2)).await;
    source.keep_live(&spans("mail", 200, 1));
    Data { source, cart, shop }
}

fn open(source: &Mixed, config: FrontendConfig) -> Router {
    let store = Arc::clone(&source.store);
    app_over(store, source.clone(), config)
}

fn always() -> String {
    format!("start={}&end={}", T0 - 10, T0 + 1000)
}

async fn values(app: &Router, query: &str) -> Value {
    let (status, mut body) = get_json(app, &format!("/api/v2/search/tag/{query}")).await;
    assert_eq!(status, 200, "{query}: {body}");
    body["tagValues"].take()
}

fn typed<const N: usize>(value_type: &str, values: [&str; N]) -> Value {
    let value = |value: &str| json!({"type": value_type, "value": value});
    values.into_iter().map(value).collect()
}

#[tokio::test]
async fn names_by_scope_without_reading_a_block() {
    let Data { source, .. } = data().await;
    let app = open(&source, FrontendConfig::default());
    let (status, body) = get_json(&app, &format!("/api/v2/search/tags?{}", always())).await;
    assert_eq!(status, 200);
    let scopes = body["scopes"].as_array().unwrap();
    let expected = json!([
        {"name": "resource", "tags": ["cluster", "service.name"]},
        {"name": "span", "tags": ["cached", "http.method", "http.status_code", "ratio"]},
        {"name": "event", "tags": ["exception.message"]},
        {"name": "instrumentation", "tags": ["level"]},
    ]);
    assert_eq!(scopes[..4], expected.as_array().unwrap()[..]);
    assert_eq!(scopes[4]["name"], "intrinsic");
    assert_eq!(scopes[4]["tags"].as_array().unwrap().len(), 25);
    assert_eq!(scopes.len(), 5);
    assert_eq!(body["metrics"]["totalBlocks"], 3);
    assert!(source.store.take_reads().is_empty());

    for (query, expected) in [
        (
            "scope=event",
            json!([{"name": "event", "tags": ["exception.message"]}]),
        ),
        (
            "scope=resource&limit=1",
            json!([{"name": "resource", "tags": ["cluster"]}]),
        ),
        ("scope=link", json!([])),
        ("scope=trace", json!([])),
    ] {
        let uri = format!("/api/v2/search/tags?{query}&{}", always());
        assert_eq!(get_json(&app, &uri).await.1["scopes"], expected, "{query}");
    }
    let intrinsics = get_json(&app, "/api/v2/search/tags?scope=intrinsic")
        .await
        .1;
    assert_eq!(intrinsics["scopes"][0]["tags"][0], "duration");
    for (query, part) in [
        ("scope=x", "invalid scope: x"),
        ("limit=x", "invalid limit: \"x\""),
        ("limit=-1", "invalid limit"),
        ("start=5", "only one of start and end"),
    ] {
        let (status, text) = get(&app, &format!("/api/v2/search/tags?{query}")).await;
        assert_eq!(status, 400, "{query}");
        assert!(text.contains(part), "{query}: {text}");
    }
}

#[tokio::test]
async fn names_without_their_scope() {
    let Data { source, .. } = data().await;
    let app = open(&source, FrontendConfig::default());
    let names = async |query: &str| {
        let uri = format!("/api/search/tags?{query}&{}", always());
        get_json(&app, &uri).await.1["tagNames"].take()
    };
    let both = json!([
        "cached",
        "cluster",
        "http.method",
        "http.status_code",
        "ratio",
        "service.name"
    ]);
    assert_eq!(names("").await, both);
    assert_eq!(names("limit=2").await, json!(["cached", "cluster"]));
    assert_eq!(names("scope=instrumentation").await, json!(["level"]));
    assert_eq!(names("scope=intrinsic").await.as_array().unwrap().len(), 25);
    assert_eq!(names("scope=trace").await, json!([]));
}

#[tokio::test]
async fn filters_leave_out_what_only_other_spans_have() {
    let mut source = Mixed::new();
    let mut mixed = spans("cart", 0, 3);
    mixed[0].spans[1].attributes = vec![text("db.system", "pg"), text("cart only", "x")];
    source.store(&mixed).await;
    let mut live = spans("shop", 10, 2);
    live[0].spans[0].attributes = vec![text("queue", "q")];
    source.keep_live(&live);
    let app = open(&source, FrontendConfig::default());
    let names = async |query: &str| {
        let uri = format!("/api/v2/search/tags?q={query}&{}", always());
        let (status, body) = get_json(&app, &uri).await;
        assert_eq!(status, 200, "{query}: {body}");
        let scopes = body["scopes"].as_array().unwrap().iter();
        let tags = scopes
            .filter(|scope| scope["name"] != "intrinsic")
            .map(|scope| format!("{}={}", scope["name"], scope["tags"]).replace('"', ""));
        tags.collect::<Vec<_>>().join(" ")
    };
    let resource = "resource=[cluster,service.name]";
    let never_narrowed = "event=[exception.message] instrumentation=[level]";
    for (query, span) in [
        ("{span.db.system=%22pg%22}", "[cart only,db.system]"),
        ("{.queue!=nil}", "[queue]"),
        (
            "{.queue!=nil || span.db.system=%22pg%22}",
            "[cart only,db.system,queue]",
        ),
        (
            "{resource.service.name=%22shop%22 %26%26 span.ratio > 0.1 %26%26 .x =}",
            "[cached,http.method,http.status_code,ratio]",
        ),
    ] {
        let expected = format!("{resource} span={span} {never_narrowed}");
        assert_eq!(names(query).await, expected, "{query}");
    }
    let nothing = names("{span.db.system=%22none%22}").await;
    assert_eq!(nothing, "event=[exception.message]");
}

#[tokio::test]
async fn times_and_filters_leave_out_blocks() {
    let mut source = Mixed::new();
    source.store(&spans("cart", 0, 1)).await;
    let mut other = spans("shop", 100, 1);
    other[0].spans[0].attributes = vec![text("db.system", "pg")];
    source.store(&other).await;
    let app = open(&source, FrontendConfig::default());
    let names = async |query: String| {
        let uri = format!("/api/v2/search/tags?scope=span&{query}");
        get_json(&app, &uri).await.1["scopes"].take()
    };
    let of = |tags: Value| json!([{"name": "span", "tags": tags}]);
    let (of_cart, of_shop) = (
        of(json!([
            "cached",
            "http.method",
            "http.status_code",
            "ratio"
        ])),
        of(json!(["db.system"])),
    );
    assert_eq!(names(format!("start={T0}&end={}", T0 + 50)).await, of_cart);
    assert_eq!(
        names(format!("start={}&end={}", T0 + 50, T0 + 150)).await,
        of_shop
    );
    assert_eq!(
        names(format!("start={}&end={}", T0 + 150, T0 + 200)).await,
        json!([])
    );
    let service = "q={resource.service.name=\"shop\"}";
    assert_eq!(names(format!("{service}&{}", always())).await, of_shop);
    let unfinished = "q={resource.service.name=\"shop\" %26%26 span.x=}";
    assert_eq!(names(format!("{unfinished}&{}", always())).await, of_shop);
    let nonsense = names(format!("q={{{{&{}", always())).await;
    assert_eq!(nonsense[0]["tags"].as_array().unwrap().len(), 5);
}

#[tokio::test]
async fn values_with_their_types() {
    let Data { source, cart, shop } = data().await;
    let app = open(&source, FrontendConfig::default());
    for (name, expected) in [
        (
            "resource.service.name",
            typed("string", ["cart", "mail", "shop"]),
        ),
        (".service.name", typed("string", ["cart", "mail", "shop"])),
        ("span.http.status_code", typed("int", ["200", "500"])),
        ("span.ratio", typed("float", ["0.5"])),
        ("span.cached", typed("bool", ["false", "true"])),
        ("event.exception.message", typed("string", ["it broke"])),
        ("instrumentation.level", typed("int", ["3"])),
        ("span.\"http.method\"", typed("string", ["GET", "POST"])),
        ("event:name", typed("string", ["exception"])),
        ("instrumentation:name", typed("string", ["lib"])),
        ("statusMessage", json!([])),
        ("status", typed("keyword", ["error", "ok", "unset"])),
        (
            "span:kind",
            typed(
                "keyword",
                [
                    "client",
                    "consumer",
                    "internal",
                    "producer",
                    "server",
                    "unspecified",
                ],
            ),
        ),
        ("duration", json!([])),
        ("trace:id", json!([])),
        ("span.undefined", json!([])),
        ("resource.http.method", json!([])),
    ] {
        let query = format!("{name}/values?{}&tag={name}", always());
        assert_eq!(values(&app, &query).await, expected, "{name}");
    }
    source.store.take_reads();
    // The catalog lists services.
    values(&app, &format!("resource.service.name/values?{}", always())).await;
    assert!(source.store.take_reads().is_empty());
    // A dictionary of each block that the range touches.
    values(&app, &format!("span.http.method/values?{}", always())).await;
    assert_eq!(source.store.take_reads(), [(cart, 1), (shop, 1)].into());
    let range = format!("start={}&end={}", T0 + 100, T0 + 110);
    let names = values(&app, &format!("name/values?{range}")).await;
    assert_eq!(names, typed("string", ["shop 0", "shop 1"]));
    assert_eq!(source.store.take_reads(), [(shop, 1)].into());
    // At the ends of the range rows are looked at.
    let range = format!("start={}&end={}", T0 + 1, T0 + 2);
    let names = values(&app, &format!("name/values?{range}")).await;
    assert_eq!(names, typed("string", ["cart 1", "cart 2"]));

    let (status, text) = get(&app, "/api/v2/search/tag/service.name/values").await;
    assert_eq!(status, 400);
    assert!(
        text.starts_with("please provide a valid tagName: "),
        "{text}"
    );
}

#[tokio::test]
async fn values_of_the_spans_that_pass_a_filter() {
    let Data { source, .. } = data().await;
    let app = open(&source, FrontendConfig::default());
    for (name, filter, expected) in [
        (
            "span.http.method",
            "{span.http.status_code=500}",
            typed("string", ["POST"]),
        ),
        (
            "span.http.status_code",
            "{resource.service.name=\"mail\"}",
            typed("int", ["200"]),
        ),
        (
            "resource.service.name",
            "{span.http.status_code=500}",
            typed("string", ["cart", "shop"]),
        ),
        (
            "name",
            "{resource.service.name=\"shop\" %26%26 span.http.method=\"GET\"}",
            typed("string", ["shop 0"]),
        ),
        ("span.cached", "{name=\"mail 0\"}", typed("bool", ["true"])),
        (
            "span.http.method",
            "{span.http.status_code=500 %26%26 name=}",
            typed("string", ["POST"]),
        ),
        ("span.http.method", "{}", typed("string", ["GET", "POST"])),
        (
            "span.http.method",
            "{span.x=",
            typed("string", ["GET", "POST"]),
        ),
        ("span.http.method", "{span.nothing=1}", json!([])),
        (
            "status",
            "{span.nothing=1}",
            typed("keyword", ["error", "ok", "unset"]),
        ),
    ] {
        let query = format!("{name}/values?q={filter}&{}", always());
        assert_eq!(values(&app, &query).await, expected, "{name} {filter}");
    }
}

#[tokio::test]
async fn plain_values() {
    let Data { source, .. } = data().await;
    let app = open(&source, FrontendConfig::default());
    for (name, expected) in [
        ("service.name", json!(["cart", "mail", "shop"])),
        ("http.status_code", json!(["200", "500"])),
        ("status.code", json!(["error", "ok", "unset"])),
        (
            "name",
            json!([
                "cart 0", "cart 1", "cart 2", "cart 3", "mail 0", "shop 0", "shop 1"
            ]),
        ),
        ("a b%2Fc", json!([])),
    ] {
        let uri = format!("/api/search/tag/{name}/values?{}", always());
        let (status, body) = get_json(&app, &uri).await;
        assert_eq!((status, &body["tagValues"]), (200, &expected), "{name}");
    }
}

#[tokio::test]
async fn answers_are_bounded_and_say_so() {
    let Data { source, .. } = data().await;
    let warning = async |app: &Router, uri: String| {
        let request = Request::get(uri).body(Body::empty()).unwrap();
        let (status, response, text) = send(app, request).await;
        assert_eq!(status, 200);
        let warning = response.headers().get("x-spandrel-warning");
        (text, warning.map(|text| text.to_str().unwrap().to_owned()))
    };
    let app = open(&source, FrontendConfig::default());
    let names = format!("/api/v2/search/tag/name/values?{}", always());
    assert_eq!(warning(&app, names.clone()).await.1, None);
    // The newest block comes first.
    let (text, cut) = warning(&app, format!("{names}&limit=2")).await;
    assert!(text.contains("mail 0") && text.contains("shop 0"), "{text}");
    assert!(cut.unwrap().contains("limit"));
    assert!(
        warning(&app, format!("{names}&maxStaleValues=1"))
            .await
            .1
            .is_none()
    );

    let mut config = FrontendConfig::default();
    config
        .overrides
        .defaults
        .read
        .max_bytes_per_tag_values_query = 20;
    let app = open(&source, config);
    let key = "overrides.defaults.read.max_bytes_per_tag_values_query";
    for uri in [
        names,
        format!("/api/v2/search/tags?{}", always()),
        format!("/api/search/tags?{}", always()),
    ] {
        let (_, cut) = warning(&app, uri.clone()).await;
        assert!(cut.is_some_and(|text| text.contains(key)), "{uri}");
    }
}

/// Field 1 of a message, as often as it is there.
#[derive(Clone, PartialEq, prost::Message)]
struct First {
    #[prost(bytes = "vec", repeated, tag = "1")]
    items: Vec<Vec<u8>>,
}

#[tokio::test]
async fn protobuf() {
    let Data { source, .. } = data().await;
    let app = open(&source, FrontendConfig::default());
    for (path, items) in [
        ("/api/v2/search/tags", 5),
        ("/api/search/tags", 6),
        ("/api/v2/search/tag/span.http.method/values", 2),
        ("/api/search/tag/service.name/values", 3),
    ] {
        let (status, content_type, body) =
            get_protobuf(&app, &format!("{path}?{}", always())).await;
        assert_eq!(
            (status, content_type.as_str()),
            (200, "application/protobuf"),
            "{path}"
        );
        assert_eq!(First::decode(body).unwrap().items.len(), items, "{path}");
    }
}
