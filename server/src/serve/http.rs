//! The life of a query connection: HTTP/1.1 and HTTP/2 in clear text on one port, with limits that
//! a slow or greedy client cannot get around.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinHandle;

use crate::config::typed::ServerConfig;

/// Pause after a failed accept: the usual cause is a lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
const MAX_HEADERS: usize = 100;
const MAX_HEADER_BYTES: u32 = 16 << 10;
const HTTP1_BUFFER_BYTES: usize = 64 << 10;
const MAX_STREAMS: u32 = 100;
const PING_TIMEOUT: Duration = Duration::from_secs(20);
/// Streams reset by the peer before we looked at them, and by us for errors of the peer: more is an
/// attack.
const MAX_PENDING_RESETS: usize = 20;
const MAX_ERROR_RESETS: usize = 1024;

/// Serves the query APIs until told to stop.
#[derive(Debug)]
pub struct HttpServer {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl HttpServer {
    /// Starts to serve a listener.
    #[must_use]
    pub fn start(listener: TcpListener, router: Router, config: &ServerConfig) -> Self {
        let (stop, stopping) = watch::channel(false);
        let task = tokio::spawn(serve(listener, router, config.clone(), stopping));
        Self { stop, task }
    }

    /// Accepts no more connections, lets requests under way finish in the time they have, and
    /// closes what is left.
    pub async fn shutdown(self) {
        let _ended_already = self.stop.send(true);
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the query server failed");
        }
    }
}

async fn serve(
    listener: TcpListener,
    router: Router,
    config: ServerConfig,
    mut stopping: watch::Receiver<bool>,
) {
    let builder = builder(&config);
    let service = TowerToHyperService::new(router);
    let connections = Arc::new(Semaphore::new(config.max_connections.max(1)));
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &connections) => accepted,
            _ = stopping.wait_for(|stopping| *stopping) => break,
        };
        let Some((stream, permit)) = accepted else {
            continue;
        };
        let connection = builder
            .serve_connection(TokioIo::new(stream), service.clone())
            .into_owned();
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(error, "a connection ended with an error");
            }
            drop(permit);
        });
    }
    drop(listener);
    if tokio::time::timeout(config.drain_timeout, graceful.shutdown())
        .await
        .is_err()
    {
        tracing::warn!("closing connections whose requests did not finish in time");
    }
}

async fn accept(
    listener: &TcpListener,
    connections: &Arc<Semaphore>,
) -> Option<(TcpStream, OwnedSemaphorePermit)> {
    // The semaphore is never closed.
    let permit = Arc::clone(connections).acquire_owned().await.ok()?;
    match listener.accept().await {
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

fn builder(config: &ServerConfig) -> Builder<TokioExecutor> {
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
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_HEADER_BYTES)
        .max_pending_accept_reset_streams(MAX_PENDING_RESETS)
        .max_local_error_reset_streams(MAX_ERROR_RESETS)
        .keep_alive_interval(config.idle_timeout)
        .keep_alive_timeout(PING_TIMEOUT);
    builder
}
