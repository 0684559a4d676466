//! Ingest: OTLP requests over sockets to a running server, until they are acknowledged and until they
//! are in blocks.

mod client;
pub(crate) mod push;
mod requests;
mod server;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::future::try_join_all;
use serde_json::Value as Json;
use storage::{Clock as _, SystemClock};
use testkit::generate::Workload;
use tokio::runtime::Runtime;

use self::client::{Client, Protocol};
use self::requests::Requests;
use self::server::Server;
use crate::error::BenchError;
use crate::record::{Run, Spread, float, millis};
use crate::usage::Usage;

pub(crate) const SUITE: &str = "ingest";
/// How often each load is sent.
const ROUNDS: usize = 3;
const PER_CORE: &str = "k spans/s per core";

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
pub(crate) struct LoadOptions<'a> {
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
    options: &LoadOptions<'_>,
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
        let loads = loads(batch, options.quick);
        let mut rounds = vec![Vec::new(); loads.len()];
        // In turns, as a machine is slower at one time than at another.
        for round in 1..=if options.quick { 1 } else { ROUNDS } {
            for (load, rounds) in loads.iter().zip(&mut rounds) {
                eprintln!("ingest: {}, round {round}", load.name());
                requests.rewind()?;
                let folder = tempfile::tempdir_in(folder.path())
                    .map_err(BenchError::file("make a folder in", folder.path()))?;
                let sent = send(*load, &requests, options, &workload, folder.path());
                let sent = runtime.block_on(sent)?;
                rounds.push(sent.figures(load, &requests, options.spans));
            }
        }
        for (load, rounds) in loads.iter().zip(&rounds) {
            record(run, &load.name(), rounds);
        }
    }
    Ok(())
}

/// Notes of each figure the median of all rounds, and how far apart they were in what matters most.
fn record(run: &mut Run, case: &str, rounds: &[Vec<(&str, f64)>]) {
    let names = rounds.first().into_iter().flatten().map(|(name, _)| *name);
    for (at, name) in names.enumerate() {
        let of_rounds: Vec<f64> = rounds.iter().map(|figures| figures[at].1).collect();
        let spread = Spread::of(&of_rounds);
        run.figure(SUITE, case, name, spread.median);
        if name == PER_CORE && rounds.len() > 1 {
            run.figure(SUITE, case, "least", spread.least);
            run.figure(SUITE, case, "most", spread.most);
        }
    }
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
    /// Figures by name, in the same order for the same load.
    fn figures(&self, load: &Load, requests: &Requests, spans: u64) -> Vec<(&'static str, f64)> {
        let (spans, cpu) = (float(spans), self.usage.cpu.as_secs_f64());
        let wall = self.until_acknowledged.as_secs_f64();
        let in_blocks = self.until_in_blocks.as_secs_f64();
        let peak = float(self.usage.peak_resident_bytes) / f64::from(1 << 20);
        let written = float(self.usage.written_bytes) / float(requests.bytes);
        let mut figures = vec![
            ("acknowledged, k spans/s", spans / wall / 1e3),
            ("in blocks, k spans/s", spans / in_blocks / 1e3),
            ("CPU s per M spans", cpu * 1e6 / spans),
            (PER_CORE, spans / cpu / 1e3),
            // Spans of small requests come with more bytes: each request says its resources anew.
            ("MB/s of OTLP per core", float(requests.bytes) / cpu / 1e6),
            ("peak memory, MiB", peak),
            ("bytes written per byte received", written),
            ("requests sent again", float(self.refusals)),
        ];
        if load.queries {
            let median = Spread::of(&self.queries_ms).median;
            figures.push(("queries", float(self.queries_ms.len() as u64)));
            figures.push(("median query, ms", median));
        }
        figures
    }
}

async fn send(
    load: Load,
    requests: &Arc<Requests>,
    options: &LoadOptions<'_>,
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
    let started = SystemClock.instant();
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
        let until_acknowledged = SystemClock.instant() - started;
        let refusals = results?.into_iter().sum::<Result<u64, _>>()?;
        Ok::<_, BenchError>((until_acknowledged, refusals))
    };
    let asking = async {
        let mut queries_ms = Vec::new();
        while load.queries && !done.load(Ordering::Relaxed) {
            let asked = SystemClock.instant();
            let query = "{} | rate() by (resource.service.name)";
            server
                .get("/api/metrics/query_range", &window(query, workload))
                .await?;
            queries_ms.push(millis(SystemClock.instant() - asked));
        }
        Ok::<_, BenchError>(queries_ms)
    };
    let (sent, queries_ms) = futures::try_join!(sending, asking)?;
    server.wait_for_blocks().await?;
    let until_in_blocks = SystemClock.instant() - started;
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
