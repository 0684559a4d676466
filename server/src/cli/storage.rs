//! `spandrel storage`: what is stored, whether it is unharmed, and what nothing names any more.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use ingest::OsDisk;
use serde::Serialize;
use storage::block::meta::BlockMeta;
use storage::catalog::{self, Catalog};
use storage::ids::TenantId;
use storage::maintenance::sweep;
use storage::snapshot::Times;
use storage::store::StoreLocation;
use storage::{Clock as _, SystemClock};

use super::backup::{self, BackupArgs, RestoreArgs};
use super::options::{ConfigOptions, Logging};
use super::progress::Steps;
use crate::failure::Mistake;
use crate::local::{self, Access};
use crate::render::number;
use crate::{output, times};

#[derive(Debug, Subcommand)]
pub(super) enum StorageCommand {
    /// Tell how much is stored, and in how many blocks
    #[command(
        after_help = "Examples:\n  spandrel storage stats --data-dir ./spandrel-data\n  spandrel storage stats --config spandrel.yaml --tenant team-a --json"
    )]
    Stats(Choice),
    /// Read everything, and compare every checksum
    #[command(
        after_help = "Exits with 1 if anything is damaged or missing. May run beside a server.\n\nExamples:\n  spandrel storage verify --data-dir ./spandrel-data\n  spandrel storage verify --config spandrel.yaml --json"
    )]
    Verify(Choice),
    /// Find objects that nothing names any more, and remove them
    #[command(
        after_help = "A server does this by itself. Without --yes nothing is removed.\n\nExamples:\n  spandrel storage gc --data-dir ./spandrel-data\n  spandrel storage gc --data-dir ./spandrel-data --yes"
    )]
    Gc(GcArgs),
    /// Copy one version of the catalog, and all that it names, to another store
    Backup(BackupArgs),
    /// Copy a backup back
    Restore(RestoreArgs),
}

/// Whose blocks are looked at.
#[derive(Debug, Args)]
pub(super) struct Choice {
    #[command(flatten)]
    config: ConfigOptions,
    /// One tenant instead of all
    #[arg(long)]
    tenant: Option<String>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct GcArgs {
    #[command(flatten)]
    choice: Choice,
    /// Remove what was found
    #[arg(long)]
    yes: bool,
}

pub(super) fn run(command: &StorageCommand) -> anyhow::Result<ExitCode> {
    super::runtime::runtime()?.block_on(async {
        match command {
            StorageCommand::Stats(choice) => stats(choice).await,
            StorageCommand::Verify(choice) => verify(choice).await,
            StorageCommand::Gc(args) => gc(args).await,
            StorageCommand::Backup(args) => backup::backup(args).await,
            StorageCommand::Restore(args) => backup::restore(args).await,
        }
    })
}

/// The catalogs of the tenants that were chosen.
async fn catalogs(
    choice: &Choice,
) -> anyhow::Result<(StoreLocation, crate::config::Config, Vec<Catalog>)> {
    let config = choice.config.load(Logging::OnlyProblems)?;
    let location = local::open(&config, Access::Read)?;
    let tenants: Vec<TenantId> = match &choice.tenant {
        Some(_) => vec![local::tenant(&location, choice.tenant.as_deref()).await?],
        None => catalog::tenants(&*location.store, &location.prefix).await?,
    };
    let mut catalogs = Vec::new();
    for tenant in tenants {
        let opened = local::catalog(&location, &tenant).await;
        catalogs.push(opened.with_context(|| format!("the catalog of tenant {tenant}"))?);
    }
    Ok((location, config, catalogs))
}

/// What a tenant has stored.
#[derive(Debug, Serialize)]
struct TenantStats {
    tenant: String,
    catalog_version: u64,
    catalog_parts: usize,
    blocks: usize,
    /// Blocks that compaction has not looked at yet.
    uncompacted_blocks: usize,
    spans: u64,
    bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_start: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_start: Option<String>,
    /// Blocks that were taken out of the catalog, and whose files wait to be removed.
    removed_blocks: usize,
}

async fn stats(choice: &Choice) -> anyhow::Result<ExitCode> {
    let (_, _, catalogs) = catalogs(choice).await?;
    let mut all = Vec::new();
    for catalog in &catalogs {
        let root = catalog.current();
        let blocks = catalog.blocks(&root, &Times::ALL.spans).await?;
        let starts = root.starts();
        all.push(TenantStats {
            tenant: root.tenant.to_string(),
            catalog_version: root.version,
            catalog_parts: root.parts.len(),
            blocks: blocks.len(),
            uncompacted_blocks: blocks.iter().filter(|it| it.partition.is_none()).count(),
            spans: blocks.iter().map(|block| block.row_count).sum(),
            bytes: blocks.iter().map(|block| size(block)).sum(),
            first_start: starts.as_ref().map(|starts| times::format(*starts.start())),
            last_start: starts.as_ref().map(|starts| times::format(*starts.end())),
            removed_blocks: root
                .removed
                .iter()
                .map(|removed| removed.blocks.len())
                .sum(),
        });
    }
    if choice.json {
        output::line(&serde_json::to_string_pretty(&all)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    if all.is_empty() {
        output::line("no tenant has blocks")?;
    }
    for stats in &all {
        output::line(&format!(
            "tenant {}: {} spans, {} in {} blocks ({} not compacted yet), {}",
            stats.tenant,
            number::count(stats.spans),
            number::bytes(stats.bytes),
            stats.blocks,
            stats.uncompacted_blocks,
            match (&stats.first_start, &stats.last_start) {
                (Some(first), Some(last)) => format!("from {first} to {last}"),
                _ => "of no time".to_owned(),
            },
        ))?;
        output::line(&format!(
            "  catalog version {}, {} parts; {} removed blocks wait for gc",
            stats.catalog_version, stats.catalog_parts, stats.removed_blocks,
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn size(block: &BlockMeta) -> u64 {
    block.file.as_ref().map_or(0, |file| file.size_bytes)
}

/// What a full check came to.
#[derive(Debug, Default, Serialize)]
struct Verified {
    blocks: u64,
    spans: u64,
    bytes: u64,
    damaged: Vec<String>,
}

async fn verify(choice: &Choice) -> anyhow::Result<ExitCode> {
    let (location, _, catalogs) = catalogs(choice).await?;
    let mut verified = Verified::default();
    let mut blocks: Vec<Arc<BlockMeta>> = Vec::new();
    for catalog in &catalogs {
        let root = catalog.current();
        blocks.extend(root.recent.iter().map(Arc::clone));
        for part in &root.parts {
            match catalog.part(part).await {
                Ok(held) => blocks.extend(held.iter().map(Arc::clone)),
                Err(error) => verified.damaged.push(error.to_string()),
            }
        }
    }
    let total = blocks.iter().map(|block| size(block)).sum();
    let progress = Steps::start("checked", total, choice.json);
    for block in &blocks {
        match storage::block::verify(&location.store, &location.prefix, block).await {
            Ok(report) => {
                verified.blocks += 1;
                verified.spans += report.row_count;
                verified.bytes += report.size_bytes;
            }
            Err(error) => verified.damaged.push(error.to_string()),
        }
        progress.advance(size(block));
    }
    progress.finish();
    if choice.json {
        output::line(&serde_json::to_string_pretty(&verified)?)?;
    } else {
        for damage in &verified.damaged {
            output::line(&format!("damaged: {damage}"))?;
        }
        output::line(&format!(
            "{} blocks with {} spans and {} are unharmed, {} objects are damaged",
            verified.blocks,
            number::count(verified.spans),
            number::bytes(verified.bytes),
            verified.damaged.len(),
        ))?;
    }
    Ok(if verified.damaged.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// What nothing names any more.
#[derive(Debug, Default, Serialize)]
struct Garbage {
    /// Objects that no version of the catalog names, and that have lain there for a day.
    unnamed: Vec<String>,
    unnamed_bytes: u64,
    /// Objects that no version names, and that are younger: they may be on their way.
    too_young: usize,
    /// Objects of blocks and parts that the catalog says it removed an hour ago and more.
    removed: u64,
    removed_versions: u64,
    is_done: bool,
}

async fn gc(args: &GcArgs) -> anyhow::Result<ExitCode> {
    let (location, config, catalogs) = catalogs(&args.choice).await?;
    // A server removes what nothing names by itself; and a clock that jumps must not make an upload look
    // like something that was forgotten.
    let _lock = OsDisk::open(&config.wal_dir).map_err(|error| {
        Mistake::new(format!(
            "{error}: a running server removes by itself what nothing names any more"
        ))
    })?;
    let now_ms = SystemClock.now_ns() / 1_000_000;
    let old = i64::try_from(sweep::UNNAMED_AFTER.as_millis()).unwrap_or(i64::MAX);
    let mut garbage = Garbage {
        is_done: args.yes,
        ..Garbage::default()
    };
    for catalog in &catalogs {
        let (store, prefix) = (&location.store, &location.prefix);
        let unnamed = sweep::unnamed(store, prefix, catalog).await?;
        let all = unnamed.len();
        let is_old = |at_ms: i64| now_ms.saturating_sub(at_ms) >= old;
        let unnamed: Vec<_> = unnamed
            .into_iter()
            .filter(|object| is_old(object.last_modified.timestamp_millis()))
            .collect();
        garbage.too_young += all - unnamed.len();
        garbage.unnamed_bytes += unnamed.iter().map(|object| object.size).sum::<u64>();
        garbage
            .unnamed
            .extend(unnamed.iter().map(|object| object.location.to_string()));
        if args.yes {
            let now_ms = u64::try_from(now_ms).unwrap_or_default();
            let (swept, _) = sweep::removed(store, prefix, catalog, now_ms, 0).await?;
            garbage.removed += swept.objects;
            garbage.removed_versions += swept.versions;
            sweep::remove_all(store, &unnamed).await?;
        }
    }
    if args.choice.json {
        output::line(&serde_json::to_string_pretty(&garbage)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    for object in &garbage.unnamed {
        output::line(object)?;
    }
    let found = format!(
        "{} objects with {} that nothing names, {} more that are younger than a day and may be on their way",
        garbage.unnamed.len(),
        number::bytes(garbage.unnamed_bytes),
        garbage.too_young,
    );
    output::line(&if args.yes {
        format!(
            "removed {found}; and {} objects that the catalog had let go, with {} of its versions",
            garbage.removed, garbage.removed_versions
        )
    } else {
        format!("found {found}; nothing was removed: --yes removes them")
    })?;
    Ok(ExitCode::SUCCESS)
}
