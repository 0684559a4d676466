//! Logs of record format 1, as the program wrote them once: every later version reads them.
//!
//! Each folder of `testdata/wal/v1` is a data folder, and beside its log says in OTLP/JSON, tenant by
//! tenant, which spans must come back. With `SPANDREL_WRITE_GOLDEN_LOGS` set, the log of a folder that
//! has none is written from these; a log that is there is never written anew.

use std::cmp::Ordering;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ingest::{Ingest, IngestParts, Metrics, OsDisk, decode_json};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, Span};
use prometheus::Registry;
use prost::Message as _;
use storage::block::decode;
use storage::ids::TenantId;
use storage::model::SpanGroup;
use storage::otlp::{from_request, to_resource_spans};
use storage::snapshot::Times;
use storage::{Random, SnapshotSource as _, StoredBlocks};
use testkit::clock::TestClock;
use testkit::testdata::workspace_root;
use tokio::net::TcpListener;

use super::cluster::{Store, quiet, run};
use super::receivers::http;
use super::requests::{request, request_of};
use super::sim_disk::SimDisk;

const WRITE: &str = "SPANDREL_WRITE_GOLDEN_LOGS";
/// When the logs were written, ns since the epoch.
const WRITTEN_NS: i64 = 1_700_000_100_000_000_000;
/// Bytes missing at the end of a torn log.
const TORN_BYTES: usize = 9;

/// Whether the last record of a log is whole.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Tail {
    Whole,
    Torn,
}

#[test]
fn logs_of_format_1_come_back_whole() {
    run(check("whole", &["team-a", "team-b"], Tail::Whole));
}

#[test]
fn a_torn_log_of_format_1_comes_back_up_to_its_last_record() {
    run(check("torn", &["team-b"], Tail::Torn));
}

async fn check(name: &str, tenants: &[&str], tail: Tail) {
    let golden = workspace_root().join("testdata/wal/v1").join(name);
    let log = golden.join("wal");
    if std::env::var_os(WRITE).is_some() && !log.try_exists().unwrap() {
        write(&golden, tenants, tail).await;
    }
    let data = tempfile::tempdir().unwrap();
    let segments = copy(&log, &data.path().join("wal"));
    assert_eq!(segments.len(), tenants.len());
    let ingest = open(data.path()).await;
    for name in tenants {
        let tenant: TenantId = name.parse().unwrap();
        let snapshot = ingest.snapshot(&tenant, &Times::ALL).await.unwrap();
        let found = snapshot.live.iter().map(|block| decode(block).unwrap());
        let found: Vec<SpanGroup> = found.flatten().collect();
        let expected = from_request(expected(&golden, name)).groups;
        assert_eq!(single_spans(&found), single_spans(&expected), "{name}");
    }
    let quarantine = data.path().join("quarantine");
    assert!(!quarantine.try_exists().unwrap(), "a false alarm");
}

/// The spans that must come back of a tenant's log; each of its resources was a request.
fn expected(golden: &Path, tenant: &str) -> ExportTraceServiceRequest {
    let text = std::fs::read(golden.join(format!("{tenant}.json"))).unwrap();
    decode_json(&text).unwrap()
}

/// Each span alone under its resource and scope, ordered by ids; attributes are ordered by keys.
fn single_spans(groups: &[SpanGroup]) -> Vec<ResourceSpans> {
    let mut single = Vec::new();
    for mut resource in to_resource_spans(groups) {
        resource
            .resource
            .as_mut()
            .unwrap()
            .attributes
            .sort_by(by_key);
        for scope in &resource.scope_spans {
            for span in &scope.spans {
                let mut one = resource.clone();
                one.scope_spans = vec![scope.clone()];
                one.scope_spans[0].spans = vec![span.clone()];
                one.scope_spans[0].spans[0].attributes.sort_by(by_key);
                single.push(one);
            }
        }
    }
    let ids = |one: &ResourceSpans| {
        let span: &Span = &one.scope_spans[0].spans[0];
        (span.trace_id.clone(), span.span_id.clone())
    };
    single.sort_by_key(ids);
    single
}

fn by_key(a: &KeyValue, b: &KeyValue) -> Ordering {
    a.key.cmp(&b.key)
}

/// A process with this data folder, which stores nothing.
async fn open(data: &Path) -> Arc<Ingest> {
    let store = Store::new(&SimDisk::default());
    store.refuse_writes();
    let mut config = quiet();
    config.multitenancy_enabled = true;
    let clock = TestClock::at(WRITTEN_NS);
    let random = Random::seeded(1, Arc::clone(&clock) as _);
    let prefix = object_store::path::Path::default();
    let parts = IngestParts {
        config,
        disk: Arc::new(OsDisk::open(data).unwrap()),
        stored: Arc::new(StoredBlocks::new(
            Arc::new(store),
            prefix,
            Arc::clone(&random),
        )),
        metrics: Metrics::register(&Registry::new()).unwrap(),
        random,
        clock,
    };
    Ingest::open(parts).await.unwrap()
}

/// Writes a log by sending every second request in protobuf, the others in JSON over HTTP.
async fn write(golden: &Path, tenants: &[&str], tail: Tail) {
    let data = tempfile::tempdir().unwrap();
    let ingest = open(data.path()).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let _receivers = ingest::receive(&ingest, [listener]);
    for name in tenants {
        let tenant: TenantId = name.parse().unwrap();
        let requests = expected(golden, name).resource_spans.into_iter();
        for (index, resource) in requests.enumerate() {
            let mut request = request_of(Vec::new());
            request.resource_spans = vec![resource];
            if index % 2 == 1 {
                let head = format!(
                    "POST /v1/traces HTTP/1.1\r\ncontent-type: application/json\r\nx-scope-orgid: {name}"
                );
                let body = serde_json::to_vec(&request).unwrap();
                assert_eq!(http(address, &head, &body).await.status, 200);
                continue;
            }
            if index > 0 {
                // A span that is turned away, so that the request goes to the log written anew.
                let spans = &mut request.resource_spans[0].scope_spans[0].spans;
                spans.push(Span::default());
            }
            let body = request.encode_to_vec();
            ingest.push(&tenant, body.into()).await.unwrap();
        }
        if tail == Tail::Torn {
            ingest.push(&tenant, request([7])).await.unwrap();
        }
    }
    for path in copy(&data.path().join("wal"), &golden.join("wal")) {
        if tail == Tail::Torn {
            let whole = std::fs::read(&path).unwrap();
            std::fs::write(&path, &whole[..whole.len() - TORN_BYTES]).unwrap();
        }
    }
}

/// Copies the segments of all tenants; returns the copies.
fn copy(from: &Path, to: &Path) -> Vec<PathBuf> {
    let mut copies = Vec::new();
    for folder in std::fs::read_dir(from).unwrap() {
        let folder = folder.unwrap();
        let target = to.join(folder.file_name());
        std::fs::create_dir_all(&target).unwrap();
        for file in std::fs::read_dir(folder.path()).unwrap() {
            let file = file.unwrap();
            let copy = target.join(file.file_name());
            std::fs::copy(file.path(), &copy).unwrap();
            copies.push(copy);
        }
    }
    copies
}
