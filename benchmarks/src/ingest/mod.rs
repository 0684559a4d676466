//! Ingest: OTLP requests over sockets to a running server, until they are acknowledged and until they
//! are in blocks.

mod client;
pub(crate) mod push;
mod requests;
mod server;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures::future::try_join_all;
use serde_json::Value as Json;
use testkit::generate::Workload;
use tokio::runtime::Runtime;

use self::client::{Client, Protocol};
use self::requests::Requests;
use self::server::Server;
use crate::error::BenchError;
use crate::record::{Run, float, millis};
use crate::usage::Usage;

pub(crate) const SUITE: &str = "ingest";

/// One way to send.
#[derive(Debug, Clone, Copy)]
struct Load {
    protocol: Protocol,
    connections: usize,
    batch: usize,
    /// Whether someone asks queries all the while.
    queries: bool,
}

/// How much to send, and in how many ways.
#[derive(Debug)]
pub(crate) struct Options<'a> {
    /// The server's binary.
    pub(crate) binary: PathBuf,
    /// Where to make the temporary folder for log and blocks.
    pub(crate) dir: &'a Path,
    pub(crate) spans: u64,
    pub(crate) seed: u64,
    /// Fewer ways.
    pub(crate) quick: bool,
}

/// Measures every way to send with a server of its own.
pub(crate) fn run(
    run: &mut Run,
    options: &Options<'_>,
    runtime: &Runtime,
) -> Result<(), BenchError> {
    let batches: &[usize] = if options.quick {
        &[2000]
    } else {
        &[200, 2000, 8000]
    };
    let folder = tempfile::tempdir_in(options.dir)
        .map_err(BenchError::file("make a folder in", options.dir))?;
    for &batch in batches {
        let workload = Workload {
            batch_spans: batch,
            ..Workload::new(options.seed, options.spans)
        };
        let requests = Arc::new(Requests::make(folder.path(), &workload)?);
        for load in loads(batch, options.quick) {
            eprintln!("ingest: {}", load.name());
            requests.rewind()?;
            let folder = tempfile::tempdir_in(folder.path())
                .map_err(BenchError::file("make a folder in", folder.path()))?;
            let sent = send(load, &requests, options, &workload, folder.path());
            let sent = runtime.block_on(sent)?;
            sent.record(run, &load, &requests, options.spans);
        }
    }
    Ok(())
}

fn loads(batch: usize, quick: bool) -> Vec<Load> {
    let mut loads = Vec::new();
    for protocol in [Protocol::Grpc, Protocol::Http] {
        for connections in [1, 8] {
            loads.push(Load {
                protocol,
                connections,
                batch,
                queries: false,
            });
        }
    }
    if batch == 2000 && !quick {
        loads.push(Load {
            protocol: Protocol::Grpc,
            connections: 2,
            batch,
            queries: true,
        });
    }
    loads
}

impl Load {
    fn name(&self) -> String {
        let protocol = match self.protocol {
            Protocol::Grpc => "gRPC",
            Protocol::Http => "HTTP",
        };
        let queries = if self.queries {
            ", queries meanwhile"
        } else {
            ""
        };
        let connections = self.connections;
        let plural = if connections == 1 { "" } else { "s" };
        format!(
            "{protocol}, {connections} connection{plural}, {} spans a request{queries}",
            self.batch
        )
    }
}

/// What sending came to.
struct Sent {
    until_acknowledged: Duration,
    until_in_blocks: Duration,
    refusals: u64,
    usage: Usage,
    /// How long each query took, ms.
    queries_ms: Vec<f64>,
}

impl Sent {
    fn record(&self, run: &mut Run, load: &Load, requests: &Requests, spans: u64) {
        let case = load.name();
        let mut figure = |name: &str, value: f64| run.figure(SUITE, &case, name, value);
        let (spans, cpu) = (float(spans), self.usage.cpu.as_secs_f64());
        let wall = self.until_acknowledged.as_secs_f64();
        figure("acknowledged, k spans/s", spans / wall / 1e3);
        figure(
            "in blocks, k spans/s",
            spans / self.until_in_blocks.as_secs_f64() / 1e3,
        );
        figure("CPU s per M spans", cpu * 1e6 / spans);
        figure("k spans/s per core", spans / cpu / 1e3);
        // Spans of small requests come with more bytes: each request says its resources anew.
        figure("MB/s of OTLP per core", float(requests.bytes) / cpu / 1e6);
        figure(
            "peak memory, MiB",
            float(self.usage.peak_resident_bytes) / f64::from(1 << 20),
        );
        figure(
            "bytes written per byte received",
            float(self.usage.written_bytes) / float(requests.bytes),
        );
        figure("requests sent again", float(self.refusals));
        if load.queries {
            let spread = crate::record::Spread::of(&self.queries_ms);
            figure("queries", float(self.queries_ms.len() as u64));
            figure("median query, ms", spread.median);
        }
    }
}

async fn send(
    load: Load,
    requests: &Arc<Requests>,
    options: &Options<'_>,
    workload: &Workload,
    folder: &Path,
) -> Result<Sent, BenchError> {
    let server = Server::start(&options.binary, folder).await?;
    let address = match load.protocol {
        Protocol::Grpc => server.otlp_grpc,
        Protocol::Http => server.otlp_http,
    };
    let mut clients = Vec::new();
    for _ in 0..load.connections {
        clients.push(Client::connect(load.protocol, address).await?);
    }
    let before = server.usage();
    let started = Instant::now();
    let connections = clients.into_iter().map(|mut client| {
        let requests = Arc::clone(requests);
        tokio::spawn(async move {
            let mut refusals = 0;
            while let Some(body) = requests.next()? {
                refusals += client.send(&body).await?;
            }
            Ok::<u64, BenchError>(refusals)
        })
    });
    let done = AtomicBool::new(false);
    let sending = async {
        let results = try_join_all(connections).await;
        done.store(true, Ordering::Relaxed);
        let until_acknowledged = started.elapsed();
        let refusals = results?.into_iter().sum::<Result<u64, _>>()?;
        Ok::<_, BenchError>((until_acknowledged, refusals))
    };
    let asking = async {
        let mut queries_ms = Vec::new();
        while load.queries && !done.load(Ordering::Relaxed) {
            let asked = Instant::now();
            let query = "{} | rate() by (resource.service.name)";
            server
                .get("/api/metrics/query_range", &window(query, workload))
                .await?;
            queries_ms.push(millis(asked.elapsed()));
        }
        Ok::<_, BenchError>(queries_ms)
    };
    let (sent, queries_ms) = futures::try_join!(sending, asking)?;
    server.wait_for_blocks().await?;
    let until_in_blocks = started.elapsed();
    let after = server.usage();
    expect_all(&server, options.spans, workload).await?;
    Ok(Sent {
        until_acknowledged: sent.0,
        until_in_blocks,
        refusals: sent.1,
        usage: Usage {
            cpu: after.cpu.saturating_sub(before.cpu),
            written_bytes: after.written_bytes.saturating_sub(before.written_bytes),
            ..after
        },
        queries_ms,
    })
}

/// A query and a time that holds every span.
fn window(query: &str, workload: &Workload) -> Vec<(&'static str, String)> {
    const SECOND_NS: i64 = 1_000_000_000;
    let start = workload.start_ns / SECOND_NS - 60;
    let end = (workload.start_ns + 2 * workload.length_ns) / SECOND_NS;
    vec![
        ("q", query.to_owned()),
        ("start", start.to_string()),
        ("end", end.to_string()),
        ("step", "5m".to_owned()),
    ]
}

/// Every span that was acknowledged must be there, once.
async fn expect_all(server: &Server, spans: u64, workload: &Workload) -> Result<(), BenchError> {
    let query = window("{} | count_over_time()", workload);
    let body = server.get("/api/metrics/query", &query).await?;
    let answer: Json = serde_json::from_str(&body)
        .map_err(|error| BenchError::Server(format!("{error}: {body}")))?;
    let counted = answer.pointer("/series/0/value").and_then(Json::as_f64);
    if counted == Some(float(spans)) {
        Ok(())
    } else {
        Err(BenchError::Server(format!(
            "{spans} spans were acknowledged, and it counts {counted:?}"
        )))
    }
}
