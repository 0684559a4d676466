//! Connections: accepting, bounding and ending them.

use std::sync::Arc;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};

use super::answer;
use super::idle::IdleTimeout;
use crate::config::ReceiverConfig;
use crate::ingest::Ingest;

/// Pause after a failed accept: the usual cause is a lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
const MAX_HEADERS: usize = 64;
const MAX_HEADER_BYTES: u32 = 16 << 10;
const HTTP1_BUFFER_BYTES: usize = 64 << 10;
const STREAM_WINDOW_BYTES: u32 = 1 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 4 << 20;
const PING_INTERVAL: Duration = Duration::from_secs(60);
const PING_TIMEOUT: Duration = Duration::from_secs(20);
/// Streams reset by the peer before we looked at them, and reset by us for errors of the peer: more
/// is an attack. Unset, the first has a default but the second has none.
const MAX_PENDING_RESETS: usize = 20;
const MAX_ERROR_RESETS: usize = 1024;

/// What bounds connections, over all listeners.
#[derive(Debug, Clone)]
pub(super) struct ConnectionLimits {
    config: ReceiverConfig,
    connections: Arc<Semaphore>,
}

impl ConnectionLimits {
    pub(super) fn new(config: &ReceiverConfig) -> Self {
        Self {
            config: config.clone(),
            connections: Arc::new(Semaphore::new(config.max_connections.max(1))),
        }
    }
}

/// Serves a listener until told to stop.
pub(super) async fn serve(
    listener: TcpListener,
    ingest: Arc<Ingest>,
    limits: ConnectionLimits,
    mut stopping: watch::Receiver<bool>,
) {
    let builder = Arc::new(builder(&limits.config));
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &limits) => accepted,
            _ = stopping.wait_for(|stopping| *stopping) => break,
        };
        let Some((stream, permit)) = accepted else {
            continue;
        };
        let io = TokioIo::new(IdleTimeout::new(stream, limits.config.idle_timeout));
        let ingest = Arc::clone(&ingest);
        let service = service_fn(move |request| answer(Arc::clone(&ingest), request));
        let connection = builder.serve_connection(io, service).into_owned();
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(error, "a connection ended with an error");
            }
            drop(permit);
        });
    }
    drop(listener);
    if tokio::time::timeout(limits.config.drain_timeout, graceful.shutdown())
        .await
        .is_err()
    {
        tracing::warn!("closing connections whose requests did not finish in time");
    }
}

async fn accept(
    listener: &TcpListener,
    limits: &ConnectionLimits,
) -> Option<(tokio::net::TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    // The semaphore is never closed.
    let permit = Arc::clone(&limits.connections).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => {
            // Answers are small and should not wait for more; a failure costs latency only.
            let _ = stream.set_nodelay(true);
            Some((stream, permit))
        }
        Err(error) => {
            tracing::warn!(%error, "cannot accept a connection");
            tokio::time::sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

fn builder(config: &ReceiverConfig) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(config.header_timeout)
        .max_headers(MAX_HEADERS)
        .max_buf_size(HTTP1_BUFFER_BYTES);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(config.max_streams_per_connection)
        .max_header_list_size(MAX_HEADER_BYTES)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_pending_accept_reset_streams(MAX_PENDING_RESETS)
        .max_local_error_reset_streams(MAX_ERROR_RESETS)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT);
    builder
}
