//! The storage that a configuration names, opened for commands that work on it directly.

use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use engine::{Engine, EngineOptions};
use frontend::Frontend;
use prometheus::Registry;
use storage::catalog::{self, Catalog};
use storage::ids::TenantId;
use storage::snapshot::{SnapshotSource, StoredBlocks};
use storage::store::{StoreLocation, open_store};
use storage::{Random, SystemClock};

use crate::config::Config;
use crate::failure::Mistake;
use crate::output;
use crate::render::number;

/// Whether a command only looks, or also makes what is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// What is not there is a mistake.
    Read,
    /// What is not there is made.
    Write,
}

/// Opens the store that a configuration names.
///
/// # Errors
/// The store cannot be opened, or a local one does not exist and is only to be read.
pub fn open(config: &Config, access: Access) -> anyhow::Result<StoreLocation> {
    let folder = folder(&config.storage.url);
    if let Some(folder) = folder.filter(|folder| access == Access::Read && !folder.is_dir()) {
        return Err(Mistake::new(format!(
            "there are no blocks in {}: load some with `spandrel load --data-dir {} FILE`",
            folder.display(),
            config.data_dir.display()
        )));
    }
    let options = config.storage.options.iter().cloned().collect();
    Ok(open_store(&config.storage.url, &options)?)
}

/// The folder of a local store.
fn folder(url: &str) -> Option<&FilePath> {
    (!url.contains("://")).then(|| FilePath::new(url))
}

/// A frontend over a store and its snapshots.
///
/// # Errors
/// The engine's threads cannot be started, or metrics of the same names are registered.
pub fn frontend(
    location: &StoreLocation,
    snapshots: Arc<dyn SnapshotSource>,
    config: &Config,
    registry: &Registry,
) -> anyhow::Result<Frontend> {
    let store = Arc::clone(&location.store);
    let options = EngineOptions {
        column_cache_bytes: config.frontend.querier.column_cache.max_bytes,
        ..EngineOptions::default()
    };
    let engine = Engine::try_new(store, location.prefix.clone(), &options)?;
    Ok(Frontend::try_new(
        Arc::new(engine),
        snapshots,
        config.frontend.clone(),
        registry,
        Arc::new(SystemClock),
    )?)
}

/// A frontend over the stored blocks alone, of one version of the catalog or the newest.
///
/// # Errors
/// As for [`frontend()`].
pub fn stored_frontend(
    location: &StoreLocation,
    config: &Config,
    version: Option<u64>,
) -> anyhow::Result<Frontend> {
    let (store, prefix) = (Arc::clone(&location.store), location.prefix.clone());
    let mut stored = StoredBlocks::new(store, prefix, Random::from_system());
    if let Some(version) = version {
        stored = stored.at_version(version);
    }
    frontend(location, Arc::new(stored), config, &Registry::new())
}

/// The catalog of a tenant.
///
/// # Errors
/// The catalog cannot be read.
pub async fn catalog(location: &StoreLocation, tenant: &TenantId) -> anyhow::Result<Catalog> {
    let catalog = Catalog::open(
        Arc::clone(&location.store),
        location.prefix.clone(),
        tenant.clone(),
        Random::from_system(),
        Arc::default(),
    );
    Ok(catalog.await?)
}

/// The tenant to work on: the one named; else the only one there is; else the one that a deployment
/// without tenants has.
///
/// # Errors
/// The name cannot be one, or there are several tenants and none was named.
pub async fn tenant(location: &StoreLocation, named: Option<&str>) -> anyhow::Result<TenantId> {
    if let Some(name) = named {
        return name
            .parse()
            .map_err(|error| Mistake::new(format!("--tenant {name}: {error}")));
    }
    let mut tenants = catalog::tenants(&*location.store, &location.prefix).await?;
    match tenants.len() {
        0 => Ok(TenantId::single()),
        1 => Ok(tenants.remove(0)),
        _ => {
            let names: Vec<_> = tenants.iter().map(TenantId::as_str).collect();
            Err(Mistake::new(format!(
                "there are several tenants, choose one with --tenant: {}",
                names.join(", ")
            )))
        }
    }
}

/// The time that a tenant's blocks cover, in one version of its catalog or the newest: earliest and latest
/// span start.
///
/// # Errors
/// There are no blocks, or the version is not kept.
pub async fn time_range(
    location: &StoreLocation,
    tenant: &TenantId,
    version: Option<u64>,
) -> anyhow::Result<(i64, i64)> {
    let catalog = catalog(location, tenant).await?;
    let root = match version {
        Some(version) => catalog.version(version).await?,
        None => catalog.current(),
    };
    let Some(starts) = root.starts() else {
        bail!("there are no blocks of tenant {tenant}")
    };
    Ok(starts.into_inner())
}

/// Says aloud if there are spans that a running or killed server has acknowledged and not yet stored.
pub fn note_log(config: &Config) {
    let bytes = log_bytes(config);
    if bytes > 0 {
        output::note(&format!(
            "note: {} of a server's write-ahead log are not blocks yet and not in this answer",
            number::bytes(bytes)
        ));
    }
}

/// Bytes in the write-ahead log below a data folder.
fn log_bytes(config: &Config) -> u64 {
    let mut bytes = 0;
    let mut folders: Vec<PathBuf> = vec![config.wal_dir.join("wal")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.metadata() {
                Ok(metadata) if metadata.is_dir() => folders.push(entry.path()),
                Ok(metadata) => bytes += metadata.len(),
                Err(_) => {}
            }
        }
    }
    bytes
}

/// The canonical path of a file that must exist.
///
/// # Errors
/// It does not exist or cannot be reached.
pub fn canonical(path: &FilePath) -> anyhow::Result<PathBuf> {
    path.canonicalize()
        .with_context(|| format!("cannot open {}", path.display()))
}
