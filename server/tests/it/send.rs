//! Sending spans in each of the ways that a server takes them.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message as _;
use tonic::transport::Channel;

use crate::harness::Server;

/// A client of the OTLP service.
pub(crate) async fn grpc_client(address: SocketAddr) -> TraceServiceClient<Channel> {
    TraceServiceClient::connect(format!("http://{address}"))
        .await
        .unwrap()
}

/// Sends requests over gRPC.
pub(crate) async fn grpc(address: SocketAddr, requests: Vec<ExportTraceServiceRequest>) {
    let mut client = grpc_client(address).await;
    for request in requests {
        let response = client.export(request).await.unwrap().into_inner();
        assert_eq!(response.partial_success, None);
    }
}

/// Sends requests as protobuf over HTTP.
pub(crate) async fn http_protobuf(server: &Server, requests: Vec<ExportTraceServiceRequest>) {
    for request in requests {
        let (status, body) = post(
            server,
            "application/x-protobuf",
            None,
            request.encode_to_vec(),
        )
        .await;
        assert_eq!(status, 200, "{body}");
    }
}

/// Sends the lines of a compressed file of JSON over HTTP.
pub(crate) async fn http_json(server: &Server, path: &Path) {
    let text = zstd::decode_all(std::fs::File::open(path).unwrap()).unwrap();
    for line in text
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
    {
        let (status, body) = post(server, "application/json", None, line.to_vec()).await;
        assert_eq!((status, body.as_str()), (200, "{}"));
    }
}

/// Posts bytes to the OTLP port; returns status and body.
pub(crate) async fn post(
    server: &Server,
    content_type: &str,
    encoding: Option<&str>,
    body: Vec<u8>,
) -> (u16, String) {
    let mut request = server
        .client
        .post(format!("http://{}/v1/traces", server.otlp_http))
        .header("content-type", content_type);
    if let Some(encoding) = encoding {
        request = request.header("content-encoding", encoding);
    }
    let response = request.body(body).send().await.unwrap();
    let status = response.status().as_u16();
    (
        status,
        String::from_utf8_lossy(&response.bytes().await.unwrap()).into_owned(),
    )
}

/// Announces a request of so many bytes, as a sender does that waits for leave to send it; returns the
/// first line of the answer.
pub(crate) fn announce(server: &Server, length: usize) -> String {
    let mut stream = TcpStream::connect(server.otlp_http).unwrap();
    let head = format!(
        "POST /v1/traces HTTP/1.1\r\nhost: spandrel\r\ncontent-type: application/x-protobuf\r\n\
         content-length: {length}\r\nexpect: 100-continue\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).unwrap();
    line.trim_end().to_owned()
}

/// A request with spans of these numbers, which are part of their ids, one second apart from 1000 s on.
pub(crate) fn numbered(numbers: impl IntoIterator<Item = u64>) -> ExportTraceServiceRequest {
    let span = |number: u64| Span {
        trace_id: u128::from(number + 1).to_be_bytes().to_vec(),
        span_id: (number + 1).to_be_bytes().to_vec(),
        name: format!("span {number}"),
        kind: 2,
        start_time_unix_nano: (1000 + number) * 1_000_000_000,
        end_time_unix_nano: (1000 + number) * 1_000_000_000 + 5_000_000,
        ..Span::default()
    };
    let service = KeyValue {
        key: "service.name".to_owned(),
        value: Some(AnyValue {
            value: Some(any_value::Value::StringValue("numbered".to_owned())),
        }),
        ..KeyValue::default()
    };
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(Resource {
                attributes: vec![service],
                ..Resource::default()
            }),
            scope_spans: vec![ScopeSpans {
                spans: numbers.into_iter().map(span).collect(),
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        }],
    }
}
