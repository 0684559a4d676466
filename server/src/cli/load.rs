//! `spandrel load`: files of recorded spans to blocks.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use storage::ids::TenantId;
use storage::{Clock, Random, SystemClock};

use super::options::{ConfigOptions, Logging};
use crate::failure::{self, Mistake};
use crate::load::{self, Cancel, Destination, LoadReport, Progress, Shift, Source};
use crate::local::{self, Access};
use crate::output;
use crate::render::number;

#[derive(Debug, Args)]
#[command(
    after_help = "Files hold OTLP trace export requests: length-delimited protobuf, or JSON, one request\na line; plain, gzip or zstd. Spans go straight into blocks; a running server sees them within some seconds.\n\nExamples:\n  spandrel load --data-dir ./spandrel-data traces.otlp.zst\n  spandrel load --data-dir ./spandrel-data --shift-to-now monday.jsonl.gz tuesday.jsonl.gz\n  collector-dump | spandrel load --config spandrel.yaml --tenant team-a -"
)]
pub(super) struct LoadArgs {
    /// Files to load; - for standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    config: ConfigOptions,
    /// Whose spans they are
    #[arg(long, default_value = TenantId::SINGLE)]
    tenant: String,
    /// Make all times later by one offset, so that the latest span ends now
    #[arg(long)]
    shift_to_now: bool,
    /// Show no progress
    #[arg(long)]
    quiet: bool,
}

pub(super) fn run(args: &LoadArgs) -> anyhow::Result<ExitCode> {
    let sources: Vec<Source> = args.files.iter().map(|file| Source::named(file)).collect();
    if args.shift_to_now && sources.contains(&Source::Stdin) {
        return Err(Mistake::new(
            "--shift-to-now reads the input twice, which standard input does not allow: save it to a file first",
        ));
    }
    let tenant = args
        .tenant
        .parse()
        .map_err(|error| Mistake::new(format!("--tenant {}: {error}", args.tenant)))?;
    let config = args.config.load(Logging::OnlyProblems)?;
    let runtime = super::runtime::runtime()?;
    let destination = Destination {
        location: local::open(&config, Access::Write)?,
        tenant,
        random: Random::from_system(),
    };

    let cancel = Cancel::default();
    runtime.spawn(cancel_on_interrupt(cancel.clone()));
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let shift = if args.shift_to_now {
        Shift::EndAt(clock.now_ns())
    } else {
        Shift::None
    };
    let progress = if args.quiet {
        Progress::hidden(clock)
    } else {
        Progress::start(total_bytes(&sources), clock)
    };
    match load::load(
        &sources,
        shift,
        &destination,
        &progress,
        &cancel,
        runtime.handle(),
    ) {
        Ok(report) => {
            tell(&report, &progress)?;
            Ok(if report.cancelled {
                ExitCode::FAILURE
            } else {
                ExitCode::SUCCESS
            })
        }
        Err(error) => {
            output::note(&format!("spandrel: {}", failure::describe(&error.cause)));
            tell(&error.report, &progress)?;
            Ok(ExitCode::FAILURE)
        }
    }
}

/// The first interrupt stops the load after the block under way; the second ends the process.
async fn cancel_on_interrupt(cancel: Cancel) {
    if tokio::signal::ctrl_c().await.is_ok() {
        output::note("stopping after the block under way; interrupt again to stop at once");
        cancel.cancel();
        if tokio::signal::ctrl_c().await.is_ok() {
            #[expect(
                clippy::exit,
                reason = "a second interrupt means now; committed blocks are whole at any moment"
            )]
            std::process::exit(130);
        }
    }
}

fn total_bytes(sources: &[Source]) -> Option<u64> {
    sources.iter().map(Source::size_bytes).sum()
}

fn tell(report: &LoadReport, progress: &Progress) -> anyhow::Result<()> {
    let stopped = if report.cancelled {
        ", then stopped"
    } else {
        ""
    };
    output::line(&format!(
        "loaded {} spans into {} blocks of {} in {:.1} s ({} spans/s){stopped}",
        number::count(report.spans),
        number::count(report.blocks),
        number::bytes(report.block_bytes),
        progress.elapsed().as_secs_f64(),
        number::count(progress.per_second(report.spans + report.repeated + report.stored_before)),
    ))?;
    if report.stored_before > 0 {
        output::line(&format!(
            "{} spans were stored already and are left out",
            number::count(report.stored_before)
        ))?;
    }
    if report.repeated > 0 {
        output::line(&format!(
            "{} spans were there twice, equal in every field, and were stored once",
            number::count(report.repeated)
        ))?;
    }
    for (reason, count) in &report.rejected {
        output::line(&format!(
            "rejected {} spans: {reason}",
            number::count(*count)
        ))?;
    }
    Ok(())
}
