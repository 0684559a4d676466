//! Searches over the Tempo API.

use std::sync::Arc;

use axum::Router;
use frontend::FrontendConfig;
use prost::Message as _;
use storage::ids::{SpanId, TraceId};
use storage::model::{AnyValue, Attribute, Resource, Span, SpanGroup};

use crate::common::{T0, app_over, get, get_protobuf};
use crate::stored::Mixed;
use crate::strict::{self, ServiceStats};

const S: i64 = 1_000_000_000;

/// Every trace is a call from `shop` to `cart`; in those of odd number it fails.
fn trace(number: u8) -> [SpanGroup; 2] {
    let start_ns = (T0 + i64::from(number) * 10) * S;
    let span = |id: u8, parent: u8, name: &str, offset_ns: i64| Span {
        trace_id: TraceId([number; 16]),
        span_id: SpanId([number, id, 0, 0, 0, 0, 0, 0]),
        parent_span_id: (parent > 0).then_some(SpanId([number, parent, 0, 0, 0, 0, 0, 0])),
        name: name.to_owned(),
        kind: 2,
        start_ns: start_ns + offset_ns,
        end_ns: start_ns + 1_500_000_000 - offset_ns,
        attributes: vec![Attribute {
            key: "http.status_code".into(),
            value: AnyValue::Int(200 + 300 * i64::from(number % 2)),
        }],
        status_code: i32::from(number % 2) * 2,
        ..Span::default()
    };
    let group = |service: &str, spans| SpanGroup {
        resource: Arc::new(Resource {
            attributes: vec![Attribute {
                key: "service.name".into(),
                value: AnyValue::String(service.to_owned()),
            }],
            ..Resource::default()
        }),
        scope: Arc::default(),
        spans,
    };
    [
        group("shop", vec![span(1, 0, "GET /", 0)]),
        group(
            "cart",
            vec![span(2, 1, "add", 1_000), span(3, 1, "list", 2_000)],
        ),
    ]
}

fn traces(numbers: impl IntoIterator<Item = u8>) -> Vec<SpanGroup> {
    numbers.into_iter().flat_map(trace).collect()
}

fn open(source: &Mixed, config: FrontendConfig) -> Router {
    let store = Arc::clone(&source.store);
    app_over(store, source.clone(), config)
}

/// Traces 1 to 12 in three stored blocks, 13 and 14 in memory.
async fn data() -> Mixed {
    let mut source = Mixed::new();
    for first in [1, 5, 9] {
        source.store(&traces(first..first + 4)).await;
    }
    source.keep_live(&traces(13..15));
    source
}

async fn search(app: &Router, query: &str) -> strict::Search {
    let uri = format!("/api/search?{query}&start={}&end={}", T0 - 10, T0 + 10_000);
    let (status, text) = get(app, &uri).await;
    assert_eq!(status, 200, "{query}: {text}");
    strict::read(&text)
}

/// The first byte of each id.
fn numbers(found: &strict::Search) -> Vec<u8> {
    let first = |trace: &strict::Trace| {
        let id: TraceId = trace.trace_id.parse().unwrap();
        id.0[0]
    };
    found.traces.iter().map(first).collect()
}

#[tokio::test]
async fn the_newest_traces_come_first_from_wherever_they_are() {
    let source = data().await;
    let app = open(&source, FrontendConfig::default());
    assert_eq!(
        numbers(&search(&app, "q={}").await),
        (1..15).rev().collect::<Vec<u8>>()
    );
    assert_eq!(numbers(&search(&app, "").await).len(), 14);
    assert_eq!(numbers(&search(&app, "q={}&limit=3").await), [14, 13, 12]);
    assert_eq!(
        numbers(&search(&app, "q={status=error}&limit=3").await),
        [13, 11, 9]
    );
    assert_eq!(
        numbers(&search(&app, "q={status=error} | rate()&limit=1").await),
        [13]
    );
    assert_eq!(numbers(&search(&app, "q={false}").await), [] as [u8; 0]);
    assert_eq!(
        numbers(&search(&app, "q={.nothing=1}").await),
        [] as [u8; 0]
    );
    // The range is about whole traces, whose last ends at 141.5 s.
    let (_, text) = get(
        &app,
        &format!("/api/search?start={}&end={}", T0 + 141, T0 + 150),
    )
    .await;
    assert_eq!(numbers(&strict::read(&text)), [14]);
    let (_, text) = get(
        &app,
        &format!("/api/search?start={}&end={}", T0 + 142, T0 + 150),
    )
    .await;
    assert_eq!(numbers(&strict::read(&text)), [] as [u8; 0]);
}

#[tokio::test]
async fn what_an_answer_says() {
    let source = data().await;
    let app = open(&source, FrontendConfig::default());
    let query =
        "q={resource.service.name=\"cart\" %26%26 span.http.status_code=500}&spss=1&limit=2";
    let found = search(&app, query).await;
    let trace = &found.traces[0];
    assert_eq!(trace.trace_id, "d".to_owned() + &"0d".repeat(15));
    assert_eq!(
        (
            trace.root_service_name.as_str(),
            trace.root_trace_name.as_str()
        ),
        ("shop", "GET /")
    );
    assert_eq!(
        i64::try_from(trace.start_time_unix_nano).unwrap(),
        (T0 + 130) * S
    );
    assert_eq!(trace.duration_ms, 1500);
    assert_eq!(trace.span_sets.len(), 1);
    assert_eq!(trace.span_set, trace.span_sets[0]);
    assert_eq!((trace.span_set.matched, trace.span_set.spans.len()), (2, 1));
    let span = &trace.span_set.spans[0];
    assert_eq!(
        (span.span_id.as_str(), span.name.as_str()),
        ("0d02000000000000", "")
    );
    assert_eq!(span.duration_nanos, 1_499_998_000);
    let keys: Vec<&str> = span
        .attributes
        .iter()
        .map(|attribute| attribute.key.as_str())
        .collect();
    assert_eq!(keys, ["service.name", "http.status_code"]);
    assert_eq!(span.attributes[1].value, strict::AnyValue::IntValue(500));
    let stats = |span_count, error_count| ServiceStats {
        span_count,
        error_count,
    };
    assert_eq!(trace.service_stats["shop"], stats(1, 1));
    assert_eq!(trace.service_stats["cart"], stats(2, 2));

    let found = search(
        &app,
        "q={} | select(name, status) | by(resource.service.name)&limit=1&spss=0",
    )
    .await;
    let spansets = &found.traces[0].span_sets;
    assert_eq!(spansets.len(), 2);
    assert_eq!(spansets[0].attributes[0].key, "by(resource.service.name)");
    assert_eq!(spansets[1].spans.len(), 2);
    assert_eq!(spansets[1].spans[0].name, "add");
}

#[tokio::test]
async fn older_blocks_are_not_read_once_the_answer_is_certain() {
    let mut source = Mixed::new();
    let mut newest = None;
    for number in 1..40 {
        newest = Some(source.store(&traces([number])).await);
    }
    let app = open(&source, FrontendConfig::default());
    let found = search(&app, "q={}&limit=2").await;
    assert_eq!(numbers(&found), [39, 38]);
    let reads = source.store.take_reads();
    assert!(reads.contains_key(&newest.unwrap()));
    assert!(reads.len() <= 9, "{} blocks read", reads.len());
    assert_eq!(found.metrics.total_blocks, 39);
    let found = search(&app, "q={name=\"add\"}&limit=100").await;
    assert_eq!(numbers(&found).len(), 39);
}

#[tokio::test]
async fn a_trace_in_pieces_is_one() {
    let mut source = Mixed::new();
    let [shop, cart] = trace(1);
    source.store(&[shop]).await;
    source.store(&traces([2])).await;
    source.keep_live(&[cart]);
    let app = open(&source, FrontendConfig::default());
    let query = "q={resource.service.name=\"shop\"} >> {name=\"add\"}";
    let found = search(&app, query).await;
    assert_eq!(numbers(&found), [2, 1]);
    assert_eq!(found.traces[1].root_service_name, "shop");
    assert_eq!(found.traces[1].service_stats["cart"].span_count, 2);
    assert_eq!(numbers(&search(&app, "q={}").await), [2, 1]);
}

#[tokio::test]
async fn searches_from_before_traceql() {
    let source = data().await;
    let app = open(&source, FrontendConfig::default());
    for (query, expected) in [
        ("tags=service.name=CAR&limit=1", vec![14]),
        ("tags=http.status_code=500&limit=1", vec![13]),
        ("tags=http.status_code=50&limit=1", vec![]),
        ("tags=name=\"get /\" error=true&limit=2", vec![13, 11]),
        ("tags=service.name=shop service.name2=x", vec![]),
        ("minDuration=1500ms&limit=1", vec![14]),
        ("minDuration=1501ms", vec![]),
        ("maxDuration=1s", vec![]),
    ] {
        assert_eq!(numbers(&search(&app, query).await), expected, "{query}");
    }
}

#[tokio::test]
async fn mistakes_are_told_in_plain_text() {
    let app = open(&Mixed::new(), FrontendConfig::default());
    for (query, part) in [
        (
            "q={}&start=1",
            "only one of start and end provided: must provide both or neither",
        ),
        ("q={ .a = }", "invalid TraceQL query: "),
        ("q={}&tags=a=b", "can't specify tags and q"),
        ("q={}&limit=0", "invalid limit"),
        ("q={}&start=5&end=5", "start must be before end"),
    ] {
        let (status, text) = get(&app, &format!("/api/search?{query}")).await;
        assert_eq!(status, 400, "{query}");
        assert!(text.contains(part), "{query}: {text}");
    }
    let (status, text) = get(&app, "/api/search?q={}").await;
    assert_eq!(
        (status, text.as_str()),
        (200, r#"{"traces":[],"metrics":{}}"#)
    );
}

#[tokio::test]
async fn ids_have_leading_zeros_if_the_configuration_says_so() {
    let source = data().await;
    let mut config = FrontendConfig::default();
    config.overrides.defaults.read.left_pad_trace_ids = true;
    let app = open(&source, config);
    let found = search(&app, "q={}&limit=1").await;
    assert_eq!(found.traces[0].trace_id, "0e".repeat(16));
}

/// What of a search's answer can be told apart without its messages.
#[derive(Clone, PartialEq, prost::Message)]
struct Outline {
    #[prost(message, repeated, tag = "1")]
    traces: Vec<TraceOutline>,
    #[prost(bytes = "vec", optional, tag = "2")]
    metrics: Option<Vec<u8>>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct TraceOutline {
    #[prost(string, tag = "1")]
    trace_id: String,
    #[prost(bytes = "vec", repeated, tag = "7")]
    span_sets: Vec<Vec<u8>>,
}

#[tokio::test]
async fn protobuf() {
    let source = data().await;
    let app = open(&source, FrontendConfig::default());
    let uri = format!("/api/search?q={{}}&start={T0}&end={}", T0 + 10_000);
    let (status, content_type, body) = get_protobuf(&app, &uri).await;
    assert_eq!(
        (status, content_type.as_str()),
        (200, "application/protobuf")
    );
    let answer = Outline::decode(body).unwrap();
    assert_eq!(answer.traces.len(), 14);
    assert_eq!(answer.traces[0].trace_id, "e".to_owned() + &"0e".repeat(15));
    assert_eq!(answer.traces[0].span_sets.len(), 1);
    assert!(answer.metrics.is_some());
}

#[tokio::test]
async fn every_answer_passes_a_strict_reader() {
    let source = data().await;
    let app = open(&source, FrontendConfig::default());
    let times = format!("start={T0}&end={}", T0 + 10_000);
    let text = async |path: &str| get(&app, &format!("{path}{times}")).await.1;
    let tags: strict::Tags = strict::read(&text("/api/v2/search/tags?").await);
    assert_eq!(tags.scopes[0].name, "resource");
    assert_eq!(tags.scopes[0].tags, ["service.name"]);
    let path = "/api/v2/search/tag/resource.service.name/values?";
    let values: strict::TagValues = strict::read(&text(path).await);
    assert_eq!(values.tag_values[0].value, "cart");
    assert_eq!(values.tag_values[0].value_type, "string");
    let path = "/api/metrics/query?q={} | count_over_time() by (resource.service.name)&";
    let instant: strict::Instant = strict::read(&text(path).await);
    assert_eq!(instant.series.len(), 2);
}
