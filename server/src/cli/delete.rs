//! `spandrel delete`: deletes traces from a storage.

use std::num::NonZero;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::bail;
use clap::Args;
use frontend::SearchRequest;
use hashbrown::HashSet;
use storage::compaction::workers::Workers;
use storage::ids::{TenantId, TraceId};
use storage::maintenance::compactor::Compactor;
use storage::maintenance::deletion::Receipt;
use storage::store::StoreLocation;
use storage::{Clock as _, Random, SystemClock};
use traceql::Dialect;

use super::options::{ConfigOptions, Logging};
use super::progress::Steps;
use super::query::query_failure;
use crate::config::Config;
use crate::failure::Mistake;
use crate::local::{self, Access};
use crate::render::number;
use crate::{output, times};

/// Most traces that one deletion finds by a query.
const MAX_TRACES: usize = 1_000_000;

#[derive(Debug, Args)]
#[command(
    after_help = "Without --yes it only tells what it would delete. Traces are deleted as a whole: with\n--query those of which a span is selected and that have some of their time between\n--from and --to. They are gone from all answers at once, and their bytes an hour after a\nserver has seen that. May run beside a server; what that has in memory yet is not\ndeleted.\n\nExamples:\n  spandrel delete --data-dir ./spandrel-data --trace 0eb0c150ab1eda5b3c4ed14104ec779c --yes\n  spandrel delete --config spandrel.yaml --tenant team-a --query '{ span.user.id = \"42\" }'\n  spandrel delete --data-dir ./spandrel-data --query '{ name = \"GET /health\" }' --to now-30d --yes"
)]
pub(super) struct DeleteArgs {
    #[command(flatten)]
    config: ConfigOptions,
    /// Whose traces; needed where there are several tenants
    #[arg(long)]
    tenant: Option<String>,
    /// Id of a trace; can be given often
    #[arg(long = "trace", value_name = "ID", required_unless_present = "query")]
    traces: Vec<String>,
    /// Traces of which a span is selected by this query
    #[arg(long, value_name = "TRACEQL", conflicts_with = "traces")]
    query: Option<String>,
    /// Traces that ended earlier stay: RFC 3339, seconds since 1970, or relative to now
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    from: Option<String>,
    /// Traces that started later stay
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    to: Option<String>,
    /// Delete
    #[arg(long)]
    yes: bool,
    /// The receipt as JSON
    #[arg(long)]
    json: bool,
    /// Show no progress
    #[arg(long)]
    quiet: bool,
}

pub(super) fn run(args: &DeleteArgs) -> anyhow::Result<ExitCode> {
    super::runtime::runtime()?.block_on(async {
        tokio::select! {
            done = delete(args) => done,
            interrupted = tokio::signal::ctrl_c() => {
                interrupted?;
                output::note("interrupted; nothing was deleted");
                Ok(ExitCode::FAILURE)
            }
        }
    })
}

async fn delete(args: &DeleteArgs) -> anyhow::Result<ExitCode> {
    let config = args.config.load(Logging::OnlyProblems)?;
    let location = local::open(&config, Access::Read)?;
    let tenant = local::tenant(&location, args.tenant.as_deref()).await?;
    local::note_log(&config);
    let traces = Arc::new(chosen(args, &config, &location, &tenant).await?);
    let compactor = Compactor {
        catalog: Arc::new(local::catalog(&location, &tenant).await?),
        store: location.store,
        prefix: location.prefix,
        random: Random::from_system(),
        max_block_bytes: config.maintenance.max_block_bytes,
        workers: Workers::start(std::thread::available_parallelism().map_or(1, NonZero::get))?,
    };
    let receipt = if args.yes {
        let steps = Mutex::new(None);
        let tell = |done: usize, all: usize| {
            let mut steps = steps.lock().unwrap_or_else(PoisonError::into_inner);
            let (steps, told) =
                steps.get_or_insert_with(|| (Steps::count("deleting", all as u64, args.quiet), 0));
            steps.advance(done.saturating_sub(*told) as u64);
            *told = done;
            if done == all {
                steps.finish();
            }
        };
        compactor.delete(&traces, tell).await?
    } else {
        compactor.would_delete(&traces).await?
    };
    show(args, &receipt)?;
    Ok(ExitCode::SUCCESS)
}

/// The traces that are to be deleted.
async fn chosen(
    args: &DeleteArgs,
    config: &Config,
    location: &StoreLocation,
    tenant: &TenantId,
) -> anyhow::Result<HashSet<TraceId>> {
    let Some(query) = &args.query else {
        if args.from.is_some() || args.to.is_some() {
            return Err(Mistake::new("--from and --to go with --query"));
        }
        let parsed = args.traces.iter().map(|id| {
            let parsed = id.parse::<TraceId>();
            parsed.map_err(|error| Mistake::new(format!("--trace {id}: {error}")))
        });
        return parsed.collect();
    };
    let now_ns = SystemClock.now_ns();
    let time = |name: &str, text: &Option<String>, default: i64| match text {
        None => Ok(default),
        Some(text) => {
            let parsed = times::parse(text, now_ns);
            parsed.map_err(|error| Mistake::new(format!("{name}: {error}")))
        }
    };
    let request = SearchRequest {
        tenants: vec![tenant.clone()],
        query: query.clone(),
        dialect: Dialect::default(),
        start_ns: time("--from", &args.from, i64::MIN)?,
        end_ns: time("--to", &args.to, i64::MAX)?,
        limit: MAX_TRACES,
        spans_per_spanset: 1,
    };
    if request.end_ns < request.start_ns {
        return Err(Mistake::new("--to is before --from"));
    }
    let frontend = local::stored_frontend(location, config, None)?;
    let found = frontend.search(&request).await;
    let found = found.map_err(|error| query_failure(error, query))?.traces;
    if found.len() >= MAX_TRACES {
        bail!(
            "the query selects {} traces or more, which is as many as one deletion finds: choose less time with --from and --to",
            number::count(MAX_TRACES as u64)
        );
    }
    Ok(found.iter().map(|found| found.trace_id).collect())
}

fn show(args: &DeleteArgs, receipt: &Receipt) -> anyhow::Result<()> {
    if args.json {
        return Ok(output::line(&serde_json::to_string(receipt)?)?);
    }
    let (traces, spans) = (number::count(receipt.traces), number::count(receipt.spans));
    let blocks = number::count(receipt.blocks);
    let what = format!("{traces} traces with {spans} spans in {blocks} blocks");
    let tenant = &receipt.tenant;
    let line = match receipt.catalog_version {
        _ if receipt.traces == 0 => {
            format!("nothing to delete: no stored block of tenant {tenant} has any of these traces")
        }
        Some(version) => format!(
            "deleted {what} of tenant {tenant}, gone since version {version} of its catalog; SHA-256 of the ids: {}",
            receipt.trace_ids_sha256
        ),
        None => format!("would delete {what} of tenant {tenant}; --yes does"),
    };
    Ok(output::line(&line)?)
}
