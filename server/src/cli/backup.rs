//! `spandrel storage backup` and `spandrel storage restore`: a storage copied to another place and back.

use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use storage::catalog::{self, Catalog};
use storage::ids::TenantId;
use storage::maintenance::backup::{Copy, Place};
use storage::store::{StoreLocation, open_store};

use super::options::{ConfigOptions, Logging};
use super::progress::Steps;
use crate::config::Config;
use crate::failure::Mistake;
use crate::local::{self, Access};
use crate::output;
use crate::render::number;

#[derive(Debug, Args)]
#[command(
    after_help = "The copy is a storage like any other: it can be queried, and is what `restore` takes.\nWhat is there already is not copied again, so a backup that was interrupted goes on, and\nthe next one to the same place copies what is new. May run beside a server. A bucket of\nthe kind that the configuration names is opened with its settings, any other with the\nenvironment variables of its kind.\n\nExamples:\n  spandrel storage backup --data-dir ./spandrel-data --to /mnt/backup/spandrel\n  spandrel storage backup --config spandrel.yaml --to s3://backups/spandrel --tenant team-a\n  spandrel storage backup --data-dir ./spandrel-data --to /mnt/backup/spandrel --catalog-version 120 --dry-run"
)]
pub(super) struct BackupArgs {
    #[command(flatten)]
    config: ConfigOptions,
    /// Where to: a folder, or a bucket as in storage.trace
    #[arg(long, value_name = "URL")]
    to: String,
    /// The version of the catalog to copy, not the newest (needs --tenant where there are several)
    #[arg(long, value_name = "VERSION")]
    catalog_version: Option<u64>,
    #[command(flatten)]
    how: How,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Into a storage that does not have the tenant yet; stop its server before, or it starts a\ncatalog of its own meanwhile.\n\nExamples:\n  spandrel storage restore --data-dir ./spandrel-data --from /mnt/backup/spandrel\n  spandrel storage restore --config spandrel.yaml --from s3://backups/spandrel --tenant team-a"
)]
pub(super) struct RestoreArgs {
    #[command(flatten)]
    config: ConfigOptions,
    /// Where from: what `backup` was given
    #[arg(long, value_name = "URL")]
    from: String,
    #[command(flatten)]
    how: How,
}

#[derive(Debug, Args)]
struct How {
    /// One tenant instead of all
    #[arg(long)]
    tenant: Option<String>,
    /// Only tell what would be copied
    #[arg(long)]
    dry_run: bool,
    /// Show no progress
    #[arg(long)]
    quiet: bool,
}

pub(super) async fn backup(args: &BackupArgs) -> anyhow::Result<ExitCode> {
    let config = args.config.load(Logging::OnlyProblems)?;
    let from = local::open(&config, Access::Read)?;
    let to = other(&args.to, &config)?;
    copy_all((&from, &to), args.catalog_version, &args.how).await
}

pub(super) async fn restore(args: &RestoreArgs) -> anyhow::Result<ExitCode> {
    let config = args.config.load(Logging::OnlyProblems)?;
    if !args.from.contains("://") && !std::path::Path::new(&args.from).is_dir() {
        return Err(Mistake::new(format!("there is no folder {}", args.from)));
    }
    let from = other(&args.from, &config)?;
    let to = local::open(&config, Access::Write)?;
    for tenant in tenants(&from, &args.how).await? {
        let there = local::catalog(&to, &tenant).await?;
        let ours = local::catalog(&from, &tenant).await?;
        let (found, version) = (there.current().version, ours.current().version);
        if found > 0 && found != version {
            return Err(Mistake::new(format!(
                "tenant {tenant} is in {} already, in version {found} of its catalog: restore into an empty storage",
                to.url
            )));
        }
    }
    copy_all((&from, &to), None, &args.how).await
}

/// Opens the other store.
fn other(url: &str, config: &Config) -> anyhow::Result<StoreLocation> {
    let kind = |url: &str| url.split_once("://").map(|(kind, _)| kind.to_owned());
    let is_alike = kind(url).is_some() && kind(url) == kind(&config.storage.url);
    let options = config.storage.options.iter().filter(|_| is_alike);
    Ok(open_store(url, &options.cloned().collect())?)
}

async fn tenants(location: &StoreLocation, how: &How) -> anyhow::Result<Vec<TenantId>> {
    match &how.tenant {
        Some(_) => Ok(vec![local::tenant(location, how.tenant.as_deref()).await?]),
        None => Ok(catalog::tenants(&*location.store, &location.prefix).await?),
    }
}

async fn copy_all(
    (from, to): (&StoreLocation, &StoreLocation),
    version: Option<u64>,
    how: &How,
) -> anyhow::Result<ExitCode> {
    if from.url == to.url {
        return Err(Mistake::new(format!(
            "{} cannot be copied to itself",
            from.url
        )));
    }
    let tenants = tenants(from, how).await?;
    if tenants.is_empty() {
        return Err(Mistake::new(format!("there is nothing in {}", from.url)));
    }
    if version.is_some() && tenants.len() > 1 {
        return Err(Mistake::new(
            "versions are those of one tenant's catalog: choose it with --tenant",
        ));
    }
    for tenant in tenants {
        let catalog = local::catalog(from, &tenant).await?;
        copy((from, to), &catalog, version, how).await?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn copy(
    (from, to): (&StoreLocation, &StoreLocation),
    catalog: &Catalog,
    version: Option<u64>,
    how: &How,
) -> anyhow::Result<()> {
    if catalog.current().version == 0 {
        output::note(&format!(
            "tenant {} has nothing stored; nothing is copied of it",
            catalog.tenant()
        ));
        return Ok(());
    }
    let copy = Copy::of(place(from), place(to), catalog, version).await?;
    let what = format!(
        "version {} of the catalog of tenant {}, and its {} blocks with {}",
        copy.version(),
        catalog.tenant(),
        number::count(copy.blocks as u64),
        number::bytes(copy.bytes)
    );
    if how.dry_run {
        output::line(&format!("would copy {what}, to {}", to.url))?;
        return Ok(());
    }
    let progress = Steps::start("copying", copy.bytes, how.quiet);
    let tell = |bytes| progress.advance(bytes);
    let copied = tokio::select! {
        copied = copy.run(&tell) => copied,
        interrupted = tokio::signal::ctrl_c() => {
            interrupted?;
            progress.finish();
            anyhow::bail!("interrupted; what was copied is left out next time");
        }
    };
    progress.finish();
    if let Err(storage::StorageError::NotFound { object }) = &copied {
        anyhow::bail!(
            "{object} is not there: it was removed meanwhile if compaction or retention was at work; start again, and what was copied is left out"
        );
    }
    copied?;
    output::line(&format!("copied {what}, to {}", to.url))?;
    Ok(())
}

fn place(location: &StoreLocation) -> Place {
    Place {
        store: Arc::clone(&location.store),
        prefix: location.prefix.clone(),
        url: location.url.clone(),
    }
}
