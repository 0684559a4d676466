//! The Prometheus API, as a Grafana data source uses it.

use crate::common::{T0, app, block, get, get_json, post_form, send, spans};
use axum::body::Body;
use axum::http::{Method, Request};
use frontend::FrontendConfig;
use serde_json::json;

const RATE_BY_SERVICE: &str = "{} | rate() by (resource.service.name)";

#[tokio::test]
async fn connection_test() {
    let app = app(spans(), FrontendConfig::default());
    let expected = r#"{"status":"success","data":{"resultType":"scalar","result":[4,"2"]}}"#;
    let form = "query=1%2B1&time=4";
    assert_eq!(
        post_form(&app, "/prom/api/v1/query", form).await,
        (200, expected.to_owned())
    );
    let url = format!("/prom/api/v1/query?{form}");
    assert_eq!(get(&app, &url).await, (200, expected.to_owned()));

    let (status, body) =
        get_json(&app, "/prom/api/v1/query?query=vector(1)+vector(1)&time=4").await;
    assert_eq!(status, 200);
    assert_eq!(
        body["data"]["result"],
        json!([{"metric": {}, "value": [4, "2"]}])
    );
}

#[tokio::test]
async fn build_information_has_no_features() {
    let app = app(spans(), FrontendConfig::default());
    let uri = "/prom/api/v1/status/buildinfo";
    let (status, body) = get_json(&app, uri).await;
    assert_eq!(status, 200);
    assert_eq!(body["data"]["version"], "3.0.0");
    assert!(body["data"].get("features").is_none());
    assert_eq!(post_form(&app, uri, "").await.1, get(&app, uri).await.1);
}

#[tokio::test]
async fn probes_succeed() {
    let app = app(spans(), FrontendConfig::default());
    let range = "start=1724000000000&end=1724001800000";
    for uri in [
        format!("/prom/api/v1/query_exemplars?query=test&{range}"),
        format!("/prom/api/v1/series?match[]=up&{range}"),
    ] {
        let (status, body) = get_json(&app, &uri).await;
        assert_eq!((status, &body["data"]), (200, &json!([])), "{uri}");
    }
    for query in ["up", "test", "{__name__=~\".%2B\"}"] {
        let (status, body) = get_json(&app, &format!("/prom/api/v1/query?query={query}")).await;
        assert_eq!(
            (status, &body["data"]["result"]),
            (200, &json!([])),
            "{query}"
        );
        assert!(
            body["infos"][0].as_str().unwrap().contains("TraceQL"),
            "{body}"
        );
    }
    let (_, body) = get_json(&app, "/prom/api/v1/rules").await;
    assert_eq!(body["data"], json!({"groups": []}));
    let (_, body) = get_json(&app, "/prom/api/v1/metadata").await;
    assert_eq!(body["data"]["rate"][0]["type"], "gauge");
    for uri in [
        "/prom/-/healthy",
        "/prom/-/ready",
        "/prom/api/v1/status/tsdb",
    ] {
        assert_eq!(get(&app, uri).await.0, 200, "{uri}");
    }
    let options = Request::builder()
        .method(Method::OPTIONS)
        .uri("/prom/api/v1/query");
    assert_eq!(
        send(&app, options.body(Body::empty()).unwrap()).await.0,
        204
    );
    for uri in [
        "/prom/api/v1/search/metric_names",
        "/prom/nothing",
        "/prom/api/v1/nothing",
    ] {
        let (status, body) = get_json(&app, uri).await;
        assert_eq!(
            (status, &body["errorType"]),
            (404, &json!("not_found")),
            "{uri}"
        );
    }
}

#[tokio::test]
async fn forms_and_urls_are_equal() {
    let app = app(spans(), FrontendConfig::default());
    let range = format!("start={T0}&end={}", T0 + 20);
    for (uri, parameters) in [
        ("/prom/api/v1/labels", range.clone()),
        ("/prom/api/v1/series", format!("match[]=up&{range}")),
        (
            "/prom/api/v1/query_range",
            format!("query={RATE_BY_SERVICE}&step=10&{range}"),
        ),
        (
            "/prom/api/v1/query",
            format!("query={RATE_BY_SERVICE}&time={}", T0 + 20),
        ),
    ] {
        let by_url = get(&app, &format!("{uri}?{parameters}")).await;
        assert_eq!(by_url.0, 200, "{uri}: {}", by_url.1);
        assert_eq!(post_form(&app, uri, &parameters).await, by_url, "{uri}");
    }
}

#[tokio::test]
async fn range_queries_use_the_grid_as_given() {
    let app = app(spans(), FrontendConfig::default());
    let uri = format!(
        "/prom/api/v1/query_range?query={RATE_BY_SERVICE}&start={T0}&end={}&step=10&stats=all",
        T0 + 20
    );
    let (status, body) = get_json(&app, &uri).await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(body["data"]["resultType"], "matrix");
    assert_eq!(
        body["data"]["result"],
        json!([
            {"metric": {"resource.service.name": "cart"},
             "values": [[T0, "0"], [T0 + 10, "0.2"], [T0 + 20, "0"]]},
            {"metric": {"resource.service.name": "shop"},
             "values": [[T0, "0"], [T0 + 10, "0"], [T0 + 20, "0.1"]]},
        ])
    );
    assert_eq!(body["data"]["stats"]["samples"]["totalQueryableSamples"], 3);

    let (_, body) = get_json(&app, &format!("{uri}&label_names=underscore")).await;
    assert_eq!(
        body["data"]["result"][0]["metric"],
        json!({"resource_service_name": "cart"})
    );
}

#[tokio::test]
async fn instant_queries_look_back() {
    let app = app(spans(), FrontendConfig::default());
    let query = "query={} | count_over_time()";
    let (_, body) = get_json(
        &app,
        &format!("/prom/api/v1/query?{query}&time={}", T0 + 20),
    )
    .await;
    assert_eq!(
        body["data"],
        json!({"resultType": "vector", "result": [
            {"metric": {"__name__": "count_over_time"}, "value": [T0 + 20, "3"]}]})
    );
    let short = format!(
        "/prom/api/v1/query?{query}&time={}&lookback_delta=10s",
        T0 + 20
    );
    let (_, body) = get_json(&app, &short).await;
    assert_eq!(body["data"]["result"][0]["value"][1], "1");
}

#[tokio::test]
async fn histograms_in_both_forms() {
    let app = app(spans(), FrontendConfig::default());
    let uri = format!(
        "/prom/api/v1/query?query={{}} | histogram_over_time(duration)&time={}",
        T0 + 20
    );
    let (_, body) = get_json(&app, &uri).await;
    assert_eq!(
        body["data"]["result"][0]["metric"],
        json!({"__bucket": "0.134217728"})
    );
    let (_, body) = get_json(&app, &format!("{uri}&histogram=prometheus")).await;
    assert_eq!(
        body["data"]["result"][0]["metric"],
        json!({"le": "0.134217728"})
    );
    assert_eq!(body["data"]["result"][1]["metric"], json!({"le": "+Inf"}));
    assert_eq!(body["data"]["result"][1]["value"][1], "3");
}

#[tokio::test]
async fn constants_over_a_range() {
    let app = app(spans(), FrontendConfig::default());
    let uri = "/prom/api/v1/query_range?start=1&end=2&step=0.5";
    let (_, body) = get_json(&app, &format!("{uri}&query=time()*2")).await;
    let series = json!([{"metric": {}, "values": [[1, "2"], [1.5, "3"], [2, "4"]]}]);
    assert_eq!(body["data"]["result"], series);
    let (_, body) = get_json(&app, &format!("{uri}&query=0/0")).await;
    assert_eq!(body["data"]["result"][0]["values"][0], json!([1, "NaN"]));
    let (_, body) = get_json(&app, &format!("{uri}&query=vector(time()) > 1.7")).await;
    assert_eq!(body["data"]["result"][0]["values"], json!([[2, "2"]]));
    let (status, body) = get_json(&app, &format!("{uri}&query='a'")).await;
    assert_eq!((status, &body["errorType"]), (400, &json!("bad_data")));
}

#[tokio::test]
async fn errors_have_a_type_and_a_text() {
    let app = app(spans(), FrontendConfig::default());
    let range = "start=0&end=10&step=1";
    for (uri, status, error_type, part) in [
        (
            "query?query={ span.x = 1 }".to_owned(),
            422,
            "execution",
            "| rate()",
        ),
        (
            "query?query={ span.x = 1 }&time=x".to_owned(),
            400,
            "bad_data",
            "\"time\"",
        ),
        ("query".to_owned(), 400, "bad_data", "\"query\""),
        (
            format!("query_range?query={{&{range}"),
            400,
            "bad_data",
            "invalid TraceQL query",
        ),
        (
            format!("query_range?query=rate(up[5m])&{range}"),
            400,
            "bad_data",
            "1:8",
        ),
        (
            "query_range?query=1&start=0&end=11001&step=1".to_owned(),
            400,
            "bad_data",
            "11,000",
        ),
        (
            "query_range?query=1&start=0&end=1".to_owned(),
            400,
            "bad_data",
            "\"step\"",
        ),
        (
            "series".to_owned(),
            400,
            "bad_data",
            "no match[] parameter provided",
        ),
        ("labels?limit=-1".to_owned(), 400, "bad_data", "\"limit\""),
    ] {
        let (found, body) = get_json(&app, &format!("/prom/api/v1/{uri}")).await;
        assert_eq!(
            (found, &body["errorType"]),
            (status, &json!(error_type)),
            "{uri}: {body}"
        );
        assert!(
            body["error"].as_str().unwrap().contains(part),
            "{uri}: {body}"
        );
        assert_eq!(body["status"], "error");
    }
    let broken = crate::common::app(crate::common::Broken, FrontendConfig::default());
    let (status, body) = get_json(&broken, "/prom/api/v1/query?query={} | rate()").await;
    assert_eq!((status, &body["errorType"]), (503, &json!("unavailable")));
}

#[tokio::test]
async fn names_and_values() {
    let app = app(spans(), FrontendConfig::default());
    let (_, body) = get_json(&app, "/prom/api/v1/labels").await;
    let names: Vec<&str> = body["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|name| name.as_str().unwrap())
        .collect();
    for name in [
        "__name__",
        "name",
        "resource.service.name",
        "span.http.status_code",
        "status",
    ] {
        assert!(names.contains(&name), "{name}: {names:?}");
    }
    assert!(names.is_sorted());
    let before = get_json(
        &app,
        &format!("/prom/api/v1/labels?start=1&end={}", T0 - 10),
    )
    .await
    .1;
    assert!(
        !before.to_string().contains("resource.service.name"),
        "{before}"
    );
    let (_, body) = get_json(&app, "/prom/api/v1/labels?limit=2").await;
    assert_eq!(body["data"].as_array().unwrap().len(), 2);
    assert_eq!(body["warnings"], json!(["results truncated due to limit"]));

    for (name, values) in [
        ("U__resource_2e_service_2e_name", json!(["cart", "shop"])),
        ("resource.service.name", json!(["cart", "shop"])),
        ("span.http.status_code", json!(["200", "500"])),
        ("name", json!(["op1", "op2", "op3"])),
        ("status", json!(["error", "ok", "unset"])),
        ("duration", json!([])),
        ("span.nothing", json!([])),
        ("nothing", json!([])),
    ] {
        let uri = format!("/prom/api/v1/label/{name}/values");
        let (status, body) = get_json(&app, &uri).await;
        assert_eq!((status, &body["data"]), (200, &values), "{name}: {body}");
    }
    let uri = format!(
        "/prom/api/v1/label/resource.service.name/values?start={}&end={}",
        T0 + 5,
        T0 + 50
    );
    assert_eq!(get_json(&app, &uri).await.1["data"], json!(["shop"]));
    let (_, body) = get_json(&app, "/prom/api/v1/label/__name__/values?limit=40000").await;
    assert!(body["data"].as_array().unwrap().contains(&json!("rate")));
}

#[tokio::test]
async fn tenants_see_their_own_spans() {
    let (a, b) = ("a".parse().unwrap(), "b".parse().unwrap());
    let blocks = vec![
        (a, block(&"a".parse().unwrap(), &[("cart", 1, 200)])),
        (
            b,
            block(&"b".parse().unwrap(), &[("cart", 1, 200), ("shop", 2, 200)]),
        ),
    ];
    let config = FrontendConfig {
        multitenancy_enabled: true,
        ..FrontendConfig::default()
    };
    let app = app(crate::common::Live(blocks), config);
    for (tenant, status, count) in [
        (Some("a"), 200, Some("1")),
        (Some("b"), 200, Some("2")),
        (Some("a|b"), 200, Some("3")),
        (Some("c"), 200, Some("0")),
        (Some("a/b"), 400, None),
        (None, 401, None),
    ] {
        let uri = format!(
            "/prom/api/v1/query?query=%7B%7D%7Ccount_over_time()&time={}",
            T0 + 20
        );
        let mut request = Request::get(uri);
        if let Some(tenant) = tenant {
            request = request.header("X-Scope-OrgID", tenant);
        }
        let (found, _, body) = send(&app, request.body(Body::empty()).unwrap()).await;
        assert_eq!(found, status, "{tenant:?}: {body}");
        if let Some(count) = count {
            let body: serde_json::Value = serde_json::from_str(&body).unwrap();
            assert_eq!(body["data"]["result"][0]["value"][1], count, "{tenant:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_form_must_be_short_and_arrive() {
    let mut config = FrontendConfig::default();
    config.query_frontend.max_query_expression_size_bytes = 20;
    let app = app(spans(), config);
    let post = async |body: Body| {
        let request = Request::post("/prom/api/v1/query")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body);
        let (status, _, text) = send(&app, request.unwrap()).await;
        (status.as_u16(), text)
    };
    // Every byte of the longest query may be written as three.
    let longest = format!("query={}", "%31".repeat(20));
    assert_eq!(post(Body::from(longest)).await.0, 200);
    let limit = (64 << 10) + 60;
    assert_eq!(post(Body::from(vec![b'a'; limit])).await.0, 400);
    let (status, text) = post(Body::from(vec![b'a'; limit + 1])).await;
    assert_eq!(status, 400);
    let reason = format!("the form is longer than {limit} bytes");
    assert!(
        text.contains(&reason) && text.contains("max_query_expression_size_bytes"),
        "{text}"
    );
    let endless = futures::stream::pending::<Result<&[u8], std::io::Error>>();
    let (status, text) = post(Body::from_stream(endless)).await;
    assert_eq!(status, 400);
    assert!(text.contains("did not arrive within 30 s"), "{text}");
}
