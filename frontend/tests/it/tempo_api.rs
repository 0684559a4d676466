//! The Tempo API and the operational pages.

use std::io::Read;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use axum::body::Body;
use axum::http::Request;
use frontend::FrontendConfig;
use frontend::duration::GoDuration;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use storage::StorageError;
use storage::ids::TenantId;
use storage::snapshot::{Snapshot, SnapshotSource, Times};
use tokio::sync::Semaphore;
use tower::ServiceExt;

use crate::common::{T0, app, get, get_json, post_form, spans};

#[tokio::test]
async fn range_queries_are_aligned_with_one_interval_in_front() {
    let app = app(spans(), FrontendConfig::default());
    let uri = format!(
        "/api/metrics/query_range?q={{}} | count_over_time() by (resource.service.name) \
         with (exemplars=false)\
         &start={}&end={}&step=10s",
        T0 + 3,
        T0 + 18
    );
    let (status, body) = get_json(&app, &uri).await;
    assert_eq!(status, 200, "{body}");
    let label = |service: &str| json!([{"key": "resource.service.name", "value": {"stringValue": service}}]);
    let samples = |counts: [i64; 3]| -> Value {
        let sample = |(index, count)| {
            let time_s = T0 + 10 * i64::try_from(index).unwrap();
            json!({"timestampMs": format!("{time_s}000"), "value": count})
        };
        counts.into_iter().enumerate().map(sample).collect()
    };
    assert_eq!(
        body["series"][0],
        json!({"labels": label("cart"), "samples": samples([0, 2, 0])})
    );
    assert_eq!(
        body["series"][1],
        json!({"labels": label("shop"), "samples": samples([0, 0, 1])})
    );
    assert_eq!(body["metrics"]["inspectedSpans"], "3");
    assert_eq!(body["metrics"]["completedJobs"], 1);
    let keys: Vec<&String> = body.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["series", "metrics"]);
}

#[tokio::test]
async fn instant_queries_cover_the_whole_range() {
    let app = app(spans(), FrontendConfig::default());
    // The end of the range is in it, the start is not.
    let uri = format!(
        "/api/metrics/query?q={{}} | rate()&start={}&end={}",
        T0 + 2,
        T0 + 12
    );
    let (status, body) = get_json(&app, &uri).await;
    assert_eq!(status, 200, "{body}");
    let name = json!([{"key": "__name__", "value": {"stringValue": "rate"}}]);
    assert_eq!(body["series"], json!([{"labels": name, "value": 0.1}]));
}

#[tokio::test]
async fn both_apis_give_equal_values() {
    let app = app(spans(), FrontendConfig::default());
    for query in [
        "{} | rate() by (resource.service.name)",
        "{} | quantile_over_time(duration, 0.9, 0.5)",
        "{} | max_over_time(span.http.status_code) by (resource.service.name)",
    ] {
        let times = format!("start={T0}&end={}&step=5", T0 + 20);
        let tempo = get_json(&app, &format!("/api/metrics/query_range?q={query}&{times}"))
            .await
            .1;
        let prom = get_json(
            &app,
            &format!("/prom/api/v1/query_range?query={query}&{times}"),
        )
        .await
        .1;
        let tempo = tempo["series"].as_array().unwrap();
        let prom = prom["data"]["result"].as_array().unwrap();
        assert_eq!(tempo.len(), prom.len(), "{query}");
        assert!(!tempo.is_empty(), "{query}");
        for (tempo, prom) in tempo.iter().zip(prom) {
            let of_tempo: Vec<(String, f64)> = tempo["samples"]
                .as_array()
                .unwrap()
                .iter()
                .map(|sample| {
                    let ms = sample["timestampMs"].as_str().unwrap();
                    (ms.to_owned(), sample["value"].as_f64().unwrap())
                })
                .collect();
            let of_prom: Vec<(String, f64)> = prom["values"]
                .as_array()
                .unwrap()
                .iter()
                .map(|sample| {
                    let ms = format!("{}000", sample[0]);
                    (ms, sample[1].as_str().unwrap().parse().unwrap())
                })
                .collect();
            assert_eq!(of_tempo.len(), of_prom.len(), "{query}");
            for ((time, value), (prom_time, prom_value)) in of_tempo.iter().zip(&of_prom) {
                assert_eq!(time, prom_time, "{query}");
                // The JSON reader of this test may be off by the last bit of a float.
                assert!(
                    (value - prom_value).abs() <= f64::EPSILON * value,
                    "{query} at {time}"
                );
            }
        }
    }
}

#[tokio::test]
async fn answers_are_cut_to_the_series_limit() {
    let app = app(spans(), FrontendConfig::default());
    let query = format!(
        "q={{}} | rate() by (name)&start={T0}&end={}&maxSeries=2",
        T0 + 20
    );
    let (_, body) = get_json(&app, &format!("/api/metrics/query?{query}")).await;
    assert_eq!(body["series"].as_array().unwrap().len(), 2);
    assert_eq!(body["status"], "PARTIAL");
    assert!(
        body["message"].as_str().unwrap().contains("2 series"),
        "{body}"
    );
}

#[tokio::test]
async fn errors_are_plain_text() {
    let mut config = FrontendConfig::default();
    config.query_frontend.metrics.max_duration = GoDuration::from_secs(24 * 3600);
    let app = app(spans(), config);
    let times = format!("start={T0}&end={}", T0 + 60);
    for (query, status, part) in [
        (
            format!("q={{ nope }} | rate()&{times}"),
            400,
            "invalid TraceQL query: ",
        ),
        (format!("q={{}}&{times}"), 400, "metrics"),
        (times.clone(), 400, "missing parameter q"),
        (
            "q={} | rate()&start=yesterday".to_owned(),
            400,
            "invalid start: \"yesterday\"",
        ),
        (
            "q={} | rate()&start=9&end=5".to_owned(),
            400,
            "end must be greater than start",
        ),
        (
            format!("q={{}} | rate()&{times}&step=1ms"),
            400,
            "step of 1ms is too small",
        ),
        (
            format!("q={{}} | rate()&start={}&end={T0}", T0 - 90_000),
            400,
            "duration of 24h0m0s",
        ),
    ] {
        let (found, text) = get(&app, &format!("/api/metrics/query_range?{query}")).await;
        assert_eq!(found, status, "{query}: {text}");
        assert!(text.contains(part), "{query}: {text}");
    }
    let day = format!("q={{}} | rate()&start={}&end={T0}", T0 - 86_400);
    assert_eq!(
        get(&app, &format!("/api/metrics/query_range?{day}"))
            .await
            .0,
        200
    );
    assert_eq!(get(&app, "/nothing").await.0, 404);
    let broken = crate::common::app(crate::common::Broken, FrontendConfig::default());
    assert_eq!(
        get(
            &broken,
            &format!("/api/metrics/query?q={{}} | rate()&{times}")
        )
        .await
        .0,
        503
    );
}

#[tokio::test]
async fn too_much_memory_is_refused_with_the_key() {
    let mut config = FrontendConfig::default();
    config.query.max_memory_bytes = 64;
    let app = app(spans(), config);
    let times = format!("start={T0}&end={}&step=1", T0 + 60);
    let (status, text) = get(
        &app,
        &format!("/api/metrics/query_range?q={{}} | rate() by (name)&{times}"),
    )
    .await;
    assert_eq!(status, 422, "{text}");
    assert!(text.contains("query.max_memory_bytes"), "{text}");
}

#[tokio::test]
async fn operational_pages() {
    let app = app(spans(), FrontendConfig::default());
    assert_eq!(get(&app, "/api/echo").await, (200, "echo\n".to_owned()));
    assert_eq!(post_form(&app, "/api/echo", "").await.0, 200);
    assert_eq!(get(&app, "/ready").await, (200, "ready\n".to_owned()));
    let (_, body) = get_json(&app, "/api/status/buildinfo").await;
    assert_eq!(body["version"], "3.0.3");
    assert!(
        get(&app, "/status/version")
            .await
            .1
            .starts_with("GET /status/version\n")
    );
    for uri in [
        "/status",
        "/status/config",
        "/status/config?mode=diff",
        "/status/endpoints",
    ] {
        assert_eq!(get(&app, uri).await.0, 200, "{uri}");
    }
    assert_eq!(get(&app, "/status/config?mode=x").await.0, 400);
    let times = format!("start={T0}&end={}", T0 + 60);
    get(&app, &format!("/api/metrics/query?q={{}} | rate()&{times}")).await;
    get(&app, "/prom/api/v1/query?query=1").await;
    get(&app, "/secret/path").await;
    let (_, metrics) = get(&app, "/metrics").await;
    for line in [
        "spandrel_http_query_requests_total{code=\"200\",route=\"/api/metrics/query\"} 1",
        "spandrel_http_query_requests_total{code=\"200\",route=\"/prom/api/v1/query\"} 1",
        "spandrel_http_query_requests_total{code=\"404\",route=\"other\"} 1",
        "spandrel_queries_total{outcome=\"success\"} 1",
        "spandrel_query_jobs_total 1",
        "spandrel_query_inspected_spans_total 3",
        "spandrel_queries_running 0",
        "spandrel_block_cache_bytes",
    ] {
        assert!(metrics.contains(line), "{line}\n{metrics}");
    }
}

#[tokio::test]
async fn the_prefix_moves_the_api_only() {
    let config = FrontendConfig {
        http_api_prefix: "/tempo".to_owned(),
        ..FrontendConfig::default()
    };
    let app = app(spans(), config);
    assert_eq!(get(&app, "/tempo/api/echo").await.0, 200);
    assert_eq!(get(&app, "/api/echo").await.0, 404);
    assert_eq!(get(&app, "/ready").await.0, 200);
    assert_eq!(get(&app, "/prom/api/v1/rules").await.0, 200);
}

#[tokio::test]
async fn responses_are_compressed_with_gzip_only() {
    let app = app(spans(), FrontendConfig::default());
    for uri in [
        "/metrics",
        "/prom/api/v1/labels",
        "/prom/api/v1/metadata",
        "/status/endpoints",
    ] {
        let request = Request::get(uri).header("accept-encoding", "zstd, gzip, br, deflate");
        let response = app
            .clone()
            .oneshot(request.body(Body::empty()).unwrap())
            .await
            .unwrap();
        assert_eq!(response.headers()["content-encoding"], "gzip", "{uri}");
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        let mut text = String::new();
        flate2::read::GzDecoder::new(bytes.as_ref())
            .read_to_string(&mut text)
            .unwrap();
        assert!(!text.is_empty());

        let request = Request::get(uri).header("accept-encoding", "zstd");
        let response = app
            .clone()
            .oneshot(request.body(Body::empty()).unwrap())
            .await
            .unwrap();
        assert!(
            response.headers().get("content-encoding").is_none(),
            "{uri}"
        );
    }
}

/// Notes whose spans are asked for, and has none once the gate is open.
#[derive(Debug, Clone)]
struct Gated {
    asked: Arc<Mutex<String>>,
    gate: Arc<Semaphore>,
}

#[async_trait]
impl SnapshotSource for Gated {
    async fn snapshot(&self, tenant: &TenantId, _: &Times) -> Result<Snapshot, StorageError> {
        self.asked.lock().unwrap().push_str(tenant.as_str());
        let _open = self.gate.acquire().await.unwrap();
        Ok(Snapshot::empty(tenant.clone()))
    }
}

#[tokio::test]
async fn tenants_whose_queries_wait_take_turns() {
    let source = Gated {
        asked: Arc::default(),
        gate: Arc::new(Semaphore::new(0)),
    };
    let mut config = FrontendConfig {
        multitenancy_enabled: true,
        ..FrontendConfig::default()
    };
    config.querier.max_concurrent_queries = 1;
    config.query_frontend.max_outstanding_per_tenant = 3;
    let app = app(source.clone(), config);
    let query = |tenant: &str| {
        let request = Request::get("/api/metrics/query?q=%7B%7D%7Crate()&start=0&end=10");
        let request = request.header("x-scope-orgid", tenant).body(Body::empty());
        Box::pin(app.clone().oneshot(request.unwrap()))
    };
    let mut waiting = ["a", "a", "a", "a", "b", "c"].map(query);
    for query in &mut waiting {
        assert!(futures::poll!(query).is_pending());
    }
    let refused = query("a").await.unwrap();
    assert_eq!(refused.status(), 429);
    source.gate.add_permits(1);
    for answer in futures::future::join_all(waiting).await {
        assert_eq!(answer.unwrap().status(), 200);
    }
    assert_eq!(*source.asked.lock().unwrap(), "aabcaa");
}
