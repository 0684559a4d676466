//! Searches, traces and names of recorded data over the Tempo API, wherever the spans are.

use std::collections::{BTreeMap, BTreeSet};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::ResourceSpans;
use prost::Message as _;
use serde_json::Value;
use storage::ids::TraceId;
use storage::model::{Attribute, SpanGroup};
use testkit::facts::{Facts, TraceFacts};
use testkit::testdata::{DataSet, data_sets, samples};

use crate::harness::Server;
use crate::send;

/// All that can have happened.
const ALWAYS: [(&str, &str); 2] = [("start", "0"), ("end", "4000000000")];

/// Never cuts a block by itself.
const STAY_LIVE: [&str; 2] = [
    "live_store.max_block_duration=1h",
    "live_store.max_trace_idle=1h",
];

#[derive(Clone, PartialEq, prost::Message)]
struct TraceById {
    #[prost(message, optional, tag = "1")]
    trace: Option<Trace>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Trace {
    #[prost(message, repeated, tag = "1")]
    resource_spans: Vec<ResourceSpans>,
}

/// The answer to a request of the Tempo API.
async fn ask(server: &Server, path: &str, parameters: &[(&str, &str)]) -> Value {
    let request = server.client.get(server.url(path)).query(&ALWAYS);
    let response = request.query(parameters).send().await.unwrap();
    let (status, text) = (response.status(), response.text().await.unwrap());
    assert_eq!(status, 200, "{path} {parameters:?}: {text}");
    serde_json::from_str(&text).unwrap()
}

async fn search(server: &Server, query: &str) -> Vec<Value> {
    let parameters = [("q", query), ("limit", "100000"), ("spss", "1")];
    let mut answer = ask(server, "/api/search", &parameters).await;
    match answer["traces"].take() {
        Value::Array(traces) => traces,
        other => panic!("{query}: {other}"),
    }
}

/// A 64-bit number.
fn wide(value: &Value) -> i64 {
    value.as_str().map_or(0, |text| text.parse().unwrap())
}

/// How many of the queries are asked.
#[derive(Clone, Copy)]
enum Queries {
    All,
    /// In a debug build some, in a release build all.
    Some,
}

/// Everything that can be asked about a data set.
async fn check(server: &Server, set: &DataSet, queries: Queries, way: &str) {
    let facts = set.facts().unwrap();
    let what = format!("{} {way}", set.name);
    searches(server, &facts, queries, &what).await;
    for trace in facts.largest_traces.iter().take(2) {
        metadata(server, trace, &what).await;
        whole(server, set, trace, &what).await;
    }
    names(server, &facts, &what).await;
    values(server, &facts, &what).await;
}

/// Each query selects as many spans and traces as other software found.
async fn searches(server: &Server, facts: &Facts, queries: Queries, what: &str) {
    let step = match queries {
        // All of them take a debug build too long.
        Queries::Some if cfg!(debug_assertions) => 9,
        Queries::All | Queries::Some => 1,
    };
    for fact in facts.queries.iter().step_by(step) {
        let traces = search(server, &fact.traceql).await;
        let spansets = traces
            .iter()
            .flat_map(|trace| trace["spanSets"].as_array().unwrap());
        let spans: u64 = spansets
            .map(|spanset| spanset["matched"].as_u64().unwrap())
            .sum();
        let found = (spans, traces.len() as u64);
        assert_eq!(found, (fact.spans, fact.traces), "{what}: {}", fact.traceql);
        let starts = traces.iter().map(|trace| wide(&trace["startTimeUnixNano"]));
        assert!(
            starts.is_sorted_by(|a, b| a >= b),
            "{what}: {}",
            fact.traceql
        );
    }
}

async fn metadata(server: &Server, fact: &TraceFacts, what: &str) {
    let query = format!("{{ trace:id = \"{}\" }}", fact.trace_id);
    let found = search(server, &query).await;
    assert_eq!(found.len(), 1, "{what}: {query}");
    let trace = &found[0];
    assert_eq!(
        trace["traceID"],
        fact.trace_id.trim_start_matches('0'),
        "{what}"
    );
    let service = fact
        .root_service
        .as_deref()
        .unwrap_or("<root span not yet received>");
    assert_eq!(trace["rootServiceName"], service, "{what}: {trace}");
    assert_eq!(
        trace["rootTraceName"].as_str(),
        fact.root_name.as_deref(),
        "{what}: {trace}"
    );
    assert_eq!(
        wide(&trace["startTimeUnixNano"]),
        fact.start_unix_nano,
        "{what}: {trace}"
    );
    let duration_ms = u32::try_from(fact.trace_duration_ns / 1_000_000).unwrap_or(u32::MAX);
    assert_eq!(
        trace["durationMs"].as_u64().unwrap_or(0),
        u64::from(duration_ms),
        "{what}: {trace}"
    );
    let stats = trace["serviceStats"].as_object().unwrap();
    let sum = |key: &str| {
        stats
            .values()
            .map(|of| of[key].as_u64().unwrap_or(0))
            .sum::<u64>()
    };
    assert_eq!(
        (sum("spanCount"), sum("errorCount")),
        (fact.spans, fact.errors),
        "{what}: {trace}"
    );
    assert_eq!(stats.len() as u64, fact.services, "{what}: {trace}");
}

/// The trace comes back as it was sent.
async fn whole(server: &Server, set: &DataSet, fact: &TraceFacts, what: &str) {
    let id: TraceId = fact.trace_id.parse().unwrap();
    let url = server.url(&format!("/api/v2/traces/{}", fact.trace_id));
    let request = server
        .client
        .get(url)
        .header("accept", "application/protobuf");
    let body = request.send().await.unwrap().bytes().await.unwrap();
    let spans = TraceById::decode(body)
        .unwrap()
        .trace
        .unwrap()
        .resource_spans;
    let request = ExportTraceServiceRequest {
        resource_spans: spans,
    };
    let found = storage::otlp::from_request(request).groups;
    let sent = requests(set).into_iter();
    let sent: Vec<SpanGroup> = sent
        .flat_map(|request| storage::otlp::from_request(request).groups)
        .collect();
    // Where both sides of a call have one id, one side gets another.
    let with_ids = !set.name.starts_with("zipkin");
    assert_eq!(
        contents(&found, id, with_ids),
        contents(&sent, id, with_ids),
        "{what}: {}",
        fact.trace_id
    );

    let (status, text) = server.get(&format!("/api/traces/{}", fact.trace_id)).await;
    assert_eq!(status, 200, "{what}: {text}");
    let json: Value = serde_json::from_str(&text).unwrap();
    let groups = json["batches"].as_array().unwrap().iter();
    let scopes = groups.flat_map(|group| group["scopeSpans"].as_array().unwrap());
    let spans: usize = scopes
        .map(|scope| scope["spans"].as_array().unwrap().len())
        .sum();
    assert_eq!(spans as u64, fact.spans, "{what}: {}", fact.trace_id);
}

/// What the groups say of a trace, as text that can be compared.
fn contents(groups: &[SpanGroup], id: TraceId, with_ids: bool) -> Vec<String> {
    let sorted = |attributes: &[Attribute]| {
        let mut sorted = attributes.to_vec();
        sorted.sort_by(|a, b| a.key.cmp(&b.key));
        sorted
    };
    let mut out = Vec::new();
    for group in groups {
        let resource = sorted(&group.resource.attributes);
        for span in group.spans.iter().filter(|span| span.trace_id == id) {
            let mut span = span.clone();
            span.attributes = sorted(&span.attributes);
            for event in &mut span.events {
                event.attributes = sorted(&event.attributes);
            }
            if !with_ids {
                span.span_id = storage::ids::SpanId::default();
                span.parent_span_id = None;
            }
            out.push(format!("{resource:?} {:?} {span:?}", group.scope));
        }
    }
    out.sort();
    out
}

/// The names are just those that occur.
async fn names(server: &Server, facts: &Facts, what: &str) {
    let answer = ask(server, "/api/v2/search/tags", &[]).await;
    let mut found: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for scope in answer["scopes"].as_array().unwrap() {
        let tags = scope["tags"].as_array().unwrap().iter();
        let tags = tags.map(|tag| tag.as_str().unwrap()).collect();
        found.insert(scope["name"].as_str().unwrap(), tags);
    }
    for (scope, keys) in &facts.attribute_counts {
        let keys: BTreeSet<&str> = keys.keys().map(String::as_str).collect();
        let of_scope = found.get(scope.as_str()).cloned().unwrap_or_default();
        assert_eq!(of_scope, keys, "{what}: {scope}");
    }
}

/// The values are just those that occur, with and without a filter; of what has many, the commonest
/// are among them.
async fn values(server: &Server, facts: &Facts, what: &str) {
    for (name, by_type) in &facts.attribute_values {
        let path = format!("/api/v2/search/tag/{name}/values");
        let expected: BTreeSet<(&str, &str)> = by_type
            .iter()
            .flat_map(|(of_type, values)| {
                // TraceQL has another word for it.
                let of_type = if of_type == "double" {
                    "float"
                } else {
                    of_type
                };
                values.keys().map(move |value| (of_type, value.as_str()))
            })
            .collect();
        let (scope, key) = name.split_once('.').unwrap();
        let counts = &facts.attribute_counts[scope][key];
        let is_all = by_type
            .iter()
            .all(|(of_type, values)| counts[of_type] == values.values().sum::<u64>());
        for filter in ["{}", "{ duration >= 0ns }"] {
            let answer = ask(server, &path, &[("q", filter)]).await;
            let values = answer["tagValues"].as_array().unwrap();
            let found: BTreeSet<(&str, &str)> = values
                .iter()
                .map(|value| {
                    (
                        value["type"].as_str().unwrap(),
                        value["value"].as_str().unwrap(),
                    )
                })
                .collect();
            if is_all {
                assert_eq!(found, expected, "{what}: {name} {filter}");
            } else {
                assert!(found.is_superset(&expected), "{what}: {name} {filter}");
            }
        }
    }
    let answer = ask(
        server,
        "/api/v2/search/tag/resource.service.name/values",
        &[],
    )
    .await;
    let services = facts
        .services
        .keys()
        .filter(|name| *name != "(none)")
        .count();
    assert_eq!(
        answer["tagValues"].as_array().unwrap().len(),
        services,
        "{what}"
    );
}

fn requests(set: &DataSet) -> Vec<ExportTraceServiceRequest> {
    set.open().unwrap().map(Result::unwrap).collect()
}

#[tokio::test]
async fn live_replayed_and_stored() {
    for set in samples().unwrap() {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::start(folder.path(), &STAY_LIVE).await;
        send::grpc(server.otlp_grpc, requests(&set)).await;
        check(&server, &set, Queries::Some, "live").await;
        server.kill();

        let server = Server::start(folder.path(), &STAY_LIVE).await;
        check(&server, &set, Queries::Some, "replayed").await;
        assert!(server.terminate().await.success());

        let server = Server::start(folder.path(), &STAY_LIVE).await;
        check(&server, &set, Queries::All, "stored").await;
    }
}

/// Whatever request a span came in, its trace is whole: stored in two blocks, and still in memory.
#[tokio::test]
async fn traces_in_pieces() {
    for set in samples().unwrap() {
        let folder = tempfile::tempdir().unwrap();
        let mut parts: [Vec<ExportTraceServiceRequest>; 3] = Default::default();
        for (index, request) in requests(&set).into_iter().enumerate() {
            parts[index % 3].push(request);
        }
        let [first, second, third] = parts;
        for part in [first, second] {
            let server = Server::start(folder.path(), &STAY_LIVE).await;
            send::grpc(server.otlp_grpc, part).await;
            assert!(server.terminate().await.success());
        }
        let server = Server::start(folder.path(), &STAY_LIVE).await;
        send::grpc(server.otlp_grpc, third).await;
        check(&server, &set, Queries::Some, "in pieces").await;
    }
}

/// The large recordings, with the spans of every trace dealt out to three parts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_recordings_in_pieces() {
    let Some(dir) = testkit::testdata::real_data_dir() else {
        eprintln!("SKIPPED: the large recordings are not here; set SPANDREL_REAL_DATA");
        return;
    };
    for set in data_sets(&dir).unwrap() {
        if set.name.ends_with(".sample") {
            continue;
        }
        let facts = set.facts().unwrap();
        let folder = tempfile::tempdir().unwrap();
        for part in 0..3 {
            let server = Server::start(folder.path(), &STAY_LIVE).await;
            send::grpc(server.otlp_grpc, dealt(requests(&set), part)).await;
            if part == 2 {
                let what = format!("{} in pieces", set.name);
                searches(&server, &facts, Queries::Some, &what).await;
            }
            assert!(server.terminate().await.success());
        }
        let server = Server::start(folder.path(), &STAY_LIVE).await;
        let what = format!("{} in three blocks", set.name);
        searches(&server, &facts, Queries::Some, &what).await;
    }
}

/// One of three parts of the spans.
fn dealt(
    mut requests: Vec<ExportTraceServiceRequest>,
    part: usize,
) -> Vec<ExportTraceServiceRequest> {
    let mut next = 0;
    let groups = requests.iter_mut().flat_map(|it| &mut it.resource_spans);
    for scope in groups.flat_map(|group| &mut group.scope_spans) {
        scope.spans.retain(|_| {
            next += 1;
            next % 3 == part
        });
    }
    requests
}
