//! Refusals that every client gets to read, and bounds on what one connection may ask for.

use opentelemetry_proto::tonic::trace::v1::Span;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tonic::Code;

use super::cluster::run;
use super::receivers::{PROTOBUF, client, decoded, server, small};
use super::requests::{request, request_of, span};

/// More than all buffers between a client and the server hold, and far over the limit.
const LARGE: usize = 32 << 20;

/// Reads the head and body of one answer; returns the status and the body.
async fn answer(stream: &mut BufReader<TcpStream>) -> (u16, String) {
    let (mut head, mut length) = (String::new(), 0);
    while !head.ends_with("\r\n\r\n") {
        let mut line = String::new();
        assert!(stream.read_line(&mut line).await.unwrap() > 0, "no answer");
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().unwrap();
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, String::from_utf8_lossy(&body).into_owned())
}

fn head(more: &str, length: usize) -> String {
    format!("{PROTOBUF}\r\nhost: x\r\n{more}content-length: {length}\r\n\r\n")
}

#[test]
fn a_client_that_sends_everything_first_reads_why_it_was_refused() {
    run(async {
        let server = server(small()).await;
        let stream = TcpStream::connect(server.address).await.unwrap();
        let mut stream = BufReader::new(stream);
        let accepted = request([0]);
        for (more, length, status, text) in [
            ("", LARGE, 413, "ingest.max_request_bytes"),
            (
                "content-encoding: br\r\n",
                LARGE,
                400,
                "err-content-encoding",
            ),
            ("", accepted.len(), 200, ""),
        ] {
            let body = if status == 200 {
                accepted.to_vec()
            } else {
                vec![0; length]
            };
            stream
                .write_all(head(more, length).as_bytes())
                .await
                .unwrap();
            stream.write_all(&body).await.unwrap();
            // The same connection serves the next request.
            let (found, body) = answer(&mut stream).await;
            assert_eq!(found, status, "{body}");
            assert!(body.contains(text), "{body}");
        }
    });
}

#[test]
fn a_body_without_a_length_is_refused_where_it_gets_too_long() {
    run(async {
        let server = server(small()).await;
        let stream = TcpStream::connect(server.address).await.unwrap();
        let mut stream = BufReader::new(stream);
        let head = format!("{PROTOBUF}\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let chunk = [b"10000\r\n".as_slice(), &vec![0; 0x10000], b"\r\n"].concat();
        for _ in 0..LARGE / 0x10000 {
            stream.write_all(&chunk).await.unwrap();
        }
        stream.write_all(b"0\r\n\r\n").await.unwrap();
        let (status, body) = answer(&mut stream).await;
        assert_eq!(status, 413);
        assert!(body.contains("ingest.max_request_bytes"), "{body}");
    });
}

/// The answer may be on its way before the body is.
#[test]
fn a_body_that_comes_after_its_refusal_does_no_harm() {
    run(async {
        let server = server(small()).await;
        let stream = TcpStream::connect(server.address).await.unwrap();
        let mut stream = BufReader::new(stream);
        for _ in 0..3 {
            let unknown = head("content-encoding: br\r\n", LARGE);
            stream.write_all(unknown.as_bytes()).await.unwrap();
            assert_eq!(answer(&mut stream).await.0, 400);
            stream.write_all(&vec![0; LARGE]).await.unwrap();
        }
    });
}

#[test]
fn a_client_that_waits_for_leave_is_not_given_it() {
    run(async {
        let server = server(small()).await;
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        let waiting = head("expect: 100-continue\r\n", LARGE);
        stream.write_all(waiting.as_bytes()).await.unwrap();
        let mut all = String::new();
        stream.read_to_string(&mut all).await.unwrap();
        assert!(all.starts_with("HTTP/1.1 413 "), "{all}");
    });
}

#[test]
fn a_large_call_over_grpc_is_refused_and_the_next_one_answered() {
    run(async {
        let server = server(small()).await;
        let mut grpc = client(server.address).await;
        for number in 0..3 {
            let long = request_of(vec![Span {
                trace_state: "x".repeat(LARGE),
                ..span(0)
            }]);
            let status = grpc.export(long).await.unwrap_err();
            assert_eq!(status.code(), Code::ResourceExhausted);
            assert!(
                status.message().contains("65536")
                    && status.message().contains("ingest.max_request_bytes"),
                "{status}"
            );
            grpc.export(decoded([number])).await.unwrap();
        }
    });
}
