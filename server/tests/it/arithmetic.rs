//! Arithmetic on series, and the dialects, over both APIs and the command line.

use serde_json::{Value, json};
use std::path::Path;

use crate::harness::{Server, run, said};
use crate::send::{self, numbered};

const RATIO: &str = r#"({ name =~ "span [0-3]" } | count_over_time()) / ({ } | count_over_time())"#;

/// Ten spans, one a second from 1000 s on.
async fn with_spans(folder: &Path, sets: &[&str]) -> Server {
    let server = Server::start(folder, sets).await;
    send::http_protobuf(&server, vec![numbered(0..10)]).await;
    server
}

/// Two samples: of spans 1 to 5, and of spans 6 to 9.
fn range(query: &str) -> [(&str, &str); 4] {
    [
        ("query", query),
        ("start", "1005"),
        ("end", "1010"),
        ("step", "5"),
    ]
}

async fn tempo(server: &Server, endpoint: &str, parameters: &[(&str, &str)]) -> (u16, String) {
    let url = server.url(&format!("/api/metrics/{endpoint}"));
    let request = server.client.get(url).query(parameters);
    let response = request.send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

#[tokio::test]
async fn operands_are_combined_point_by_point() {
    let folder = tempfile::tempdir().unwrap();
    let server = with_spans(folder.path(), &[]).await;
    let values = [[json!(1005), json!("0.6")], [json!(1010), json!("0")]];
    let data = server.prom("query_range", &range(RATIO)).await;
    assert_eq!(
        data,
        json!({"resultType": "matrix", "result": [{"metric": {}, "values": values}]})
    );

    let of_total = "({ } | count_over_time() by(name)) / ({ } | count_over_time()) * 100 | topk(1)";
    let data = server.prom("query_range", &range(of_total)).await;
    let series = |name, time, value| json!({"metric": {"name": name}, "values": [[time, value]]});
    assert_eq!(
        data["result"],
        json!([series("span 1", 1005, "20"), series("span 6", 1010, "25")])
    );

    // Partners are found by their labels: only the last three are on both sides.
    let shared = r#"({ name > "span 4" } | count_over_time() by(name))
        - ({ name > "span 6" } | count_over_time() by(name)) = 0"#;
    let instant = [
        ("query", shared),
        ("time", "1010"),
        ("lookback_delta", "20"),
    ];
    let data = server.prom("query", &instant).await;
    let series = |name| json!({"metric": {"name": name}, "value": [1010, "0"]});
    assert_eq!(
        data,
        json!({"resultType": "vector", "result": [series("span 7"), series("span 8"), series("span 9")]})
    );

    // Nothing over nothing is no value, something over nothing is infinite.
    let nothing = r#"({ } | count_over_time()) / ({ name = "x" } | count_over_time())"#;
    let data = server.prom("query_range", &range(nothing)).await;
    assert_eq!(
        data["result"],
        json!([{"metric": {}, "values": [[1005, "+Inf"], [1010, "+Inf"]]}])
    );
    let nothing = r#"({ false || name = "x" } | rate()) / ({ name = "x" } | rate())"#;
    let data = server.prom("query_range", &range(nothing)).await;
    assert_eq!(data["result"], json!([]));
}

#[tokio::test]
async fn tempo_answers_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let server = with_spans(folder.path(), &[]).await;
    let time = [
        ("q", RATIO),
        ("start", "1004"),
        ("end", "1010"),
        ("step", "5s"),
    ];
    let (status, body) = tempo(&server, "query_range", &time).await;
    assert_eq!(status, 200, "{body}");
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        body["series"],
        json!([{"labels": [], "samples": [
            {"timestampMs": "1000000", "value": 1},
            {"timestampMs": "1005000", "value": 0.6},
            {"timestampMs": "1010000", "value": 0},
        ]}])
    );
    // Both operands look at the one live block.
    assert_eq!(body["metrics"]["totalBlocks"], 2, "{body}");

    let time = [("q", RATIO), ("start", "1000"), ("end", "1010")];
    let (status, body) = tempo(&server, "query", &time).await;
    assert_eq!(status, 200, "{body}");
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["series"], json!([{"labels": [], "value": 3.0 / 9.0}]));
}

#[tokio::test]
async fn the_dialect_of_a_request_decides() {
    let folder = tempfile::tempdir().unwrap();
    let server = with_spans(folder.path(), &[]).await;
    for (dialect, expected) in [("spandrel", 200), ("tempo", 400), ("promql", 400)] {
        let form = [range(RATIO).as_slice(), &[("dialect", dialect)]].concat();
        for endpoint in ["query_range", "query"] {
            let path = format!("/prom/api/v1/{endpoint}");
            let (status, body) = server.post(&path, &form).await;
            assert_eq!(status, expected, "{dialect}: {body}");
        }
        let parameters = [
            ("q", RATIO),
            ("start", "1000"),
            ("end", "1010"),
            ("dialect", dialect),
        ];
        for endpoint in ["query_range", "query"] {
            let (status, body) = tempo(&server, endpoint, &parameters).await;
            assert_eq!(status, expected, "{dialect}: {body}");
        }
    }
    // The same query with two meanings.
    let swapped = "{ 2 ^ 3 = 9 } | count_over_time()";
    for (dialect, expected) in [("spandrel", json!([])), ("tempo", json!(["5", "4"]))] {
        let form = [range(swapped).as_slice(), &[("dialect", dialect)]].concat();
        let data = server.prom("query_range", &form).await;
        let values = data["result"].as_array().unwrap().iter();
        let values = values.flat_map(|series| series["values"].as_array().unwrap());
        let values: Vec<_> = values.map(|sample| sample[1].clone()).collect();
        assert_eq!(Value::Array(values), expected, "{dialect}");
    }
}

#[tokio::test]
async fn mixed_logic_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let server = with_spans(folder.path(), &[]).await;
    let mixed = r#"{ name = "span 1" } || { name = "span 2" } && { kind = server } | rate()"#;
    let (status, body) = server.post("/prom/api/v1/query_range", &range(mixed)).await;
    assert_eq!(status, 200, "{body}");
    let body: Value = serde_json::from_str(&body).unwrap();
    let info = body["infos"][0].as_str().unwrap();
    assert!(info.ends_with("at line 1, column 1"), "{info}");

    let url = server.url("");
    let window = ["--from", "1000", "--to", "1010", "--step", "5s"];
    let command = ["query", mixed, "--server", &url];
    let (code, _, stderr) = said(&run(&[command.as_slice(), &window].concat()));
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stderr.contains("note: && and ||"), "{stderr}");
}

#[tokio::test]
async fn the_command_line_computes_too() {
    let folder = tempfile::tempdir().unwrap();
    let server = with_spans(folder.path(), &[]).await;
    let url = server.url("");
    let options = ["--server", &url, "--output", "csv", "--step", "5s"];
    let window = ["--from", "1005", "--to", "1010"];
    let command = [&["query", RATIO], options.as_slice(), &window].concat();
    let (code, stdout, stderr) = said(&run(&command));
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stdout.contains("0.6"), "{stdout}");

    let command = [command.as_slice(), &["--dialect", "tempo"]].concat();
    let (code, _, stderr) = said(&run(&command));
    assert_eq!(code, Some(2), "{stderr}");
    assert!(stderr.contains("inside parentheses"), "{stderr}");
}

/// One operand has room, several together have not, and the error names the whole limit.
#[tokio::test]
async fn operands_share_the_memory_of_a_query() {
    let folder = tempfile::tempdir().unwrap();
    let sets = ["query.max_memory_bytes=3000000"];
    let server = with_spans(folder.path(), &sets).await;
    let operand = "({ } | count_over_time() by(name))";
    let ask = async |query: &str| {
        let form = [
            ("query", query),
            ("start", "1000"),
            ("end", "11000"),
            ("step", "1"),
        ];
        server.post("/prom/api/v1/query_range", &form).await
    };
    let (status, body) = ask(operand).await;
    assert_eq!(status, 200, "{body}");
    let (status, body) = ask(&[operand; 5].join(" + ")).await;
    assert_eq!(status, 422, "{body}");
    assert!(body.contains("3000000 bytes of memory"), "{body}");
    assert!(body.contains("query.max_memory_bytes"), "{body}");
}
