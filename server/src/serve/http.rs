//! The query port: HTTP/1.1 and HTTP/2 in clear text, with limits that a slow or greedy client cannot
//! get around.

use axum::Router;
use hyper_util::service::TowerToHyperService;
use ingest::connections::{ConnectionLimits, Connections};
use tokio::net::TcpListener;

use crate::config::typed::ServerConfig;

const MAX_STREAMS: u32 = 100;

/// Serves the query APIs until told to stop.
#[must_use]
pub fn serve(listener: TcpListener, router: Router, config: &ServerConfig) -> Connections {
    let limits = ConnectionLimits {
        max_connections: config.max_connections,
        max_streams: MAX_STREAMS,
        header_timeout: config.header_timeout,
        // A client is silent while its query runs, and a query has a time limit of its own.
        silence_timeout: None,
        ping_interval: config.idle_timeout,
        drain_timeout: config.drain_timeout,
    };
    Connections::serve(&limits, [listener], &TowerToHyperService::new(router))
}
