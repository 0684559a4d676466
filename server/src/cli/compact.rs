//! `spandrel compact`: merges blocks now, as a server does by itself.

use std::num::NonZero;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use storage::compaction::workers::Workers;
use storage::ids::TenantId;
use storage::maintenance::compactor::Compactor;
use storage::snapshot::Times;
use storage::{Clock as _, Random, StoredBlocks, SystemClock, catalog};

use super::options::{ConfigOptions, Logging};
use super::progress::Steps;
use crate::local::{self, Access};
use crate::output;
use crate::render::number;

/// Rounds after which blocks that still change are left to the next run.
const MAX_ROUNDS: usize = 16;

#[derive(Debug, Args)]
#[command(
    after_help = "Windows of an hour that have settled, ten minutes after their end, become blocks that\nare cut by trace id; traces whose spans lie in several blocks are joined, and spans that\ncame twice are kept once. May run beside a server. What is committed when it is\ninterrupted stays.\n\nExamples:\n  spandrel compact --data-dir ./spandrel-data\n  spandrel compact --config spandrel.yaml --tenant team-a\n  spandrel compact --data-dir ./spandrel-data --dry-run"
)]
pub(super) struct CompactArgs {
    #[command(flatten)]
    config: ConfigOptions,
    /// One tenant instead of all
    #[arg(long)]
    tenant: Option<String>,
    /// Only tell what would be merged
    #[arg(long)]
    dry_run: bool,
    /// Show no progress
    #[arg(long)]
    quiet: bool,
}

/// What was done.
#[derive(Debug, Default)]
struct Done {
    jobs: usize,
    blocks_before: usize,
    blocks_after: usize,
    spans: u64,
    repeated: u64,
    bytes_read: u64,
    bytes_written: u64,
}

pub(super) fn run(args: &CompactArgs) -> anyhow::Result<ExitCode> {
    let runtime = super::runtime::runtime()?;
    runtime.block_on(async {
        tokio::select! {
            done = compact(args) => done,
            interrupted = tokio::signal::ctrl_c() => {
                interrupted?;
                output::note("interrupted; what was merged until now stays");
                Ok(ExitCode::FAILURE)
            }
        }
    })
}

async fn compact(args: &CompactArgs) -> anyhow::Result<ExitCode> {
    let config = args.config.load(Logging::OnlyProblems)?;
    let location = local::open(&config, Access::Read)?;
    let tenants: Vec<TenantId> = match &args.tenant {
        Some(_) => vec![local::tenant(&location, args.tenant.as_deref()).await?],
        None => catalog::tenants(&*location.store, &location.prefix).await?,
    };
    let workers = Workers::start(std::thread::available_parallelism().map_or(1, NonZero::get))?;
    let random = Random::from_system();
    let stored = StoredBlocks::new(location.store, location.prefix, Arc::clone(&random));
    let stored = Arc::new(stored);
    let mut done = Done::default();
    for tenant in &tenants {
        let compactor = Compactor {
            catalog: stored.catalog(tenant).await?,
            store: Arc::clone(stored.store()),
            prefix: stored.prefix().clone(),
            random: Arc::clone(&random),
            max_block_bytes: config.maintenance.max_block_bytes,
            workers: workers.clone(),
        };
        of_tenant(&compactor, args, &mut done).await?;
    }
    if done.jobs == 0 {
        output::line("nothing to merge: all blocks are as they should be")?;
        return Ok(ExitCode::SUCCESS);
    }
    let doing = if args.dry_run {
        "would merge"
    } else {
        "merged"
    };
    output::line(&if args.dry_run {
        format!(
            "{doing} {} blocks with {} in {} jobs",
            done.blocks_before,
            number::bytes(done.bytes_read),
            done.jobs
        )
    } else {
        format!(
            "{doing} {} blocks with {} into {} with {} in {} jobs: {} spans, and {} that came twice are kept once",
            done.blocks_before,
            number::bytes(done.bytes_read),
            done.blocks_after,
            number::bytes(done.bytes_written),
            done.jobs,
            number::count(done.spans),
            number::count(done.repeated),
        )
    })?;
    Ok(ExitCode::SUCCESS)
}

async fn of_tenant(
    compactor: &Compactor,
    args: &CompactArgs,
    done: &mut Done,
) -> anyhow::Result<()> {
    // What one job makes may be what another waits for.
    for _ in 0..MAX_ROUNDS {
        let (jobs, blocks) = compactor
            .due(&Times::ALL.spans, SystemClock.now_ns())
            .await?;
        if jobs.is_empty() {
            break;
        }
        let bytes = jobs.iter().map(|job| job.bytes).sum();
        let progress = Steps::start("merging", bytes, args.quiet || args.dry_run);
        for job in jobs {
            done.jobs += 1;
            done.blocks_before += job.inputs.len();
            done.bytes_read += job.bytes;
            let bytes = job.bytes;
            progress.say(format!(
                "{} blocks ({})",
                job.inputs.len(),
                job.reason.name()
            ));
            if args.dry_run {
                continue;
            }
            if let Some(compacted) = compactor.run(job, &blocks).await? {
                let rewritten = compacted.rewritten;
                done.blocks_after += rewritten.outputs.len();
                done.spans += rewritten.spans_out;
                done.repeated += rewritten.duplicates_dropped();
                let files = rewritten
                    .outputs
                    .iter()
                    .filter_map(|block| block.file.as_ref());
                done.bytes_written += files.map(|file| file.size_bytes).sum::<u64>();
            }
            progress.advance(bytes);
        }
        progress.finish();
        if args.dry_run {
            break;
        }
    }
    Ok(())
}
