//! The settings of the query port and of the process.

use std::path::PathBuf;
use std::time::Duration;

use super::settings::Settings;
use super::value;

/// The query port and the process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerConfig {
    /// Address of the query port.
    pub http_address: String,
    /// Time without a request after which a connection is closed; of HTTP/2, if nobody answers.
    pub idle_timeout: Duration,
    /// Connections at the same time.
    pub max_connections: usize,
    /// Time between saying not ready and closing the ports.
    pub shutdown_delay: Duration,
    /// Time that requests under way get at shutdown.
    pub drain_timeout: Duration,
    /// File that gets the addresses in use.
    pub ports_file: Option<PathBuf>,
}

impl ServerConfig {
    pub(super) fn new(settings: &Settings) -> Self {
        let duration = |path| value::parse_duration(settings.text(path)).unwrap_or_default();
        let host = match settings.text("server.http_listen_address") {
            "" => "0.0.0.0",
            host => host,
        };
        let port = settings.number("server.http_listen_port");
        let http_address = if host.contains(':') {
            format!("[{host}]:{port}")
        } else {
            format!("{host}:{port}")
        };
        let ports_file = settings.text("server.ports_file");
        Self {
            http_address,
            idle_timeout: duration("server.http_server_idle_timeout"),
            max_connections: usize::try_from(settings.number("server.max_connections"))
                .unwrap_or(usize::MAX),
            shutdown_delay: duration("shutdown_delay"),
            drain_timeout: duration("server.graceful_shutdown_timeout"),
            ports_file: (!ports_file.is_empty()).then(|| PathBuf::from(ports_file)),
        }
    }
}
