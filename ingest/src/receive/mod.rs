//! The listening side: OTLP over gRPC and over HTTP.
//!
//! Both protocols are served on every listener, told apart by content type; that there are two
//! listeners is custom. `tenant` says whose a request is, `body` brings its bytes in, `http` and `grpc`
//! speak the protocols, `outcome` says what became of the spans, `status` what went wrong.

mod body;
mod grpc;
mod http;
mod outcome;
mod status;
mod tenant;

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use ::http::{Request, Response};
use futures::FutureExt as _;
use hyper::service::service_fn;
use tokio::net::TcpListener;

use crate::connections::{ConnectionLimits, Connections, RequestBody};
use crate::error::PushError;
use crate::ingest::Ingest;
use status::ResponseBody;

/// Takes spans in through these listeners.
#[must_use]
pub fn receive(
    ingest: &Arc<Ingest>,
    listeners: impl IntoIterator<Item = TcpListener>,
) -> Connections {
    let config = &ingest.config().receivers;
    let limits = ConnectionLimits {
        max_connections: config.max_connections,
        max_streams: config.max_streams_per_connection,
        idle_timeout: config.idle_timeout,
        body_timeout: config.body_timeout,
        drain_timeout: config.drain_timeout,
    };
    let ingest = Arc::clone(ingest);
    let service = service_fn(move |request| answer(Arc::clone(&ingest), request));
    Connections::serve(&limits, listeners, &service)
}

/// Answers one request, whatever happens on the way.
async fn answer(
    ingest: Arc<Ingest>,
    request: Request<RequestBody>,
) -> Result<Response<ResponseBody>, Infallible> {
    let grpc = grpc::is_grpc(request.headers());
    let json = http::is_json(request.headers());
    let respond = async {
        if grpc {
            grpc::export(&ingest, request).await
        } else {
            http::export(&ingest, request).await
        }
    };
    let response = AssertUnwindSafe(respond)
        .catch_unwind()
        .await
        .unwrap_or_else(|_| {
            ingest.metrics().panics.inc();
            if grpc {
                status::grpc(&PushError::Internal)
            } else {
                status::http(&PushError::Internal, json)
            }
        });
    Ok(response)
}
