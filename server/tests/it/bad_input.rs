//! Bad input, tried as a new user or an enemy would: a clear error, nothing lost, the server alive.

use std::io::Write as _;

use prost::Message as _;
use serde_json::Value;

use crate::harness::{Server, Window, run, said};
use crate::send::{self, numbered, post};

/// What a sender is told that sent too much, by whatever way.
const REQUEST_LIMIT: &str = "more than 67108864 bytes (limit ingest.max_request_bytes)";

#[tokio::test]
async fn queries_that_cannot_be_answered() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[]).await;
    let range = |query, start, end, step| {
        [
            ("query", query),
            ("start", start),
            ("end", end),
            ("step", step),
        ]
    };
    let cases = [
        (
            range("{ spam.x = 1 } | rate()", "0", "10", "1"),
            400,
            "bad_data",
            "spam",
        ),
        (
            range("{ .a = } | rate()", "0", "10", "1"),
            400,
            "bad_data",
            "column",
        ),
        (range("{} | rate()", "10", "0", "1"), 400, "bad_data", "end"),
        (
            range("{} | rate()", "0", "20000", "1"),
            400,
            "bad_data",
            "11,000",
        ),
        (
            range("{} | rate()", "0", "10", "0"),
            400,
            "bad_data",
            "step",
        ),
        (
            range("{} | rate()", "0", "10", "soon"),
            400,
            "bad_data",
            "step",
        ),
        (
            range("{} | rate()", "", "10", "1"),
            400,
            "bad_data",
            "start",
        ),
        (range("{}", "0", "10", "1"), 422, "execution", "| rate()"),
    ];
    for (form, status, kind, part) in cases {
        let (found, body) = server.post("/prom/api/v1/query_range", &form).await;
        assert_eq!(found, status, "{form:?}: {body}");
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(body["errorType"], kind, "{body}");
        assert!(body["error"].as_str().unwrap().contains(part), "{body}");
    }
    let long = format!("{{ .a = \"{}\" }} | rate()", "x".repeat(200_000));
    assert_eq!(
        server
            .post("/prom/api/v1/query_range", &range(&long, "0", "10", "1"))
            .await
            .0,
        400
    );
    let deep = format!(
        "{{ {}true{} }} | rate()",
        "(".repeat(5000),
        ")".repeat(5000)
    );
    assert_eq!(
        server
            .post("/prom/api/v1/query_range", &range(&deep, "0", "10", "1"))
            .await
            .0,
        400
    );
    assert_eq!(server.get("/ready").await.0, 200);
}

#[tokio::test]
async fn requests_that_are_no_spans() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[]).await;
    send::http_protobuf(&server, vec![numbered(0..5)]).await;

    let garbage: Vec<u8> = (0..1000_u32)
        .map(|index| (index.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    assert_eq!(
        post(&server, "application/x-protobuf", None, garbage)
            .await
            .0,
        400
    );
    assert_eq!(
        post(
            &server,
            "application/json",
            None,
            b"{\"resourceSpans\":[{".to_vec()
        )
        .await
        .0,
        400
    );
    assert_eq!(
        post(
            &server,
            "application/json",
            None,
            "[".repeat(100_000).into_bytes()
        )
        .await
        .0,
        400
    );
    assert_eq!(
        post(&server, "application/x-protobuf", Some("br"), vec![1])
            .await
            .0,
        400
    );

    // 10 GiB each, as many members of 64 MiB: small on the wire, larger than any request may be.
    let zeros = vec![0; 64 << 20];
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&zeros).unwrap();
    for (encoding, member) in [
        ("gzip", gzip.finish().unwrap()),
        ("zstd", zstd::encode_all(&zeros[..], 1).unwrap()),
    ] {
        let bomb = member.repeat(160);
        let (status, body) = post(&server, "application/x-protobuf", Some(encoding), bomb).await;
        assert_eq!(status, 413, "{encoding}: {body}");
        assert!(body.contains(REQUEST_LIMIT), "{encoding}: {body}");
    }

    // One bad span among good ones costs itself only.
    let mut mixed = numbered(5..8);
    mixed.resource_spans[0].scope_spans[0].spans[1].trace_id = vec![0; 16];
    let (status, body) = post(
        &server,
        "application/x-protobuf",
        None,
        mixed.encode_to_vec(),
    )
    .await;
    assert_eq!(status, 200, "{body}");
    assert!(!body.is_empty(), "the sender is told");

    assert_eq!(server.count("{}", Window::ALL).await, 7);
    assert_eq!(server.get("/ready").await.0, 200);
}

#[tokio::test]
async fn a_request_of_100_mb() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[]).await;
    assert_eq!(
        send::announce(&server, 100 << 20),
        "HTTP/1.1 413 Payload Too Large"
    );
    for content_type in ["application/x-protobuf", "application/json"] {
        let (status, body) = post(&server, content_type, None, vec![0; 100 << 20]).await;
        assert_eq!(status, 413, "{body}");
        assert!(body.contains(REQUEST_LIMIT), "{body}");
    }
    let query = "x".repeat(100 << 20);
    let (status, body) = server
        .post("/prom/api/v1/query_range", &[("query", &query)])
        .await;
    assert_eq!(status, 400, "{body}");
    let body: Value = serde_json::from_str(&body).unwrap();
    let error = body["error"].as_str().unwrap();
    assert!(
        error.contains("458752 bytes") && error.contains("max_query_expression_size_bytes"),
        "{error}"
    );
    assert_eq!(server.get("/ready").await.0, 200);
}

#[tokio::test]
async fn a_damaged_block_is_told_and_costs_only_its_queries() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[]).await;
    send::http_protobuf(&server, vec![numbered(0..1000)]).await;
    assert!(server.terminate().await.success());
    let block = find(folder.path(), "spans.parquet").unwrap();
    let mut bytes = std::fs::read(&block).unwrap();
    // The first pages: the columns that every query reads are somewhere in the file, so all of it.
    for byte in bytes.iter_mut().skip(4).take(20_000).step_by(64) {
        *byte ^= 0x20;
    }
    std::fs::write(&block, bytes).unwrap();

    let output = run(&["block", "inspect", "--verify", block.to_str().unwrap()]);
    let (code, _, stderr) = said(&output);
    assert_eq!(code, Some(1), "{stderr}");
    assert!(
        stderr.contains("damaged") || stderr.contains("not a block"),
        "{stderr}"
    );

    let server = Server::start(folder.path(), &[]).await;
    let form = [
        ("query", "{} | count_over_time() by (name)"),
        ("time", "3000"),
        ("lookback_delta", "3000"),
    ];
    let (status, body) = server.post("/prom/api/v1/query", &form).await;
    assert_eq!(status, 503, "{body}");
    assert!(body.contains("spans.parquet"), "{body}");
    // New spans are taken, and queries that do not need the block answered.
    send::http_protobuf(&server, vec![numbered(100_000..100_005)]).await;
    let window = Window {
        start_ms: 100_000_000,
        end_ms: 102_000_000,
    };
    assert_eq!(server.count("{}", window).await, 5);
}

#[tokio::test]
async fn a_full_disk_refuses_for_the_moment() {
    let folder = tempfile::tempdir().unwrap();
    // No disk has this much free space.
    let server = Server::spawn(folder.path(), &["wal.low_water_bytes=1000000GiB"]).await;
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    let (status, body) = post(
        &server,
        "application/x-protobuf",
        None,
        numbered(0..5).encode_to_vec(),
    )
    .await;
    assert_eq!(status, 503, "{body}");
    assert!(
        server.get("/ready").await.1.contains("disk"),
        "{}",
        server.log()
    );
    // What is stored can still be asked about.
    assert_eq!(server.count("{}", Window::ALL).await, 0);
}

/// The first file of this name below a folder.
pub(crate) fn find(folder: &std::path::Path, name: &str) -> Option<std::path::PathBuf> {
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.file_name().unwrap() == name {
                return Some(path);
            }
        }
    }
    None
}
