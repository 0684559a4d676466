//! Both protocols over real sockets.

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ingest::connections::Connections;
use ingest::{Ingest, IngestConfig};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use storage::ids::TenantId;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tonic::Code;
use tonic::codec::CompressionEncoding;

use super::cluster::{Store, quiet, run, try_open};
use super::requests::{counts, once, request, request_of, span};
use super::sim_disk::SimDisk;

pub(crate) struct Server {
    disk: SimDisk,
    store: Store,
    ingest: Arc<Ingest>,
    pub(crate) address: SocketAddr,
    receivers: Connections,
}

pub(crate) async fn server(config: IngestConfig) -> Server {
    let disk = SimDisk::default();
    let store = Store::new(&disk);
    let ingest = try_open(config, &disk, &store).await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let receivers = ingest::receive(&ingest, [listener]);
    Server {
        disk,
        store,
        ingest,
        address,
        receivers,
    }
}

pub(crate) fn small() -> IngestConfig {
    let mut config = quiet();
    config.ingest.max_request_bytes = 64 << 10;
    config
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: String,
    body: Vec<u8>,
}

/// Sends one HTTP/1.1 request and reads the answer until the connection closes.
pub(crate) async fn http(address: SocketAddr, head: &str, body: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "{head}\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let split = answer
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .expect("no answer");
    let headers = String::from_utf8(answer[..split].to_vec())
        .unwrap()
        .to_ascii_lowercase();
    let status = headers.split(' ').nth(1).unwrap().parse().unwrap();
    Answer {
        status,
        headers,
        body: answer[split + 4..].to_vec(),
    }
}

pub(crate) const PROTOBUF: &str =
    "POST /v1/traces HTTP/1.1\r\ncontent-type: application/x-protobuf";
const JSON: &str = "POST /v1/traces HTTP/1.1\r\ncontent-type: application/json; charset=utf-8";

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn spans_come_in_over_http_in_every_encoding() {
    run(async {
        let server = server(small()).await;
        let zlib = |bytes: &[u8]| {
            let mut encoder =
                flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        };
        let bodies = [
            ("identity", request([0]).to_vec()),
            ("gzip", gzip(&request([1]))),
            (
                "zstd",
                zstd::stream::encode_all(&request([2])[..], 3).unwrap(),
            ),
            ("deflate", zlib(&request([3]))),
        ];
        for (encoding, body) in bodies {
            let answer = http(
                server.address,
                &format!("{PROTOBUF}\r\ncontent-encoding: {encoding}"),
                &body,
            )
            .await;
            assert_eq!(
                (answer.status, answer.body.as_slice()),
                (200, &b""[..]),
                "{encoding}"
            );
            assert!(
                answer
                    .headers
                    .contains("content-type: application/x-protobuf")
            );
        }
        let json = r#"{"resourceSpans":[{"scopeSpans":[{"spans":[
            {"traceId":"ABababababababababababababababAB","spanId":"0000000000000005","name":"j","kind":"SPAN_KIND_SERVER",
             "startTimeUnixNano":"5","endTimeUnixNano":6}]}]}]}"#;
        let answer = http(server.address, JSON, json.as_bytes()).await;
        assert_eq!((answer.status, answer.body.as_slice()), (200, &b"{}"[..]));
        assert!(answer.headers.contains("content-type: application/json"));
        assert_eq!(
            counts(&server.ingest, &server.store, &TenantId::single()).await,
            once(0..5)
        );
        let empty = http(server.address, PROTOBUF, b"").await;
        assert_eq!(empty.status, 200);
    });
}

#[test]
fn http_refuses_as_the_protocol_says() {
    run(async {
        let server = server(small()).await;
        let bomb = gzip(&vec![0; 16 << 20]);
        let large = vec![0; (64 << 10) + 1];
        let many: Vec<u8> = [0x0a, 0x00]
            .iter()
            .copied()
            .cycle()
            .take(60 << 10)
            .collect();
        let zstd_bomb = zstd::stream::encode_all(&vec![0; 16 << 20][..], 3).unwrap();
        let with = |encoding: &str| format!("{PROTOBUF}\r\ncontent-encoding: {encoding}");
        let cases: Vec<(&str, String, &[u8], u16)> = vec![
            ("gzip bomb", with("gzip"), &bomb, 413),
            ("zstd bomb", with("zstd"), &zstd_bomb, 413),
            ("too long", PROTOBUF.into(), &large, 413),
            ("unknown encoding", with("br"), b"x", 400),
            ("not gzip", with("gzip"), b"xxxxxxxxxxxxxxxxxxxxx", 400),
            ("not protobuf", PROTOBUF.into(), b"\xff\xff", 400),
            ("not json", JSON.into(), b"{", 400),
            (
                "deep json",
                JSON.into(),
                "[".repeat(200).leak().as_bytes(),
                400,
            ),
            (
                "other type",
                "POST /v1/traces HTTP/1.1\r\ncontent-type: text/html".into(),
                b"",
                415,
            ),
            ("no type", "POST /v1/traces HTTP/1.1".into(), b"", 415),
            ("other method", "GET /v1/traces HTTP/1.1".into(), b"", 405),
            ("other path", "POST /v1/logs HTTP/1.1".into(), b"", 404),
        ];
        for (name, head, body, status) in cases {
            let answer = http(server.address, &head, body).await;
            assert_eq!(answer.status, status, "{name}");
            assert!(!answer.headers.contains("retry-after"), "{name}");
        }
        let answer = http(server.address, PROTOBUF, &many).await;
        assert_eq!(answer.status, 200, "{} resources are few", many.len() / 2);

        let answer = http(server.address, JSON, b"{").await;
        let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(body["code"], 3);
        assert!(
            body["message"]
                .as_str()
                .unwrap()
                .starts_with("err-malformed")
        );

        server.disk.set_free_space(1);
        let answer = http(server.address, JSON, br#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"abababababababababababababababab","spanId":"0000000000000005"}]}]}]}"#).await;
        assert_eq!(answer.status, 503);
        assert!(answer.headers.contains("retry-after: 30"));
        let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(
            (&body["code"], &body["details"][0]["retryDelay"]),
            (&14.into(), &"30s".into())
        );
    });
}

#[test]
fn a_sender_waits_for_room_and_is_refused_if_there_comes_none() {
    run(async {
        let mut config = small();
        config.live_store.max_unflushed_bytes = 1;
        let server = server(config).await;
        let tenant = TenantId::single();
        let send = async |numbers| http(server.address, PROTOBUF, &request(numbers)).await;
        assert_eq!(send(0..1).await.status, 200);
        // What is there is stored soon, since it is as much as there may be.
        assert_eq!(send(1..2).await.status, 200);
        server.store.refuse_writes();
        let third = send(2..3).await;
        assert_eq!(third.status, 503);
        assert!(third.headers.contains("retry-after: 1"));
        let mut client = TraceServiceClient::connect(format!("http://{}", server.address))
            .await
            .unwrap();
        let fourth = client.export(request_of(vec![span(3)])).await;
        assert_eq!(fourth.unwrap_err().code(), Code::Unavailable);
        assert_eq!(
            counts(&server.ingest, &server.store, &tenant).await,
            once(0..2)
        );
    });
}

fn mixed() -> ExportTraceServiceRequest {
    request_of(vec![
        span(0),
        Span {
            span_id: vec![1; 7],
            ..span(1)
        },
        Span {
            trace_id: vec![0; 16],
            ..span(2)
        },
        Span {
            start_time_unix_nano: u64::MAX,
            ..span(3)
        },
        Span {
            start_time_unix_nano: 0,
            ..span(4)
        },
    ])
}

#[test]
fn one_bad_span_costs_itself_and_its_sender_is_told() {
    run(async {
        let server = server(small()).await;
        let answer = http(server.address, PROTOBUF, &mixed().encode_to_vec()).await;
        assert_eq!(answer.status, 200);
        let partial = ExportTraceServiceResponse::decode(answer.body.as_slice())
            .unwrap()
            .partial_success
            .unwrap();
        assert_eq!(partial.rejected_spans, 3);
        assert!(
            partial.error_message.contains("err-invalid-id: 2 spans"),
            "{}",
            partial.error_message
        );
        assert!(partial.error_message.contains("err-time-range: 1 spans"));
        assert_eq!(
            counts(&server.ingest, &server.store, &TenantId::single()).await,
            once([0, 4])
        );
    });
}

pub(crate) async fn client(address: SocketAddr) -> TraceServiceClient<tonic::transport::Channel> {
    TraceServiceClient::connect(format!("http://{address}"))
        .await
        .unwrap()
}

pub(crate) fn decoded(numbers: impl IntoIterator<Item = u64>) -> ExportTraceServiceRequest {
    request_of(numbers.into_iter().map(span).collect())
}

#[test]
fn spans_come_in_over_grpc() {
    run(async {
        let server = server(small()).await;
        let mut plain = client(server.address).await;
        let response = plain.export(decoded(0..2)).await.unwrap().into_inner();
        assert_eq!(response.partial_success, None);
        plain
            .export(ExportTraceServiceRequest::default())
            .await
            .unwrap();
        for (number, encoding) in [
            (2, CompressionEncoding::Gzip),
            (3, CompressionEncoding::Zstd),
        ] {
            let mut compressed = client(server.address).await.send_compressed(encoding);
            compressed.export(decoded([number])).await.unwrap();
        }
        assert_eq!(
            counts(&server.ingest, &server.store, &TenantId::single()).await,
            once(0..4)
        );
        let partial = plain
            .export(mixed())
            .await
            .unwrap()
            .into_inner()
            .partial_success
            .unwrap();
        assert_eq!(partial.rejected_spans, 3);
    });
}

#[test]
fn grpc_refuses_as_the_protocol_says() {
    run(async {
        let server = server(small()).await;
        let mut grpc = client(server.address).await;
        // Exporters send `OUT_OF_RANGE` again, and `RESOURCE_EXHAUSTED` with details.
        let long = request_of(vec![Span {
            trace_state: "x".repeat(70_000),
            ..span(0)
        }]);
        let status = grpc.export(long.clone()).await.unwrap_err();
        assert_eq!(
            (status.code(), status.details()),
            (Code::ResourceExhausted, &b""[..])
        );
        let mut compressed = client(server.address)
            .await
            .send_compressed(CompressionEncoding::Gzip);
        let status = compressed.export(long).await.unwrap_err();
        assert_eq!(
            (status.code(), status.details()),
            (Code::ResourceExhausted, &b""[..])
        );

        server.disk.set_free_space(1);
        let status = grpc.export(decoded([0])).await.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable);
        assert!(status.message().starts_with("err-wal-disk-full"));
        assert!(!status.details().is_empty());
        server.disk.heal();
        grpc.export(decoded([0])).await.unwrap();
    });
}

#[test]
fn tenants_are_named_by_a_header() {
    run(async {
        let mut config = small();
        config.multitenancy_enabled = true;
        let server = server(config).await;
        let as_tenant = |name: &str| format!("{PROTOBUF}\r\nX-Scope-OrgID: {name}");
        assert_eq!(
            http(server.address, &as_tenant("acme"), &request([0]))
                .await
                .status,
            200
        );
        assert_eq!(
            http(server.address, PROTOBUF, &request([1])).await.status,
            401
        );
        for bad in ["a|b", "..", "a/b", "", "a\r\nX-Scope-OrgID: b"] {
            assert_eq!(
                http(server.address, &as_tenant(bad), &request([1]))
                    .await
                    .status,
                400,
                "{bad:?}"
            );
        }
        let mut grpc = client(server.address).await;
        assert_eq!(
            grpc.export(decoded([2])).await.unwrap_err().code(),
            Code::Unauthenticated
        );
        let mut named = tonic::Request::new(decoded([2]));
        named
            .metadata_mut()
            .insert("x-scope-orgid", "acme".parse().unwrap());
        grpc.export(named).await.unwrap();
        let acme = "acme".parse().unwrap();
        assert_eq!(
            counts(&server.ingest, &server.store, &acme).await,
            once([0, 2])
        );
        assert_eq!(server.ingest.live_tenants(), [acme]);
    });
}

#[test]
fn slow_and_silent_connections_are_closed() {
    run(async {
        let mut config = small();
        config.receivers.body_timeout = Duration::from_millis(20);
        config.receivers.idle_timeout = Duration::from_millis(40);
        let server = server(config).await;
        let silent = TcpStream::connect(server.address).await.unwrap();
        let mut slow_head = TcpStream::connect(server.address).await.unwrap();
        slow_head
            .write_all(b"POST /v1/traces HTTP/1.1\r\n")
            .await
            .unwrap();
        // Either protocol may begin like this.
        let mut slow_choice = TcpStream::connect(server.address).await.unwrap();
        slow_choice.write_all(b"P").await.unwrap();
        let mut slow_body = TcpStream::connect(server.address).await.unwrap();
        let head = format!("{PROTOBUF}\r\nhost: x\r\ncontent-length: 100\r\n\r\nx");
        slow_body.write_all(head.as_bytes()).await.unwrap();
        for mut stream in [silent, slow_head, slow_choice, slow_body] {
            // Ends at last, with or without an answer.
            let _ended = stream.read_to_end(&mut Vec::new()).await;
        }
    });
}

#[test]
fn shutdown_lets_requests_finish_and_closes_the_port() {
    run(async {
        let Server {
            ingest,
            address,
            receivers,
            store,
            disk: _disk,
        } = server(small()).await;
        let mut grpc = client(address).await;
        grpc.export(decoded([0])).await.unwrap();
        receivers.shutdown().await;
        assert!(TcpStream::connect(address).await.is_err());
        assert_eq!(ingest.shutdown().await.blocks_left_in_log, 0);
        assert_eq!(
            counts(&ingest, &store, &TenantId::single()).await,
            once([0])
        );
    });
}
