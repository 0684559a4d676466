//! `spandrel serve`: the server.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::options::{ConfigOptions, Logging};
use crate::serve::Server;
use crate::serve::signals::Signals;

/// Time that blocking work gets to end with the process.
const LEFTOVERS: Duration = Duration::from_secs(1);

#[derive(Debug, Args)]
#[command(
    after_help = "Ports: 3200 queries (Grafana: Prometheus at /prom, Tempo at /), 4317 OTLP over gRPC,\n4318 OTLP over HTTP. SIGTERM or Ctrl-C: finish, store, exit 0; once more: exit at once.\n\nExamples:\n  spandrel serve --data-dir /var/lib/spandrel\n  spandrel serve --config spandrel.yaml --set server.http_listen_port=3201\n  spandrel serve --set storage.trace.backend=s3 --set storage.trace.s3.bucket=traces"
)]
pub(super) struct ServeArgs {
    #[command(flatten)]
    config: ConfigOptions,
}

pub(super) fn run(args: &ServeArgs) -> anyhow::Result<ExitCode> {
    let config = args.config.load(Logging::AsConfigured)?;
    let runtime = super::runtime::runtime()?;
    let outcome = runtime.block_on(async {
        let mut signals = Signals::listen()?;
        let server = tokio::select! {
            started = Server::start(config) => started?,
            // Nothing is acknowledged before the start is done, so nothing has to be finished.
            name = signals.next() => {
                tracing::info!(signal = name, "ending before the start was done");
                return Ok(ExitCode::SUCCESS);
            }
        };
        let name = signals.next().await;
        tracing::info!(signal = name, "ending");
        signals.exit_on_next();
        server.shutdown().await;
        Ok(ExitCode::SUCCESS)
    });
    runtime.shutdown_timeout(LEFTOVERS);
    outcome
}
