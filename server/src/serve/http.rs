//! The query port: HTTP/1.1 and HTTP/2 in clear text, with limits that a slow or greedy client cannot
//! get around.

use std::time::Duration;

use axum::Router;
use hyper_util::service::TowerToHyperService;
use ingest::connections::{ConnectionLimits, Connections};
use tokio::net::TcpListener;

use crate::config::ServerConfig;

const MAX_STREAMS: u32 = 100;
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// Serves the query APIs until told to stop.
#[must_use]
pub fn serve(listener: TcpListener, router: Router, config: &ServerConfig) -> Connections {
    let limits = ConnectionLimits {
        max_connections: config.max_connections,
        max_streams: MAX_STREAMS,
        idle_timeout: config.idle_timeout,
        body_timeout: BODY_TIMEOUT,
        drain_timeout: config.drain_timeout,
    };
    Connections::serve(&limits, [listener], &TowerToHyperService::new(router))
}
