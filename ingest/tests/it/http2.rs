//! Bounds on what one HTTP/2 connection may ask for, frame by frame: no client library would send
//! this.

use std::collections::BTreeMap;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::cluster::run;
use super::receivers::{Server, client, decoded, server, small};

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;

const END_HEADERS: u8 = 4;

const MAX_CONCURRENT_STREAMS: u16 = 3;
const MAX_HEADER_LIST_SIZE: u16 = 6;

const REFUSED_STREAM: u32 = 7;
const ENHANCE_YOUR_CALM: u32 = 11;

#[derive(Debug)]
struct Frame {
    kind: u8,
    stream: u32,
    payload: Vec<u8>,
}

impl Frame {
    /// The error code of a frame that ends a stream or the connection.
    fn error_code(&self) -> u32 {
        let at = if self.kind == GOAWAY { 4 } else { 0 };
        u32::from_be_bytes(self.payload[at..at + 4].try_into().unwrap())
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let head = [length[1], length[2], length[3], kind, flags];
    [&head[..], &stream.to_be_bytes(), payload].concat()
}

/// A field that is not compressed and not remembered.
fn field(name: &str, value: &str) -> Vec<u8> {
    let mut bytes = vec![0];
    for text in [name, value] {
        // Seven bits, then the rest seven bits at a time.
        match text.len().checked_sub(127) {
            None => bytes.push(u8::try_from(text.len()).unwrap()),
            Some(mut rest) => {
                bytes.push(127);
                while rest >= 128 {
                    bytes.push(u8::try_from(rest % 128).unwrap() | 128);
                    rest /= 128;
                }
                bytes.push(u8::try_from(rest).unwrap());
            }
        }
        bytes.extend_from_slice(text.as_bytes());
    }
    bytes
}

/// The head of a call whose body is still to come.
fn call() -> Vec<u8> {
    [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/v1/traces"),
        (":authority", "x"),
        ("content-type", "application/x-protobuf"),
    ]
    .iter()
    .flat_map(|(name, value)| field(name, value))
    .collect()
}

/// A connection on which the client has introduced itself.
struct Connection {
    stream: TcpStream,
    settings: BTreeMap<u16, u32>,
}

impl Connection {
    async fn open(server: &Server) -> Self {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
        let hello = [&preface[..], &frame(SETTINGS, 0, 0, &[])].concat();
        stream.write_all(&hello).await.unwrap();
        let mut connection = Self {
            stream,
            settings: BTreeMap::new(),
        };
        let settings = connection
            .next(|frame| frame.kind == SETTINGS)
            .await
            .unwrap();
        connection.settings = settings
            .payload
            .chunks_exact(6)
            .map(|setting| {
                let (id, value) = setting.split_at(2);
                let id = u16::from_be_bytes(id.try_into().unwrap());
                (id, u32::from_be_bytes(value.try_into().unwrap()))
            })
            .collect();
        connection
    }

    async fn send(&mut self, frames: &[u8]) {
        // A server that has had enough may be gone before all is sent.
        let _sent = self.stream.write_all(frames).await;
    }

    /// The next frame that is wanted, the others being passed over; `None` if the connection ends.
    async fn next(&mut self, wanted: impl Fn(&Frame) -> bool) -> Option<Frame> {
        loop {
            let mut head = [0; 9];
            self.stream.read_exact(&mut head).await.ok()?;
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let mut payload = vec![0; usize::try_from(length).unwrap()];
            self.stream.read_exact(&mut payload).await.ok()?;
            let frame = Frame {
                kind: head[3],
                stream: u32::from_be_bytes(head[5..9].try_into().unwrap()),
                payload,
            };
            if wanted(&frame) {
                return Some(frame);
            }
        }
    }

    /// Reads on until the server ends the connection. It says why, but that is lost if it does not
    /// take in all that was sent.
    async fn is_ended(&mut self) {
        if let Some(end) = self.next(|frame| frame.kind == GOAWAY).await {
            assert_eq!(end.error_code(), ENHANCE_YOUR_CALM);
        }
    }
}

/// Whoever behaves is served as if nothing had happened.
async fn others_are_served(server: &Server) {
    client(server.address)
        .await
        .export(decoded([0]))
        .await
        .unwrap();
}

#[test]
fn streams_and_heads_are_bounded() {
    run(async {
        let mut config = small();
        config.receivers.max_streams_per_connection = 7;
        let server = server(config).await;
        let mut connection = Connection::open(&server).await;
        assert_eq!(connection.settings.get(&MAX_CONCURRENT_STREAMS), Some(&7));
        assert_eq!(
            connection.settings.get(&MAX_HEADER_LIST_SIZE),
            Some(&(16 << 10))
        );
        let open: Vec<u8> = (0..8)
            .flat_map(|index| frame(HEADERS, END_HEADERS, 2 * index + 1, &call()))
            .collect();
        connection.send(&open).await;
        let refused = connection
            .next(|frame| frame.kind == RST_STREAM)
            .await
            .unwrap();
        assert_eq!((refused.stream, refused.error_code()), (15, REFUSED_STREAM));

        let mut connection = Connection::open(&server).await;
        let head = [call(), field("x-long", &"x".repeat(17 << 10))].concat();
        let (start, rest) = head.split_at(16_000);
        let frames = [
            frame(HEADERS, 0, 1, start),
            frame(CONTINUATION, END_HEADERS, 1, rest),
        ];
        connection.send(&frames.concat()).await;
        let answer = connection.next(|frame| frame.stream == 1).await.unwrap();
        // 431, its status from the fixed table or spelt out.
        assert_eq!(answer.kind, HEADERS, "{answer:?}");
        others_are_served(&server).await;
    });
}

#[test]
fn a_head_without_end_closes_the_connection() {
    run(async {
        let server = server(small()).await;
        let mut connection = Connection::open(&server).await;
        let mut frames = frame(HEADERS, 0, 1, &call());
        for _ in 0..10_000 {
            frames.extend(frame(CONTINUATION, 0, 1, &field("x", &"y".repeat(200))));
        }
        connection.send(&frames).await;
        connection.is_ended().await;
        others_are_served(&server).await;
    });
}

#[test]
fn streams_opened_only_to_be_reset_close_the_connection() {
    run(async {
        let server = server(small()).await;
        let mut connection = Connection::open(&server).await;
        let cancel = 8_u32.to_be_bytes();
        let frames: Vec<u8> = (0..10_000)
            .map(|index| 2 * index + 1)
            .flat_map(|id| {
                [
                    frame(HEADERS, END_HEADERS, id, &call()),
                    frame(RST_STREAM, 0, id, &cancel),
                ]
            })
            .flatten()
            .collect();
        connection.send(&frames).await;
        connection.is_ended().await;
        others_are_served(&server).await;
    });
}

#[test]
fn streams_opened_only_to_be_wrong_close_the_connection() {
    run(async {
        let server = server(small()).await;
        let mut connection = Connection::open(&server).await;
        let wrong = [call(), field("connection", "close")].concat();
        let frames: Vec<u8> = (0..10_000)
            .flat_map(|index| frame(HEADERS, END_HEADERS, 2 * index + 1, &wrong))
            .collect();
        connection.send(&frames).await;
        connection.is_ended().await;
        others_are_served(&server).await;
    });
}
