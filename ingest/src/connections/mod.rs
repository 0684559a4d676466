//! Connections: accepting, bounding and ending them, in HTTP/1.1 and HTTP/2 on one port.
//!
//! What listens to spans uses this, and what listens to queries does, too: a slow, greedy or hostile
//! client is the same to both.

mod body;
mod patience;

use std::convert::Infallible;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::{Body, Incoming};
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinHandle;

pub use body::RequestBody;
use patience::Patience;

/// Pause after a failed accept: the usual cause is a lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
const MAX_HEADERS: usize = 100;
const MAX_HEADER_BYTES: u32 = 16 << 10;
const HTTP1_BUFFER_BYTES: usize = 64 << 10;
/// Clients that heed it send a request in fewer pieces.
const HTTP2_FRAME_BYTES: u32 = 64 << 10;
const STREAM_WINDOW_BYTES: u32 = 1 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 4 << 20;
const PING_TIMEOUT: Duration = Duration::from_secs(20);
/// Streams reset by the peer before we looked at them, and reset by us for errors of the peer: more
/// is an attack. Unset, the first has a default but the second has none.
const MAX_PENDING_RESETS: usize = 20;
const MAX_ERROR_RESETS: usize = 1024;

/// What bounds the connections to a group of listeners.
#[derive(Debug, Clone)]
pub struct ConnectionLimits {
    /// Connections at the same time; more wait to be accepted.
    pub max_connections: usize,
    /// HTTP/2 streams at the same time in one connection.
    pub max_streams: u32,
    /// Time that a client has for the head of its next request, and in which it must take some of an
    /// answer. A silent HTTP/2 connection is checked this often, and closed if nobody answers.
    pub idle_timeout: Duration,
    /// Time without a byte after which the rest of a refused request is no longer waited for.
    pub body_timeout: Duration,
    /// Time that requests under way get to finish at shutdown.
    pub drain_timeout: Duration,
}

/// Listeners whose connections are being served.
#[derive(Debug)]
pub struct Connections {
    stop: watch::Sender<bool>,
    servers: Vec<JoinHandle<()>>,
}

impl Connections {
    /// Serves requests that come in through these listeners.
    #[must_use]
    pub fn serve<S, B>(
        limits: &ConnectionLimits,
        listeners: impl IntoIterator<Item = TcpListener>,
        service: &S,
    ) -> Self
    where
        S: Service<Request<RequestBody>, Response = Response<B>, Error = Infallible>,
        S: Clone + Send + 'static,
        S::Future: Send,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let (stop, stopping) = watch::channel(false);
        let permits = Arc::new(Semaphore::new(limits.max_connections.max(1)));
        let servers = listeners.into_iter().map(|listener| {
            let door = Door {
                listener,
                permits: Arc::clone(&permits),
                limits: limits.clone(),
            };
            tokio::spawn(serve(door, service.clone(), stopping.clone()))
        });
        Self {
            servers: servers.collect(),
            stop,
        }
    }

    /// Accepts no more connections, lets requests under way finish within the drain timeout, and
    /// closes what is left.
    pub async fn shutdown(self) {
        // Fails only if all servers have ended.
        let _ended_already = self.stop.send(true);
        for server in self.servers {
            if let Err(error) = server.await {
                tracing::error!(%error, "serving a port failed");
            }
        }
    }
}

/// A listener that lets in so many at a time.
struct Door {
    listener: TcpListener,
    permits: Arc<Semaphore>,
    limits: ConnectionLimits,
}

impl Door {
    async fn accept(&self) -> Option<(TcpStream, OwnedSemaphorePermit)> {
        // The semaphore is never closed.
        let permit = Arc::clone(&self.permits).acquire_owned().await.ok()?;
        match self.listener.accept().await {
            Ok((stream, _)) => {
                // Answers should not wait for more to send; a failure costs latency only.
                let _slower = stream.set_nodelay(true);
                Some((stream, permit))
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                None
            }
        }
    }
}

/// Serves a listener until told to stop.
async fn serve<S, B>(door: Door, service: S, mut stopping: watch::Receiver<bool>)
where
    S: Service<Request<RequestBody>, Response = Response<B>, Error = Infallible>,
    S: Clone + Send + 'static,
    S::Future: Send,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let builder = builder(&door.limits);
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            accepted = door.accept() => accepted,
            _ = stopping.wait_for(|stopping| *stopping) => break,
        };
        let Some((stream, permit)) = accepted else {
            continue;
        };
        let io = TokioIo::new(Patience::new(stream, door.limits.idle_timeout));
        let service = service.clone();
        let body_timeout = door.limits.body_timeout;
        let service = service_fn(move |request: Request<Incoming>| {
            let (head, body) = request.into_parts();
            let body = RequestBody::new(&head.headers, body, body_timeout);
            service.call(Request::from_parts(head, body))
        });
        let connection = builder.serve_connection(io, service).into_owned();
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(error, "a connection ended with an error");
            }
            drop(permit);
        });
    }
    let drain_timeout = door.limits.drain_timeout;
    drop(door);
    if tokio::time::timeout(drain_timeout, graceful.shutdown())
        .await
        .is_err()
    {
        tracing::warn!("closing connections whose requests did not finish in time");
    }
}

fn builder(limits: &ConnectionLimits) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.idle_timeout)
        .max_headers(MAX_HEADERS)
        .max_buf_size(HTTP1_BUFFER_BYTES);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.max_streams)
        .max_header_list_size(MAX_HEADER_BYTES)
        .max_frame_size(HTTP2_FRAME_BYTES)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_pending_accept_reset_streams(MAX_PENDING_RESETS)
        .max_local_error_reset_streams(MAX_ERROR_RESETS)
        .keep_alive_interval(limits.idle_timeout)
        .keep_alive_timeout(PING_TIMEOUT);
    builder
}
