//! What the process listens on.

use std::io;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context as _, anyhow};
use serde::Serialize;
use tokio::net::TcpListener;

use crate::config::Config;

/// The open ports.
#[derive(Debug)]
pub struct Ports {
    /// Queries.
    pub http: TcpListener,
    /// OTLP over gRPC.
    pub otlp_grpc: TcpListener,
    /// OTLP over HTTP.
    pub otlp_http: TcpListener,
}

/// Where the process listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Addresses {
    /// Queries.
    pub http: SocketAddr,
    /// OTLP over gRPC.
    pub otlp_grpc: SocketAddr,
    /// OTLP over HTTP.
    pub otlp_http: SocketAddr,
}

/// The settings of the ports, for messages.
const HTTP_KEY: &str = "server.http_listen_port";
const GRPC_KEY: &str = "distributor.receivers.otlp.protocols.grpc.endpoint";
const OTLP_HTTP_KEY: &str = "distributor.receivers.otlp.protocols.http.endpoint";

impl Ports {
    /// Opens all ports, or none.
    ///
    /// # Errors
    /// A port is taken or not allowed; the error names its setting.
    pub async fn open(config: &Config) -> anyhow::Result<Self> {
        Ok(Self {
            http: listen(&config.server.http_address, HTTP_KEY, "3201").await?,
            otlp_grpc: listen(&config.otlp_grpc, GRPC_KEY, "0.0.0.0:14317").await?,
            otlp_http: listen(&config.otlp_http, OTLP_HTTP_KEY, "0.0.0.0:14318").await?,
        })
    }

    /// Opens all ports; where one is taken, a free one instead. Also says which were taken.
    ///
    /// # Errors
    /// A port cannot be opened for another reason than being taken.
    pub async fn open_or_free(config: &Config) -> anyhow::Result<(Self, Vec<String>)> {
        let mut taken = Vec::new();
        let ports = Self {
            http: listen_or_free(&config.server.http_address, HTTP_KEY, "3201", &mut taken).await?,
            otlp_grpc: listen_or_free(&config.otlp_grpc, GRPC_KEY, "0.0.0.0:14317", &mut taken)
                .await?,
            otlp_http: listen_or_free(
                &config.otlp_http,
                OTLP_HTTP_KEY,
                "0.0.0.0:14318",
                &mut taken,
            )
            .await?,
        };
        Ok((ports, taken))
    }

    /// Where they are, with the ports that the system chose.
    #[must_use]
    pub fn addresses(&self) -> Addresses {
        let address = |listener: &TcpListener| {
            listener
                .local_addr()
                .unwrap_or_else(|_| SocketAddr::from(([0, 0, 0, 0], 0)))
        };
        Addresses {
            http: address(&self.http),
            otlp_grpc: address(&self.otlp_grpc),
            otlp_http: address(&self.otlp_http),
        }
    }
}

async fn listen_or_free(
    address: &str,
    key: &str,
    other: &str,
    taken: &mut Vec<String>,
) -> anyhow::Result<TcpListener> {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    match TcpListener::bind(address).await {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            taken.push(address.to_owned());
            listen(&format!("{host}:0"), key, other).await
        }
        Ok(listener) => Ok(listener),
        Err(_) => listen(address, key, other).await,
    }
}

async fn listen(address: &str, key: &str, other: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        let reason = match error.kind() {
            io::ErrorKind::AddrInUse => format!("cannot listen on {address}: another process does; stop it, or choose another port with --set {key}={other}"),
            io::ErrorKind::PermissionDenied => format!("cannot listen on {address}: not permitted; choose a port above 1023 with --set {key}={other}"),
            _ => format!("cannot listen on {address} ({key}): {error}"),
        };
        anyhow!(reason)
    })
}

impl Addresses {
    /// Writes them to a file as JSON, all at once.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, path: &Path) -> anyhow::Result<()> {
        let unfinished = path.with_extension("unfinished");
        std::fs::write(&unfinished, serde_json::to_vec(self)?)?;
        std::fs::rename(&unfinished, path).context("cannot rename it")
    }

    /// The URL of the query port as this machine reaches it.
    #[must_use]
    pub fn url(&self) -> String {
        let host = if self.http.ip().is_unspecified() {
            "localhost".to_owned()
        } else {
            self.http.ip().to_string()
        };
        format!("http://{host}:{}", self.http.port())
    }
}
