//! One connection that sends encoded requests as they are: nothing is encoded while time runs.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Buf as _, BufMut as _, Bytes};
use http::uri::PathAndQuery;
use reqwest::StatusCode;
use tonic::Code;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::{Channel, Endpoint};

use crate::error::BenchError;

/// Wait before a request that was refused for the time being is sent again.
const PAUSE: Duration = Duration::from_millis(5);
const EXPORT: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

/// How requests travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Grpc,
    Http,
}

/// A connection.
pub(super) enum Client {
    Grpc(tonic::client::Grpc<Channel>),
    Http(reqwest::Client, String),
}

/// What came of one attempt.
enum Attempt {
    Acknowledged,
    /// The server asks to send it again later.
    Refused,
}

impl Client {
    pub(super) async fn connect(
        protocol: Protocol,
        address: SocketAddr,
    ) -> Result<Self, BenchError> {
        Ok(match protocol {
            Protocol::Grpc => {
                let endpoint = Endpoint::from_shared(format!("http://{address}")).map_err(sent)?;
                Self::Grpc(tonic::client::Grpc::new(
                    endpoint.connect().await.map_err(sent)?,
                ))
            }
            Protocol::Http => Self::Http(
                reqwest::Client::new(),
                format!("http://{address}/v1/traces"),
            ),
        })
    }

    /// Sends until it is acknowledged; says how often it was refused before.
    pub(super) async fn send(&mut self, body: &Bytes) -> Result<u64, BenchError> {
        let mut refusals = 0;
        while let Attempt::Refused = self.attempt(body.clone()).await? {
            refusals += 1;
            tokio::time::sleep(PAUSE).await;
        }
        Ok(refusals)
    }

    async fn attempt(&mut self, body: Bytes) -> Result<Attempt, BenchError> {
        match self {
            Self::Grpc(client) => {
                client.ready().await.map_err(sent)?;
                let path = PathAndQuery::from_static(EXPORT);
                match client.unary(tonic::Request::new(body), path, Raw).await {
                    Ok(_) => Ok(Attempt::Acknowledged),
                    Err(status)
                        if matches!(status.code(), Code::Unavailable | Code::ResourceExhausted) =>
                    {
                        Ok(Attempt::Refused)
                    }
                    Err(status) => Err(sent(status)),
                }
            }
            Self::Http(client, url) => {
                let request = client
                    .post(url.as_str())
                    .header("content-type", "application/x-protobuf")
                    .body(body);
                let response = request.send().await.map_err(sent)?;
                match response.status() {
                    StatusCode::OK => Ok(Attempt::Acknowledged),
                    StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => {
                        Ok(Attempt::Refused)
                    }
                    status => Err(BenchError::Server(format!("a request got {status}"))),
                }
            }
        }
    }
}

fn sent(error: impl std::error::Error) -> BenchError {
    BenchError::Server(format!("a request failed: {error:?}"))
}

/// Messages that are encoded already.
#[derive(Debug, Clone, Copy, Default)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = tonic::Status;

    fn encode(&mut self, item: Bytes, into: &mut EncodeBuf<'_>) -> Result<(), tonic::Status> {
        into.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = tonic::Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, tonic::Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }
}
