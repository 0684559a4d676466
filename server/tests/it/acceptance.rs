//! What Grafana's data sources ask first, and what they must get.

use std::path::Path;

use opentelemetry_proto::tonic::trace::v1::TracesData;
use prost::Message as _;
use serde_json::{Value, json};
use tonic::Code;
use tonic::codec::CompressionEncoding;

use crate::harness::{Server, millis};
use crate::send::{self, numbered};

/// Ten spans, one a second from 1000 s on.
async fn with_spans(folder: &Path) -> Server {
    let server = Server::start(folder, &[]).await;
    send::http_protobuf(&server, vec![numbered(0..10)]).await;
    server
}

#[tokio::test]
async fn a1_a2_constants_answer_the_connection_test() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[]).await;
    let (status, body) = server
        .post("/prom/api/v1/query", &[("query", "1+1"), ("time", "4")])
        .await;
    assert_eq!(
        (status, body.as_str()),
        (
            200,
            r#"{"status":"success","data":{"resultType":"scalar","result":[4,"2"]}}"#
        )
    );
    let (status, body) = server.get("/prom/api/v1/query?query=1%2B1&time=4").await;
    assert_eq!(
        (status, body.as_str()),
        (
            200,
            r#"{"status":"success","data":{"resultType":"scalar","result":[4,"2"]}}"#
        )
    );
    let data = server
        .prom("query", &[("query", "vector(1)+vector(1)"), ("time", "4")])
        .await;
    assert_eq!(
        data,
        json!({"resultType": "vector", "result": [{"metric": {}, "value": [4, "2"]}]})
    );
}

#[tokio::test]
async fn a3_build_information() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[]).await;
    for (status, body) in [
        server.get("/prom/api/v1/status/buildinfo").await,
        server.post("/prom/api/v1/status/buildinfo", &[]).await,
    ] {
        assert_eq!(status, 200);
        let data = serde_json::from_str::<Value>(&body).unwrap()["data"].take();
        assert_eq!(
            data["version"].as_str().unwrap().split('.').count(),
            3,
            "{data}"
        );
        assert!(data.get("features").is_none(), "{data}");
    }
}

#[tokio::test]
async fn a4_exemplars_in_milliseconds() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[]).await;
    let (status, body) = server
        .get("/prom/api/v1/query_exemplars?query=test&start=1724000000000&end=1724001800000")
        .await;
    assert_eq!(
        (status, body.as_str()),
        (200, r#"{"status":"success","data":[]}"#)
    );
}

#[tokio::test]
async fn a5_a_form_says_the_same_as_a_url() {
    let folder = tempfile::tempdir().unwrap();
    let server = with_spans(folder.path()).await;
    for (endpoint, parameters) in [
        ("labels", vec![("start", "0"), ("end", "2000")]),
        ("series", vec![("match[]", "up"), ("start", "0")]),
        (
            "query_range",
            vec![
                ("query", "{} | rate()"),
                ("start", "1000"),
                ("end", "1010"),
                ("step", "5"),
            ],
        ),
        ("query", vec![("query", "{} | rate()"), ("time", "1010")]),
    ] {
        let path = format!("/prom/api/v1/{endpoint}");
        let by_form = server.post(&path, &parameters).await;
        let by_url = server
            .client
            .get(server.url(&path))
            .query(&parameters)
            .send()
            .await
            .unwrap();
        assert_eq!(
            by_form,
            (by_url.status().as_u16(), by_url.text().await.unwrap()),
            "{endpoint}"
        );
        assert_eq!(by_form.0, 200, "{}", by_form.1);
    }
}

#[tokio::test]
async fn a6_label_values_under_an_escaped_name() {
    let folder = tempfile::tempdir().unwrap();
    let server = with_spans(folder.path()).await;
    let (status, body) = server
        .get("/prom/api/v1/label/U__resource_2e_service_2e_name/values")
        .await;
    assert_eq!(
        (status, body.as_str()),
        (200, r#"{"status":"success","data":["numbered"]}"#)
    );
}

#[tokio::test]
async fn a7_too_many_points() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[]).await;
    let form = [
        ("query", "{} | rate()"),
        ("start", "0"),
        ("end", "11001"),
        ("step", "1"),
    ];
    let (status, body) = server.post("/prom/api/v1/query_range", &form).await;
    assert_eq!(status, 400);
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        (&body["status"], &body["errorType"]),
        (&json!("error"), &json!("bad_data"))
    );
    assert!(body["error"].as_str().unwrap().contains("11,000"), "{body}");
}

#[tokio::test]
async fn a8_gzip_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let server = with_spans(folder.path()).await;
    let client = reqwest::Client::builder().no_gzip().build().unwrap();
    for path in [
        "/prom/api/v1/query_range?query=%7B%7D%7Crate()&start=1000&end=3000&step=1",
        "/metrics",
        "/status/config",
    ] {
        let response = client
            .get(server.url(path))
            .header("accept-encoding", "zstd, gzip")
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), 200, "{path}");
        assert_eq!(response.headers()["content-encoding"], "gzip", "{path}");
    }
}

#[tokio::test]
async fn a9_probes() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[]).await;
    for path in ["/api/echo", "/ready", "/status/version", "/metrics"] {
        assert_eq!(server.get(path).await.0, 200, "{path}");
    }
}

#[tokio::test]
async fn a10_a11_a_trace_that_is_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let server = with_spans(folder.path()).await;
    assert_eq!(
        server.get("/api/v2/traces/abcdef").await,
        (200, r#"{"trace":{},"metrics":{}}"#.to_owned())
    );
    let url = server.url("/api/v2/traces/abcdef");
    let request = server
        .client
        .get(url)
        .header("accept", "application/protobuf");
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "application/protobuf");
    // Fields 1 and 2, both there and empty.
    assert_eq!(&response.bytes().await.unwrap()[..], [10, 0, 18, 0]);
    assert_eq!(server.get("/api/traces/abcdef").await, (404, String::new()));
}

#[tokio::test]
async fn a12_messages_that_clients_take_for_granted() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[]).await;
    let mut bare = numbered(0..1);
    bare.resource_spans[0].resource = None;
    send::http_protobuf(&server, vec![bare]).await;
    let request = server.client.get(server.url("/api/traces/1"));
    let request = request.header("accept", "application/protobuf");
    let body = request.send().await.unwrap().bytes().await.unwrap();
    let trace = TracesData::decode(body).unwrap();
    let group = &trace.resource_spans[0];
    let resource = group.resource.as_ref().unwrap();
    assert_eq!(resource.attributes[0].key, "service.name");
    assert!(group.scope_spans[0].scope.is_some());
    assert!(group.scope_spans[0].spans[0].status.is_some());
}

#[tokio::test]
async fn a14_half_a_range() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[]).await;
    let (status, body) = server.get("/api/search?q=%7B%7D&start=1").await;
    assert_eq!(status, 400);
    assert!(body.contains("start and end"), "{body}");
}

/// What Traces Drilldown and the query editor ask besides metrics.
#[tokio::test]
async fn a17_the_searches_of_traces_drilldown() {
    let folder = tempfile::tempdir().unwrap();
    let server = with_spans(folder.path()).await;
    let s = "nestedSetParent<0 && true";
    let columns =
        "status, resource.service.name, name, nestedSetParent, nestedSetLeft, nestedSetRight";
    let exceptions = "resource.service.name, event.exception.message,event.exception.stacktrace,event.exception.type";
    for (query, limit, spss) in [
        ("{}".to_owned(), "20", "3"),
        (
            format!("{{{s}}} | select(resource.service.name, name)"),
            "200",
            "10",
        ),
        (format!("{{{s} && status = error}}"), "200", "10"),
        (format!("{{{s}&& duration > 512ms}}"), "200", "10"),
        (
            format!("{{{s}&& duration >= 1ms && duration <= 2s}}"),
            "200",
            "10",
        ),
        (
            format!("({{{s} }} &>> {{ kind = server }}) || ({{{s} }}) | select({columns})"),
            "200",
            "20",
        ),
        (
            format!(
                "({{{s} && status = error }} &>> {{ status = error }}) || ({{{s} && status = error }}) | select({columns})"
            ),
            "200",
            "20",
        ),
        (
            format!("{{{s} && status = error}} | select({exceptions}) with(most_recent=true)"),
            "400",
            "10",
        ),
        (
            format!(
                "{{{s} && event.exception.message =~ \"a.*\" && event.exception.type = \"b\"}} | select(name)"
            ),
            "100",
            "10",
        ),
        (
            "{span.db.name=\"x\" || span.db.system=\"x\" || span.peer.service=\"x\"}".to_owned(),
            "20",
            "3",
        ),
    ] {
        let parameters = [
            ("q", query.as_str()),
            ("limit", limit),
            ("spss", spss),
            ("start", "990"),
            ("end", "1020"),
        ];
        let request = server.client.get(server.url("/api/search"));
        let response = request.query(&parameters).send().await.unwrap();
        let status = response.status();
        let body = response.text().await.unwrap();
        assert_eq!(status, 200, "{query}: {body}");
        let body: Value = serde_json::from_str(&body).unwrap();
        for trace in body["traces"].as_array().unwrap() {
            // The view of the structure takes both for granted.
            assert_eq!(trace["spanSets"].as_array().unwrap().len(), 1, "{query}");
            if query.contains("nestedSetLeft") {
                let span = trace["spanSet"]["spans"][0].to_string();
                assert!(span.contains("nestedSetLeft"), "{query}: {span}");
                assert!(span.contains("nestedSetRight"), "{query}: {span}");
            }
        }
    }
    for path in [
        "/api/v2/search/tags?limit=5000",
        "/api/v2/search/tag/resource.service.name/values?limit=5000&q=%7B%7D&tag=x",
        "/api/v2/search/tag/span.undefined/values?limit=5000",
        "/api/search/tags",
        "/api/search/tag/service.name/values",
    ] {
        let (status, body) = server.get(path).await;
        assert_eq!(status, 200, "{path}: {body}");
    }
}

#[tokio::test]
async fn a17_the_queries_of_traces_drilldown() {
    let folder = tempfile::tempdir().unwrap();
    let server = with_spans(folder.path()).await;
    let mut queries = vec!["{} | rate()".to_owned()];
    for signal in [
        "nestedSetParent<0",
        "true",
        "kind=server",
        "kind=consumer",
        "span.db.system.name!=\"\"",
    ] {
        let s = format!("{signal} && true");
        queries.extend([
            format!("{{{s}}} | rate()  with(sample=true)"),
            format!("{{{s} && status=error}} | rate()  with(sample=true)"),
            format!("{{{s}}} | histogram_over_time(duration) with(sample=true)"),
            format!("{{{s}}} | quantile_over_time(duration, 0.9) with(sample=true)"),
        ]);
        for a in [
            "resource.service.name",
            "name",
            "kind",
            "rootName",
            "rootServiceName",
            "status",
            "statusMessage",
            "span.http.status_code",
        ] {
            queries.extend([
                format!("{{{s} && {a} != nil}} | rate() by({a})"),
                format!("{{{s} && status=error && {a} != nil}} | rate() by({a})"),
                format!("{{{s} && {a} != nil}} | quantile_over_time(duration, 0.9) by({a})"),
            ]);
        }
        queries.push(format!(
            "{{{s} && resource.service.name=\"numbered\"}} | rate() by(resource.service.name)"
        ));
    }
    for query in queries {
        let parameters = [
            ("q", query.as_str()),
            ("start", "1000"),
            ("end", "1064"),
            ("step", "1s"),
        ];
        let response = server
            .client
            .get(server.url("/api/metrics/query_range"))
            .query(&parameters)
            .send()
            .await
            .unwrap();
        let status = response.status();
        assert_eq!(status, 200, "{query}: {}", response.text().await.unwrap());
    }
    // D5: half a minute over a day.
    let parameters = [
        ("q", "{true && true} | rate()  with(sample=true)"),
        ("start", "0"),
        ("end", "86400"),
        ("step", "30s"),
    ];
    let response = server
        .client
        .get(server.url("/api/metrics/query_range"))
        .query(&parameters)
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 200);
}

#[tokio::test]
async fn a19_otlp_over_http() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[]).await;
    let json = |id: &str| {
        format!(
            r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{"traceId":"{id}","spanId":"EEE19B7EC3C1B174","name":"a","startTimeUnixNano":"5000000000","endTimeUnixNano":"6000000000"}}]}}]}}]}}"#
        )
    };
    let ids = [
        "5B8EFFF798038103D269B633813FC60C",
        "5B8EFFF798038103D269B633813FC60D",
        "5B8EFFF798038103D269B633813FC60E",
    ];
    assert_eq!(
        send::post(&server, "application/json", None, json(ids[0]).into_bytes()).await,
        (200, "{}".to_owned())
    );
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut gzip, json(ids[1]).as_bytes()).unwrap();
    assert_eq!(
        send::post(
            &server,
            "application/json; charset=utf-8",
            Some("gzip"),
            gzip.finish().unwrap()
        )
        .await
        .0,
        200
    );
    let zstd = zstd::encode_all(json(ids[2]).as_bytes(), 1).unwrap();
    assert_eq!(
        send::post(&server, "application/json", Some("zstd"), zstd)
            .await
            .0,
        200
    );
    assert_eq!(
        send::post(&server, "application/x-protobuf", None, Vec::new())
            .await
            .0,
        200
    );
    assert_eq!(server.count("{}", crate::harness::Window::ALL).await, 3);
    assert_eq!(
        send::post(&server, "text/plain", None, b"a".to_vec())
            .await
            .0,
        415
    );
    let large = vec![0; 65 << 20];
    let (status, body) = send::post(&server, "application/x-protobuf", None, large).await;
    assert_eq!(status, 413, "{body}");
    assert!(body.contains("ingest.max_request_bytes"), "{body}");
    assert_eq!(server.get("/ready").await.0, 200);
}

#[tokio::test]
async fn a19_otlp_over_grpc() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[]).await;
    let mut plain = send::grpc_client(server.otlp_grpc).await;
    plain.export(numbered([])).await.unwrap();
    plain.export(numbered([0])).await.unwrap();
    for (number, encoding) in [
        (1, CompressionEncoding::Gzip),
        (2, CompressionEncoding::Zstd),
    ] {
        let client = send::grpc_client(server.otlp_grpc).await;
        let mut compressed = client.send_compressed(encoding);
        compressed.export(numbered([number])).await.unwrap();
    }
    let mut large = numbered([3]);
    large.resource_spans[0].schema_url = "x".repeat(65 << 20);
    let refused = plain.export(large).await.unwrap_err();
    // With details, exporters would send it again.
    assert_eq!(
        (refused.code(), refused.details()),
        (Code::ResourceExhausted, &b""[..])
    );
    let limit = "more than 67108864 bytes (limit ingest.max_request_bytes)";
    assert!(refused.message().contains(limit), "{refused}");
    plain.export(numbered([3])).await.unwrap();
    assert_eq!(server.count("{}", crate::harness::Window::ALL).await, 4);
}

#[tokio::test]
async fn a20_a_tenant_that_sends_too_fast_is_told_when_to_go_on() {
    let folder = tempfile::tempdir().unwrap();
    // What does not fit takes minutes to fit.
    let server = Server::start(
        folder.path(),
        &[
            "multitenancy_enabled=true",
            "overrides.defaults.ingestion.rate_limit_bytes=1",
            "overrides.defaults.ingestion.burst_size_bytes=1000",
        ],
    )
    .await;
    let url = format!("http://{}/v1/traces", server.otlp_http);
    let body = |start: u64| numbered(start..start + 10).encode_to_vec();
    assert!((550..700).contains(&body(0).len()), "{}", body(0).len());
    let send = async |tenant: &str, body| {
        let request = server.client.post(&url).header("x-scope-orgid", tenant);
        let request = request.header("content-type", "application/x-protobuf");
        request.body(body).send().await.unwrap()
    };
    assert_eq!(send("a", body(0)).await.status(), 200);
    let refused = send("a", body(10)).await;
    assert_eq!(refused.status(), 429);
    let seconds: u64 = refused.headers()["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((100..500).contains(&seconds), "{seconds}");
    let text = String::from_utf8_lossy(&refused.bytes().await.unwrap()).into_owned();
    assert!(
        text.contains("err-rate-limited") && text.contains("ingestion.rate_limit_bytes"),
        "{text}"
    );

    let mut grpc = send::grpc_client(server.otlp_grpc).await;
    let mut as_tenant = async |tenant: &str, start: u64| {
        let mut request = tonic::Request::new(numbered(start..start + 10));
        let metadata = request.metadata_mut();
        metadata.insert("x-scope-orgid", tenant.parse().unwrap());
        grpc.export(request).await
    };
    let refused = as_tenant("a", 10).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    // The name of the detail that tells exporters to try again.
    let details = String::from_utf8_lossy(refused.details()).into_owned();
    assert!(details.contains("google.rpc.RetryInfo"), "{details}");
    // The other tenant is not slowed down, and too large is not too fast.
    as_tenant("b", 0).await.unwrap();
    let large = send("b", numbered(0..20).encode_to_vec()).await;
    assert_eq!(large.status(), 413);
    assert!(!large.headers().contains_key("retry-after"));
}

#[tokio::test]
async fn a22_both_apis_give_equal_values() {
    let folder = tempfile::tempdir().unwrap();
    let server = with_spans(folder.path()).await;
    for query in [
        "{} | rate()",
        "{} | count_over_time()",
        "{} | quantile_over_time(duration, .9)",
        "{} | avg_over_time(duration)",
    ] {
        let form = [
            ("query", query),
            ("start", "1000"),
            ("end", "1020"),
            ("step", "4"),
        ];
        let prom = server.prom("query_range", &form).await;
        let by_time = |samples: &Value| -> Vec<(String, f64)> {
            let sample = |sample: &Value| {
                (
                    sample[0].to_string(),
                    sample[1].as_str().unwrap().parse().unwrap(),
                )
            };
            samples.as_array().unwrap().iter().map(sample).collect()
        };
        let prom = by_time(&prom["result"][0]["values"]);

        let parameters = [
            ("q", query),
            ("start", "1000"),
            ("end", "1020"),
            ("step", "4s"),
        ];
        let response = server
            .client
            .get(server.url("/api/metrics/query_range"))
            .query(&parameters)
            .send()
            .await
            .unwrap();
        let tempo: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
        let tempo: Vec<(String, f64)> = tempo["series"][0]["samples"]
            .as_array()
            .unwrap()
            .iter()
            .map(|sample| {
                let time: i64 = sample["timestampMs"].as_str().unwrap().parse().unwrap();
                // A value of 0 is left out, as protobuf does.
                (
                    millis(time).trim_end_matches(".000").to_owned(),
                    sample["value"].as_f64().unwrap_or(0.0),
                )
            })
            .collect();
        assert!(!prom.is_empty(), "{query}");
        for sample in &prom {
            assert!(
                tempo.contains(sample),
                "{query}: {sample:?} is not in {tempo:?}"
            );
        }
    }
}
