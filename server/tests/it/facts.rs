//! Recorded traces give the counts that other software found in them, whichever way they came in and
//! wherever they are when they are asked about.

use std::collections::BTreeMap;

use testkit::facts::Facts;
use testkit::testdata::{DataSet, data_sets, samples, traces_dir};

use crate::harness::{Server, Window, millis, run, said};
use crate::send;

const MINUTE_MS: i64 = 60_000;

/// Every span-local query of the facts, per-minute counts, services and percentiles.
async fn check(server: &Server, facts: &Facts, way: &str) {
    let mut checked = 0;
    for (fact, _) in facts.span_local_queries() {
        assert_eq!(
            server.count(&fact.traceql, Window::ALL).await,
            fact.spans,
            "{way}: {}",
            fact.traceql
        );
        checked += 1;
    }
    assert!(checked > 10, "{way}: {checked} queries only");
    services(server, facts, way).await;
    minutes(server, facts, way).await;
}

async fn services(server: &Server, facts: &Facts, way: &str) {
    let counts = server
        .instant(
            "{} | count_over_time() by (resource.service.name)",
            Window::ALL,
        )
        .await;
    let query = "{} | quantile_over_time(duration, .5, .9, .99) by (resource.service.name)";
    let quantiles = server.instant(query, Window::ALL).await;
    for (service, fact) in &facts.services {
        let is_it =
            |metric: &serde_json::Value| metric["resource.service.name"].as_str() == Some(service);
        if service == "(none)" {
            continue;
        }
        let count: f64 = counts
            .iter()
            .filter(|(metric, _)| is_it(metric))
            .map(|(_, value)| value)
            .sum();
        assert!(
            (count - f64::from(u32::try_from(fact.spans).unwrap())).abs() < 0.5,
            "{way}: {service}: {count} spans"
        );
        for (p, expected_ns) in [
            ("0.5", fact.duration_ns.p50),
            ("0.9", fact.duration_ns.p90),
            ("0.99", fact.duration_ns.p99),
        ] {
            let found = quantiles
                .iter()
                .find(|(metric, _)| is_it(metric) && metric["p"] == p)
                .unwrap()
                .1;
            #[expect(
                clippy::cast_precision_loss,
                reason = "durations are far below 2^53 ns"
            )]
            let expected = expected_ns as f64 / 1e9;
            assert!(
                (found - expected).abs() <= expected * 0.0101 + 1e-9,
                "{way}: {service} p{p}: {found} for {expected}"
            );
        }
    }
}

/// Spans of every minute, of all services and of one.
async fn minutes(server: &Server, facts: &Facts, way: &str) {
    let per_minute = &facts.per_minute;
    per_minute_of(server, "{}", &per_minute.all, way).await;
    if let Some(service) = &per_minute.service {
        let spans = format!("{{ resource.service.name = {service:?} }}");
        per_minute_of(server, &spans, &per_minute.service_spans, way).await;
        let errors = format!("{{ resource.service.name = {service:?} && status = error }}");
        per_minute_of(server, &errors, &per_minute.service_errors, way).await;
    }
}

/// A minute is closed on the left, an interval of a query on the right: they differ by spans that
/// start with a minute.
async fn per_minute_of(server: &Server, filter: &str, expected: &BTreeMap<String, u64>, way: &str) {
    let expected: BTreeMap<i64, u64> = expected
        .iter()
        .map(|(minute, count)| (server::times::parse(minute, 0).unwrap() / 1_000_000, *count))
        .collect();
    let (Some((&first, _)), Some((&last, _))) =
        (expected.first_key_value(), expected.last_key_value())
    else {
        return;
    };
    let found = if (last - first) / MINUTE_MS < 11_000 {
        in_one_query(server, filter, first, last + MINUTE_MS).await
    } else {
        // Over years, a minute at a time.
        let mut found = BTreeMap::new();
        for &start_ms in expected.keys() {
            let window = Window {
                start_ms,
                end_ms: start_ms + MINUTE_MS,
            };
            found.insert(start_ms, server.count(filter, window).await);
        }
        found
    };
    for start_ms in found.keys().chain(expected.keys()) {
        let of_minute = |counts: &BTreeMap<i64, u64>| counts.get(start_ms).copied().unwrap_or(0);
        let (found, expected) = (of_minute(&found), of_minute(&expected));
        if found != expected {
            let slack = boundary(server, filter, *start_ms).await;
            assert!(
                found.abs_diff(expected) <= slack,
                "{way}: {filter} in the minute from {start_ms} ms: {found} for {expected}"
            );
        }
    }
}

/// Counts by the start of their minute.
async fn in_one_query(
    server: &Server,
    filter: &str,
    start_ms: i64,
    end_ms: i64,
) -> BTreeMap<i64, u64> {
    let query = format!("{filter} | count_over_time()");
    let form = [
        ("query", query.as_str()),
        ("start", &millis(start_ms + MINUTE_MS)),
        ("end", &millis(end_ms)),
        ("step", "60"),
    ];
    let data = server.prom("query_range", &form).await;
    let samples = data["result"][0]["values"].as_array().unwrap();
    samples
        .iter()
        .map(|sample| {
            let end_ms = sample[0].as_i64().unwrap() * 1000;
            let count = sample[1].as_str().unwrap().parse().unwrap();
            (end_ms - MINUTE_MS, count)
        })
        .collect()
}

/// Spans in the milliseconds around the borders of a minute.
async fn boundary(server: &Server, filter: &str, start_ms: i64) -> u64 {
    let at = |ms: i64| Window {
        start_ms: ms - 2,
        end_ms: ms + 1,
    };
    server.count(filter, at(start_ms)).await + server.count(filter, at(start_ms + MINUTE_MS)).await
}

fn requests(
    set: &DataSet,
) -> Vec<opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest> {
    set.open().unwrap().map(Result::unwrap).collect()
}

/// Never cuts a block by itself.
const STAY_LIVE: [&str; 2] = [
    "live_store.max_block_duration=1h",
    "live_store.max_trace_idle=1h",
];

#[tokio::test]
async fn loaded_from_files() {
    for set in data_sets(&traces_dir()).unwrap() {
        let folder = tempfile::tempdir().unwrap();
        let output = run(&[
            "load",
            "--data-dir",
            folder.path().to_str().unwrap(),
            set.requests.to_str().unwrap(),
        ]);
        let (code, stdout, stderr) = said(&output);
        assert_eq!(code, Some(0), "{stderr}");
        let facts = set.facts().unwrap();
        assert!(stdout.starts_with("loaded "), "{stdout}");
        let server = Server::start(folder.path(), &[]).await;
        check(&server, &facts, &format!("{} loaded", set.name)).await;
    }
}

#[tokio::test]
async fn received_over_grpc_live_replayed_and_stored() {
    for set in samples().unwrap() {
        let folder = tempfile::tempdir().unwrap();
        let facts = set.facts().unwrap();
        let server = Server::start(folder.path(), &STAY_LIVE).await;
        send::grpc(server.otlp_grpc, requests(&set)).await;
        check(&server, &facts, &format!("{} live", set.name)).await;
        server.kill();

        let server = Server::start(folder.path(), &STAY_LIVE).await;
        check(&server, &facts, &format!("{} replayed", set.name)).await;
        assert!(server.terminate().await.success());

        let server = Server::start(folder.path(), &STAY_LIVE).await;
        check(&server, &facts, &format!("{} stored", set.name)).await;
    }
}

#[tokio::test]
async fn received_over_http_as_json_and_cut_while_running() {
    let mut merged = 0;
    for set in samples().unwrap() {
        let folder = tempfile::tempdir().unwrap();
        let facts = set.facts().unwrap();
        let sets = [
            "live_store.max_block_duration=300ms",
            "live_store.max_trace_idle=100ms",
        ];
        let server = Server::start(folder.path(), &sets).await;
        let path = set
            .requests
            .to_str()
            .unwrap()
            .replace(".otlp.zst", ".jsonl.zst");
        send::http_json(&server, path.as_ref()).await;
        check(&server, &facts, &format!("{} over JSON", set.name)).await;
        tokio::time::sleep(std::time::Duration::from_millis(1500)).await;
        check(&server, &facts, &format!("{} over JSON, cut", set.name)).await;
        assert!(server.terminate().await.success());
        let compacted = run(&["compact", "--data-dir", folder.path().to_str().unwrap()]);
        merged += usize::from(said(&compacted).1.starts_with("merged "));
        let server = Server::start(folder.path(), &sets).await;
        check(&server, &facts, &format!("{} compacted", set.name)).await;
        let blocks = run(&[
            "block",
            "list",
            "--data-dir",
            folder.path().to_str().unwrap(),
        ]);
        assert!(said(&blocks).1.contains(" spans,"), "{blocks:?}");
    }
    assert!(merged > 0, "nothing was cut into several blocks");
}

/// The large recordings where they are at hand, else the one that always is.
fn recordings() -> Vec<DataSet> {
    let dir = testkit::testdata::real_data_dir().unwrap_or_else(|| {
        eprintln!("SKIPPED: all large recordings but one; set SPANDREL_REAL_DATA");
        traces_dir()
    });
    let mut sets = data_sets(&dir).unwrap();
    sets.retain(|set| !set.name.ends_with(".sample"));
    assert!(!sets.is_empty());
    sets
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whole_recordings_over_grpc_and_http() {
    for set in recordings() {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::start(folder.path(), &STAY_LIVE).await;
        let mut all = requests(&set);
        let rest = all.split_off(all.len() / 2);
        send::grpc(server.otlp_grpc, all).await;
        send::http_protobuf(&server, rest).await;
        let facts = set.facts().unwrap();
        check(&server, &facts, &format!("{} live", set.name)).await;
        assert!(server.terminate().await.success());
        let server = Server::start(folder.path(), &[]).await;
        check(&server, &facts, &format!("{} stored", set.name)).await;
    }
}

/// The large recordings, where they are at hand.
#[tokio::test]
async fn all_recordings_together() {
    let Some(dir) = testkit::testdata::real_data_dir() else {
        eprintln!("SKIPPED: the large recordings are not here; set SPANDREL_REAL_DATA");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let files: Vec<String> = data_sets(&dir)
        .unwrap()
        .iter()
        .map(|set| set.requests.display().to_string())
        .collect();
    let mut arguments = vec!["load", "--data-dir", folder.path().to_str().unwrap()];
    arguments.extend(files.iter().map(String::as_str));
    let (code, _, stderr) = said(&run(&arguments));
    assert_eq!(code, Some(0), "{stderr}");
    let server = Server::start(folder.path(), &[]).await;
    let facts = Facts::load_collection(&dir.join("facts.json")).unwrap();
    let mut checked = 0;
    for (fact, _) in facts.span_local_queries() {
        assert_eq!(
            server.count(&fact.traceql, Window::ALL).await,
            fact.spans,
            "{}",
            fact.traceql
        );
        checked += 1;
    }
    assert!(checked > 0);
    assert_eq!(server.count("{}", Window::ALL).await, facts.totals.spans);
}
