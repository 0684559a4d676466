//! Exemplars over both APIs: from a series to a trace.

use frontend::FrontendConfig;
use serde_json::{Value, json};

use crate::common::{T0, app, get, get_json, spans};

/// The exemplars of a Tempo answer, each with the service of its series.
async fn of_tempo(app: &axum::Router, query: &str, rest: &str) -> Vec<(String, Value)> {
    let uri = format!(
        "/api/metrics/query_range?q={query}&start={T0}&end={}&step=10s{rest}",
        T0 + 20
    );
    let (status, body) = get_json(app, &uri).await;
    assert_eq!(status, 200, "{body}");
    let mut found = Vec::new();
    for series in body["series"].as_array().unwrap() {
        let service = series["labels"][0]["value"]["stringValue"]
            .as_str()
            .unwrap();
        let exemplars = series["exemplars"].as_array().into_iter().flatten();
        found.extend(exemplars.map(|exemplar| (service.to_owned(), exemplar.clone())));
    }
    found
}

#[tokio::test]
async fn exemplars_open_traces() {
    let app = app(spans(), FrontendConfig::default());
    let query =
        "{ span.http.status_code > 0 } | max_over_time(duration) by (resource.service.name)";
    let found = of_tempo(&app, query, "").await;
    assert_eq!(found.len(), 3, "{found:?}");
    let text = |key: &str, value: &str| json!({"key": key, "value": {"stringValue": value}});
    let cart = json!({
        "labels": [
            text("trace:id", "01".repeat(16).trim_start_matches('0')),
            text("span:id", &"01".repeat(8)),
            {"key": "span.http.status_code", "value": {"intValue": "200"}},
            text("duration", "100ms"),
            text("resource.service.name", "cart"),
        ],
        "value": 0.1,
        "timestampMs": format!("{}000", T0 + 1),
    });
    assert_eq!(found[0], ("cart".to_owned(), cart));
    for (_, exemplar) in &found {
        let id = exemplar["labels"][0]["value"]["stringValue"]
            .as_str()
            .unwrap();
        assert_eq!(get(&app, &format!("/api/traces/{id}")).await.0, 200, "{id}");
    }
}

#[tokio::test]
async fn as_many_as_asked_for() {
    let app = app(spans(), FrontendConfig::default());
    let query = |hint: &str| format!("{{}} | rate() by (resource.service.name) {hint}");
    for (hint, rest, count) in [
        ("", "", 3),
        ("", "&exemplars=1", 1),
        ("", "&exemplars=0", 3),
        ("", "&exemplars=many", 3),
        ("", "&exemplars=4294967295", 3),
        ("with (exemplars=false)", "", 0),
        ("with (exemplars=0)", "&exemplars=5", 0),
        ("with (exemplars=1)", "&exemplars=5", 1),
        ("with (exemplars=2147483648)", "", 3),
        ("with (exemplars=true)", "&exemplars=1", 1),
        // As Tempo has it, a hint that makes no sense is as if it were not there.
        ("with (exemplars=\"1\")", "", 3),
        ("with (exemplars=1.5)", "&exemplars=2", 2),
        ("with (exemplar=1)", "&exemplars=2", 2),
    ] {
        let found = of_tempo(&app, &query(hint), rest).await;
        assert_eq!(found.len(), count, "{hint} {rest}: {found:?}");
    }
    // A span of a rate is at the rate.
    let found = of_tempo(&app, &query(""), "").await;
    assert_eq!(found[0].1["value"], 0.2);
}

#[tokio::test]
async fn the_jobs_that_aggregate_choose() {
    let app = app(spans(), FrontendConfig::default());
    let times = format!("start={T0}&end={}&step=10s", T0 + 20);
    // Live spans are read at once, since later they may be elsewhere.
    for query in ["{} | rate()", "({} | rate()) * 2", "{} | rate() > 100"] {
        let uri = format!("/api/metrics/query_range?q={query}&{times}");
        let (status, body) = get_json(&app, &uri).await;
        assert_eq!(status, 200, "{uri}: {body}");
        assert_eq!(body["metrics"]["completedJobs"], 1, "{uri}: {body}");
        assert_eq!(body["metrics"]["totalJobs"], 1, "{uri}: {body}");
    }
    let uri = format!("/prom/api/v1/query_range?query={{}} | rate()&{times}&stats=all");
    let (_, body) = get_json(&app, &uri).await;
    assert_eq!(body["data"]["stats"]["samples"]["samplesRead"], 3, "{body}");
}

#[tokio::test]
async fn over_the_prometheus_api() {
    let app = app(spans(), FrontendConfig::default());
    let ask = async |query: &str, start: i64, end: i64| {
        let uri = format!("/prom/api/v1/query_exemplars?query={query}&start={start}&end={end}");
        get_json(&app, &uri).await
    };
    let query = "{} | avg_over_time(duration) by (resource.service.name)";
    let (status, body) = ask(query, T0, T0 + 10).await;
    assert_eq!(status, 200, "{body}");
    let exemplar = |id: u8, second: i64| {
        let id = format!("{id:02}");
        json!({
            "labels": {"traceID": id.repeat(16), "trace_id": id.repeat(16), "span_id": id.repeat(8)},
            "value": "0.1",
            "timestamp": T0 + second,
        })
    };
    let cart = json!({
        "seriesLabels": {"resource.service.name": "cart"},
        "exemplars": [exemplar(1, 1), exemplar(2, 2)],
    });
    assert_eq!(body, json!({"status": "success", "data": [cart]}));
    for exemplar in body["data"][0]["exemplars"].as_array().unwrap() {
        let id = exemplar["labels"]["traceID"].as_str().unwrap();
        assert_eq!(get(&app, &format!("/api/traces/{id}")).await.0, 200, "{id}");
    }
    // What is outside the range is not shown, though an interval may reach there.
    let (_, body) = ask("{} | rate()", T0 + 2, T0 + 11).await;
    assert_eq!(body["data"][0]["exemplars"].as_array().unwrap().len(), 1);
    for query in ["test", "1 + 1", "{} | rate() with (exemplars=false)"] {
        let (status, body) = ask(query, T0, T0 + 10).await;
        assert_eq!((status, &body["data"]), (200, &json!([])), "{query}");
    }
    // Milliseconds where seconds are meant.
    let (status, body) = ask("{} | rate()", T0 * 1000, (T0 + 10) * 1000).await;
    assert_eq!((status, &body["data"]), (200, &json!([])));
    assert_eq!(ask("{} | rate()", T0, T0 - 1).await.0, 400);
    assert_eq!(ask("{}", T0, T0 + 10).await.0, 422);
}
