//! The receive path alone, in this process and without sockets: for a profiler to look at.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use futures::future::try_join_all;
use ingest::{Ingest, IngestConfig, IngestParts, Metrics, OsDisk, PushError};
use prometheus::Registry;
use storage::ids::TenantId;
use storage::snapshot::Times;
use storage::store::open_store;
use storage::{Random, SnapshotSource as _, StoredBlocks, SystemClock};
use testkit::generate::Workload;

use super::requests::Requests;

use crate::dataset::{path_text, runtime};
use crate::error::BenchError;
use crate::markdown::{Markdown, mib, seconds, speed};
use crate::record::float;
use crate::usage::{Meter, Spent, peak_resident_bytes, reset_peak};

/// Wait before a request that was refused for the time being is sent again.
const PAUSE: Duration = Duration::from_millis(5);

#[derive(Debug, Args)]
pub(crate) struct PushOptions {
    /// Number of spans
    #[arg(long, default_value_t = 2_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    spans: u64,
    /// Spans per request, about
    #[arg(long, default_value_t = 2000)]
    batch: usize,
    /// Requests under way at the same time
    #[arg(long, default_value_t = 1)]
    connections: usize,
    /// The same seed makes the same spans
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where to make the temporary folder for log and blocks; by default the system's
    #[arg(long)]
    dir: Option<PathBuf>,
}

pub(crate) fn run(options: &PushOptions) -> Result<(), BenchError> {
    let folder = match &options.dir {
        Some(dir) => std::fs::create_dir_all(dir).and_then(|()| tempfile::tempdir_in(dir)),
        None => tempfile::tempdir(),
    };
    let folder = folder.map_err(BenchError::file("make", "a temporary folder"))?;
    let workload = Workload {
        batch_spans: options.batch,
        ..Workload::new(options.seed, options.spans)
    };
    let requests = Requests::make(folder.path(), &workload)?;
    let report = runtime()?.block_on(push_all(requests, folder.path(), options))?;
    println!("{}", report.text());
    Ok(())
}

/// What pushing came to.
struct Pushed {
    accepted: u64,
    /// How often a request had to wait because too much was not yet in blocks.
    held_back: u64,
    request_count: u64,
    request_bytes: u64,
    until_durable: Spent,
    until_in_blocks: Spent,
    block_count: usize,
    block_bytes: u64,
}

async fn push_all(
    requests: Requests,
    folder: &Path,
    options: &PushOptions,
) -> Result<Markdown, BenchError> {
    let location = open_store(
        path_text(&folder.join("blocks"))?,
        &std::collections::BTreeMap::new(),
    )?;
    let disk = Arc::new(OsDisk::open(folder.join("data"))?);
    let metrics = Metrics::register(&Registry::new())?;
    let random = Random::from_system();
    let stored = StoredBlocks::new(location.store, location.prefix, Arc::clone(&random));
    let ingest = Ingest::open(IngestParts {
        config: IngestConfig::default(),
        disk,
        stored: Arc::new(stored),
        metrics: metrics.clone(),
        clock: Arc::new(SystemClock),
        random,
    })
    .await?;

    let peak_is_own = reset_peak();
    let (request_count, request_bytes) = (requests.count, requests.bytes);
    let source = Arc::new(requests);
    let meter = Meter::start();
    let connections = (0..options.connections.max(1)).map(|_| {
        let (ingest, source) = (Arc::clone(&ingest), Arc::clone(&source));
        tokio::spawn(async move { connection(&ingest, &source).await })
    });
    let (mut accepted, mut held_back) = (0, 0);
    for result in try_join_all(connections).await? {
        let (spans, waits) = result?;
        accepted += spans;
        held_back += waits;
    }
    let until_durable = meter.spent();
    ingest.flush().await;
    let until_in_blocks = meter.spent();

    let tenant = TenantId::single();
    let snapshot = ingest.snapshot(&tenant, &Times::ALL).await?;
    let stored: u64 = snapshot.stored.iter().map(|block| block.row_count).sum();
    if stored != accepted || accepted != options.spans {
        let counts = format!(
            "{} spans sent, {accepted} accepted, {stored} in blocks",
            options.spans
        );
        return Err(BenchError::Input(counts));
    }
    let pushed = Pushed {
        accepted,
        held_back,
        request_count,
        request_bytes,
        until_durable,
        until_in_blocks,
        block_count: snapshot.stored.len(),
        block_bytes: snapshot
            .stored
            .iter()
            .filter_map(|block| block.file.as_ref())
            .map(|file| file.size_bytes)
            .sum(),
    };
    let report = report(&pushed, options, peak_is_own, &metrics);
    ingest.shutdown().await;
    Ok(report)
}

/// Sends requests one after the other until there are no more; gives spans accepted and times waited.
async fn connection(ingest: &Ingest, source: &Requests) -> Result<(u64, u64), BenchError> {
    let tenant = TenantId::single();
    let (mut spans, mut waits) = (0, 0);
    loop {
        let Some(body) = source.next()? else {
            return Ok((spans, waits));
        };
        loop {
            match ingest.push(&tenant, body.clone()).await {
                Ok(outcome) => {
                    spans += outcome.accepted;
                    break;
                }
                Err(PushError::Overloaded { .. }) => {
                    waits += 1;
                    tokio::time::sleep(PAUSE).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

fn report(
    pushed: &Pushed,
    options: &PushOptions,
    peak_is_own: bool,
    metrics: &Metrics,
) -> Markdown {
    let mut report = Markdown::new("Ingest, in process");
    let spans = pushed.accepted;
    let per_span = |bytes: u64| float(bytes) / float(spans.max(1));
    report.paragraph(&format!(
        "{spans} spans in {} OTLP requests of about {} spans ({:.0} bytes of protobuf per span), {} at a time, through \
         the receive path in one process: every request is acknowledged after its write to the log is synced. \
         Blocks are cut, encoded and stored meanwhile; the processor time is that of everything.",
        pushed.request_count,
        options.batch,
        per_span(pushed.request_bytes),
        options.connections,
    ));
    let row = |name: &str, spent: Spent| {
        let cpu_per_million = spent.cpu.as_secs_f64() * 1e6 / float(spans.max(1));
        vec![
            name.to_owned(),
            seconds(spent.wall),
            seconds(spent.cpu),
            format!("{cpu_per_million:.2}"),
            speed(spans, spent.wall),
            speed(spans, spent.cpu),
        ]
    };
    let rows = [
        row("all acknowledged", pushed.until_durable),
        row("all in blocks", pushed.until_in_blocks),
    ];
    let head = [
        "until",
        "wall s",
        "CPU s",
        "CPU s per M spans",
        "spans/s",
        "spans/s per core",
    ];
    report.table(&head, &rows);
    let syncs = metrics.fsync_seconds.get_sample_count();
    let sync_ms = metrics.fsync_seconds.get_sample_sum() * 1e3 / float(syncs.max(1));
    let note = if peak_is_own {
        ""
    } else {
        " (with the making of the requests)"
    };
    report.paragraph(&format!(
        "Peak memory **{}**{note}. {} blocks, {:.2} bytes per span. {syncs} syncs of the log, {sync_ms:.2} ms each, \
         {:.2} s in all. Requests held back for want of memory: {}.",
        mib(peak_resident_bytes()),
        pushed.block_count,
        per_span(pushed.block_bytes),
        metrics.fsync_seconds.get_sample_sum(),
        pushed.held_back,
    ));
    report
}
