//! `spandrel demo`: recorded traces, loaded, queried and served.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Args;
use storage::ids::TenantId;
use storage::{Clock as _, Random, SystemClock};
use traceql::Dialect;

use super::options::{ConfigOptions, Logging};
use crate::client::Client;
use crate::config::Config;
use crate::demo::{self, DATA_SETS, DemoFolder};
use crate::load::Destination;
use crate::local::{self, Access};
use crate::output::{self, Screen};
use crate::render::{self, number};
use crate::serve::Server;
use crate::serve::ports::Ports;
use crate::serve::signals::Signals;
use crate::times::{SECOND_NS, TimeRange};

const DEFAULT_FOLDER: &str = "./spandrel-demo";
const PROVISIONING_FILE: &str = "grafana-datasources.yaml";
const QUERIES: [&str; 2] = [
    "{status=error} | count_over_time() by (resource.service.name)",
    "{} | quantile_over_time(duration, .5, .99) by (resource.service.name)",
];
/// The longest recording of the demo that is whole lasts a little over four minutes.
const WINDOW_NS: i64 = 300 * SECOND_NS;
const STEP_NS: i64 = 5 * SECOND_NS;

#[derive(Debug, Args)]
#[command(
    after_help = "The folder is emptied each time: only one that an earlier demo made, or an empty one, will do.\n\nExamples:\n  spandrel demo\n  spandrel demo --once\n  spandrel demo --data-dir /tmp/demo --set server.http_listen_port=3201"
)]
pub(super) struct DemoArgs {
    #[command(flatten)]
    config: ConfigOptions,
    /// Exit after the queries instead of serving on
    #[arg(long)]
    once: bool,
}

pub(super) fn run(args: &DemoArgs) -> anyhow::Result<ExitCode> {
    let mut options = args.config.clone();
    let path = options
        .data_dir
        .get_or_insert_with(|| PathBuf::from(DEFAULT_FOLDER))
        .clone();
    let config = options.load(Logging::OnlyProblems)?;
    let folder = DemoFolder::prepare(&path)?;
    let runtime = super::runtime::runtime()?;

    let (now, started) = (SystemClock.now_ns(), SystemClock.instant());
    let destination = Destination {
        location: local::open(&config, Access::Write)?,
        tenant: TenantId::single(),
        random: Random::from_system(),
    };
    let report = demo::load(&destination, now, runtime.handle())?;
    let took = SystemClock.instant() - started;
    output::line(&format!(
        "Loaded {} recorded spans of {} systems into {} in {:.1} s: {}, {:.1} bytes a span.",
        number::count(report.spans),
        DATA_SETS.len(),
        path.display(),
        took.as_secs_f64(),
        number::bytes(report.block_bytes),
        bytes_per_span(report.block_bytes, report.spans),
    ))?;
    runtime.block_on(serve(config, &folder, &path, now, args.once))
}

async fn serve(
    config: Config,
    folder: &DemoFolder,
    path: &Path,
    now_ns: i64,
    once: bool,
) -> anyhow::Result<ExitCode> {
    let mut signals = Signals::listen()?;
    let (ports, taken) = Ports::open_or_free(&config).await?;
    for address in &taken {
        output::line(&format!(
            "{address} is taken by another process; using a free port instead."
        ))?;
    }
    let server = Server::start_on(ports, config).await?;
    let url = server.addresses().url();
    let shown = tokio::select! {
        shown = show(&url, now_ns) => shown,
        _ = signals.next() => Ok(()),
    };
    if shown.is_ok() && !once {
        tell(&server, folder, path)?;
        signals.next().await;
        signals.exit_on_next();
        output::line("\nStopping.")?;
    }
    server.shutdown().await;
    shown.map(|()| ExitCode::SUCCESS)
}

/// Runs the queries over the server's own API and draws what comes back.
async fn show(url: &str, now_ns: i64) -> anyhow::Result<()> {
    let client = Client::try_new(url, None)?;
    let range = TimeRange {
        start_ns: now_ns - WINDOW_NS,
        end_ns: now_ns,
        step_ns: STEP_NS,
    };
    for query in QUERIES {
        let (drawing, _) = client
            .query_range(query, Dialect::default(), range)
            .await
            .with_context(|| format!("query failed: {query}"))?;
        if drawing.lines.iter().all(|line| line.points.is_empty()) {
            bail!("no series for the query {query}");
        }
        output::write(&format!(
            "\n{}",
            render::plot(&drawing, query, Screen::of_stdout())
        ))?;
    }
    Ok(())
}

/// Says where everything is.
fn tell(server: &Server, folder: &DemoFolder, path: &Path) -> anyhow::Result<()> {
    let addresses = server.addresses();
    let url = addresses.url();
    let file = folder.file(PROVISIONING_FILE);
    std::fs::write(&file, demo::provisioning(&url))
        .with_context(|| format!("cannot write {}", file.display()))?;
    output::write(&format!(
        "\nServing the data of {}:\n  \
         queries    {url}\n  \
         OTLP/gRPC  {}\n  \
         OTLP/HTTP  {}\n\n\
         Grafana: add a Prometheus data source with the URL {url}/prom and the method POST,\n\
         and write TraceQL where it expects PromQL; or use {}.\n\n\
         From another terminal:\n  \
         spandrel query --server {url} --since 5m --output plot '{}'\n\n\
         Ctrl-C ends the demo.\n",
        path.display(),
        addresses.otlp_grpc,
        addresses.otlp_http,
        file.display(),
        QUERIES[0],
    ))?;
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "a ratio for people")]
fn bytes_per_span(bytes: u64, spans: u64) -> f64 {
    bytes as f64 / spans.max(1) as f64
}
