//! A running server: the binary as people start it, on free ports and a folder of its own.

use std::fs::File;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value as Json;
use storage::{Clock as _, SystemClock};

use crate::error::BenchError;
use crate::usage::Usage;

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(60);
const SETTINGS: [&str; 5] = [
    "server.http_listen_address=127.0.0.1",
    "server.http_listen_port=0",
    "distributor.receivers.otlp.protocols.grpc.endpoint=127.0.0.1:0",
    "distributor.receivers.otlp.protocols.http.endpoint=127.0.0.1:0",
    // What is left at the end need not wait long for more.
    "live_store.max_trace_idle=500ms",
];

/// The server's process.
pub(super) struct Server {
    child: Child,
    http: SocketAddr,
    pub(super) otlp_grpc: SocketAddr,
    pub(super) otlp_http: SocketAddr,
    client: reqwest::Client,
}

impl Server {
    /// Starts it and waits until it is ready.
    pub(super) async fn start(binary: &Path, folder: &Path) -> Result<Self, BenchError> {
        let (ports, log) = (folder.join("ports.json"), folder.join("log.txt"));
        let log_file = File::create(&log).map_err(BenchError::file("write", &log))?;
        let mut command = Command::new(binary);
        command
            .arg("serve")
            .arg("--data-dir")
            .arg(folder.join("data"));
        let ports_file = format!("server.ports_file={}", ports.display());
        for setting in SETTINGS.iter().copied().chain([ports_file.as_str()]) {
            command.args(["--set", setting]);
        }
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log_file)
            .spawn()
            .map_err(BenchError::file("run", binary))?;
        let mut starting = Starting(Some(child));
        let addresses = starting.addresses(&ports, &log).await?;
        let address = |name: &str| {
            let text = addresses
                .get(name)
                .and_then(Json::as_str)
                .unwrap_or_default();
            text.parse::<SocketAddr>()
                .map_err(|_| BenchError::Server(format!("{} has no {name}", ports.display())))
        };
        let (http, otlp_grpc, otlp_http) = (
            address("http")?,
            address("otlp_grpc")?,
            address("otlp_http")?,
        );
        let child = starting.0.take();
        let child = child.ok_or_else(|| BenchError::Server("it ended".to_owned()))?;
        let server = Self {
            child,
            http,
            otlp_grpc,
            otlp_http,
            client: reqwest::Client::new(),
        };
        let patience = SystemClock.instant() + PATIENCE;
        while server.get("/ready", &[]).await.is_err() {
            if SystemClock.instant() > patience {
                return Err(BenchError::Server("it does not get ready".to_owned()));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(server)
    }

    pub(super) fn usage(&self) -> Usage {
        Usage::of(self.child.id())
    }

    /// Body of a successful answer.
    pub(super) async fn get(
        &self,
        path: &str,
        query: &[(&str, String)],
    ) -> Result<String, BenchError> {
        let failed = |error: reqwest::Error| BenchError::Server(format!("{path}: {error}"));
        let request = self.client.get(format!("http://{}{path}", self.http));
        let response = request.query(query).send().await.map_err(failed)?;
        let status = response.status();
        let body = response.text().await.map_err(failed)?;
        if status.is_success() {
            Ok(body)
        } else {
            Err(BenchError::Server(format!("{path}: {status}: {body}")))
        }
    }

    /// Waits until all spans are in blocks.
    pub(super) async fn wait_for_blocks(&self) -> Result<(), BenchError> {
        let patience = SystemClock.instant() + PATIENCE;
        loop {
            let metrics = self.get("/metrics", &[]).await?;
            let gauge = metrics
                .lines()
                .find_map(|line| line.strip_prefix("spandrel_ingest_unflushed_bytes "));
            if gauge.is_some_and(|value| value.trim() == "0") {
                return Ok(());
            }
            if SystemClock.instant() > patience {
                return Err(BenchError::Server(
                    "spans do not get into blocks".to_owned(),
                ));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// A process that is ended unless it gets to serve.
struct Starting(Option<Child>);

impl Starting {
    async fn addresses(&mut self, ports: &Path, log: &Path) -> Result<Json, BenchError> {
        let patience = SystemClock.instant() + PATIENCE;
        loop {
            let text = std::fs::read(ports).unwrap_or_default();
            if let Ok(addresses) = serde_json::from_slice(&text) {
                return Ok(addresses);
            }
            let ended = self
                .0
                .as_mut()
                .is_some_and(|child| child.try_wait().is_ok_and(|status| status.is_some()));
            if ended || SystemClock.instant() > patience {
                let log = std::fs::read_to_string(log).unwrap_or_default();
                return Err(BenchError::Server(format!("it does not start:\n{log}")));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            end(child);
        }
    }
}

fn end(child: &mut Child) {
    // It may have ended by itself.
    let _killed = child.kill();
    let _waited = child.wait();
}
