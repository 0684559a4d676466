//! Spandrel's query APIs over HTTP: its router behind a socket of this process, and a client that asks as
//! Grafana's data sources do.

mod wire;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use engine::Grid;
use frontend::api::ConfigTexts;
use frontend::{Frontend, Operations};
use hyper_util::service::TowerToHyperService;
use ingest::connections::{ConnectionLimits, Connections};
use prometheus::Registry;
use serde::de::DeserializeOwned;
use storage::{Clock as _, SystemClock};
use tokio::net::TcpListener;
use tokio::runtime::Handle;

use self::wire::PrometheusAnswer;
pub(crate) use self::wire::TempoAnswer;
use crate::error::BenchError;
use crate::usage::{Meter, Spent};

/// Those of the query port.
const LIMITS: ConnectionLimits = ConnectionLimits {
    max_connections: 4096,
    max_streams: 100,
    idle_timeout: Duration::from_secs(120),
    body_timeout: Duration::from_secs(30),
    drain_timeout: Duration::from_secs(30),
};
const SECOND_NS: i64 = 1_000_000_000;

/// Whose API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Api {
    /// With as many exemplars as there may be, since Grafana does not say how many.
    Tempo,
    /// Without exemplars.
    Prometheus,
}

impl Api {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Tempo => "Tempo API",
            Self::Prometheus => "Prometheus API",
        }
    }
}

/// The router behind a socket, for as long as this lives, and a client of it.
#[derive(Debug)]
pub(crate) struct Server {
    _connections: Connections,
    client: Client,
    runtime: Handle,
}

impl Server {
    pub(crate) fn start(frontend: Arc<Frontend>, runtime: Handle) -> Result<Self, BenchError> {
        let operations = Operations {
            ready: Arc::new(|| Ok(())),
            registry: Registry::new(),
            config: ConfigTexts::default(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            revision: String::new(),
        };
        let service = TowerToHyperService::new(frontend::router(frontend, operations));
        let opened = runtime.block_on(async {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
            let address = listener.local_addr()?;
            Ok((Connections::serve(&LIMITS, [listener], &service), address))
        });
        let (connections, address) = opened.map_err(BenchError::file("listen on", "127.0.0.1"))?;
        Ok(Self {
            _connections: connections,
            client: Client::new(address)?,
            runtime,
        })
    }

    /// Asks for series as Grafana's Tempo data source does, and reads the answer.
    pub(crate) fn ask(
        &self,
        traceql: &str,
        grid: Grid,
    ) -> Result<(Spent, TempoAnswer), BenchError> {
        let meter = Meter::start_fine();
        let answer = self.runtime.block_on(self.client.tempo(traceql, grid))?;
        Ok((meter.spent(), answer))
    }

    /// Asks for several at the same time, as the panels of dashboards do; says what that took, and how
    /// long each request waited for its answer.
    pub(crate) fn ask_all(
        &self,
        api: Api,
        queries: &[(&str, Grid)],
    ) -> Result<(Spent, Vec<Duration>), BenchError> {
        let meter = Meter::start_fine();
        let waits = self.runtime.block_on(async {
            // A task each: to read an answer takes a while, in which others come in.
            let requests = queries.iter().map(|&(traceql, grid)| {
                let (client, traceql) = (self.client.clone(), traceql.to_owned());
                tokio::spawn(async move { client.wait(api, &traceql, grid).await })
            });
            let mut waits = Vec::with_capacity(queries.len());
            for request in requests.collect::<Vec<_>>() {
                waits.push(request.await??);
            }
            Ok::<_, BenchError>(waits)
        })?;
        Ok((meter.spent(), waits))
    }
}

/// Asks as Grafana does: HTTP/1.1 with connections that are kept, and answers compressed with gzip.
#[derive(Debug, Clone)]
struct Client {
    http: reqwest::Client,
    address: SocketAddr,
}

impl Client {
    fn new(address: SocketAddr) -> Result<Self, BenchError> {
        // A proxy of the environment is not for this machine.
        let http = reqwest::Client::builder().no_proxy().build();
        Ok(Self {
            http: http.map_err(|error| failed(&error))?,
            address,
        })
    }

    /// How long an answer takes until it is read; there must be something in it.
    async fn wait(&self, api: Api, traceql: &str, grid: Grid) -> Result<Duration, BenchError> {
        let started = SystemClock.instant();
        let series = match api {
            Api::Tempo => self.tempo(traceql, grid).await?.series.len(),
            Api::Prometheus => self.prometheus(traceql, grid).await?.data.result.len(),
        };
        let waited = SystemClock.instant() - started;
        if series == 0 {
            return Err(BenchError::Server(format!("no series for {traceql}")));
        }
        Ok(waited)
    }

    async fn tempo(&self, traceql: &str, grid: Grid) -> Result<TempoAnswer, BenchError> {
        // The range of one sample is empty to this API, and an interval in front of the data does no harm.
        let first_ns = match grid.intervals {
            1 => grid.start_ns,
            _ => grid.sample_ns(0),
        };
        self.get("/api/metrics/query_range", ("q", traceql), first_ns, grid)
            .await
    }

    async fn prometheus(&self, traceql: &str, grid: Grid) -> Result<PrometheusAnswer, BenchError> {
        let query = ("query", traceql);
        self.get("/prom/api/v1/query_range", query, grid.sample_ns(0), grid)
            .await
    }

    async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        (name, traceql): (&str, &str),
        first_ns: i64,
        grid: Grid,
    ) -> Result<T, BenchError> {
        // Grids of benchmarks are of whole seconds.
        let seconds = |ns: i64| (ns / SECOND_NS).to_string();
        let request = self.http.get(format!("http://{}{path}", self.address));
        let request = request.query(&[
            (name, traceql),
            ("start", &seconds(first_ns)),
            ("end", &seconds(grid.end_ns())),
            ("step", &seconds(grid.step_ns)),
        ]);
        let response = request.send().await.map_err(|error| failed(&error))?;
        let status = response.status();
        let body = response.bytes().await.map_err(|error| failed(&error))?;
        if !status.is_success() {
            let text = String::from_utf8_lossy(&body);
            return Err(BenchError::Server(format!(
                "{status} for {traceql}: {text}"
            )));
        }
        serde_json::from_slice(&body)
            .map_err(|error| BenchError::Server(format!("the answer to {traceql}: {error}")))
    }
}

fn failed(error: &reqwest::Error) -> BenchError {
    BenchError::Server(format!("a request failed: {error:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counters::small;
    use crate::dataset::runtime;

    #[test]
    fn both_apis_answer_many_at_once() {
        let runtime = runtime().unwrap();
        let (spandrel, grid) = small(&runtime).unwrap();
        let server = spandrel.serve().unwrap();
        let queries = ["{} | rate()", "{} | rate() by (name)"].map(|traceql| (traceql, grid));
        let queries = queries.repeat(24);
        for api in [Api::Tempo, Api::Prometheus] {
            let (_, waits) = server.ask_all(api, &queries).unwrap();
            assert_eq!(waits.len(), queries.len());
        }
        let nothing = ("{resource.service.name=\"none\"} | rate() by (name)", grid);
        let error = server.ask_all(Api::Tempo, &[nothing]).unwrap_err();
        assert!(error.to_string().contains("no series"), "{error}");
    }
}
