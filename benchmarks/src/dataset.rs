//! Prepared blocks: where their files are, and what is known of them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use storage::block::meta::AttributeScope;
use storage::ids::TenantId;
use storage::snapshot::Times;
use storage::store::{StoreLocation, open_store};
use storage::{Random, Snapshot, SnapshotSource as _, StoredBlocks, layout};
use tokio::runtime::{Builder, Runtime};

use crate::error::BenchError;
use crate::record::cores;

/// Prepared blocks.
#[derive(Debug)]
pub(crate) struct Dataset {
    pub(crate) dir: PathBuf,
    pub(crate) location: StoreLocation,
    pub(crate) blocks: Arc<StoredBlocks>,
    pub(crate) snapshot: Snapshot,
    /// The Parquet files.
    pub(crate) files: Vec<PathBuf>,
    /// Starts of the first and the last span, ns since the epoch.
    pub(crate) starts_ns: (i64, i64),
}

impl Dataset {
    pub(crate) fn open(dir: &Path, runtime: &Runtime) -> Result<Self, BenchError> {
        let empty = || {
            BenchError::Input(format!(
                "{} holds no blocks; run `spandrel-bench prepare` first",
                dir.display()
            ))
        };
        // Opening a store would make the folder, and rivals want to know where it is.
        let dir = dir.canonicalize().map_err(|_| empty())?;
        let location = open_store(path_text(&dir)?, &BTreeMap::new())?;
        let blocks = Arc::new(StoredBlocks::new(
            Arc::clone(&location.store),
            location.prefix.clone(),
            Random::from_system(),
        ));
        let tenant = TenantId::single();
        let snapshot = runtime.block_on(blocks.snapshot(&tenant, &Times::ALL))?;
        let first = snapshot.stored.iter().map(|block| block.min_start_ns).min();
        let last = snapshot.stored.iter().map(|block| block.max_start_ns).max();
        let (Some(first), Some(last)) = (first, last) else {
            return Err(empty());
        };
        let files = snapshot.stored.iter();
        let files =
            files.map(|block| dir.join(layout::spans_file(&location.prefix, block).as_ref()));
        let files = files.collect();
        Ok(Self {
            dir,
            location,
            blocks,
            snapshot,
            files,
            starts_ns: (first, last),
        })
    }

    pub(crate) fn spans(&self) -> u64 {
        let rows = self.snapshot.stored.iter().map(|block| block.row_count);
        rows.sum()
    }

    pub(crate) fn file_bytes(&self) -> u64 {
        let files = self.snapshot.stored.iter().flat_map(|block| &block.file);
        files.map(|file| file.size_bytes).sum()
    }

    /// The one column that holds an attribute in all blocks, whose values are all of one type: only
    /// then can plain SQL ask for what TraceQL asks.
    pub(crate) fn column(&self, scope: AttributeScope, key: &str) -> Option<String> {
        let mut found = BTreeSet::new();
        for block in &self.snapshot.stored {
            let mut attributes = block.attributes.iter();
            let attribute =
                attributes.find(|attribute| attribute.scope == scope && &*attribute.key == key);
            for value in attribute.map_or(&[][..], |attribute| &attribute.types) {
                found.insert(value.column.as_deref().map(str::to_owned));
            }
        }
        match (found.len(), found.pop_first()) {
            (1, Some(column)) => column,
            _ => None,
        }
    }
}

pub(crate) fn path_text(path: &Path) -> Result<&str, BenchError> {
    path.to_str()
        .ok_or_else(|| BenchError::Input(format!("{} is not UTF-8", path.display())))
}

/// Threads for everything but Spandrel's engine, which has its own.
pub(crate) fn runtime() -> Result<Runtime, BenchError> {
    let runtime = Builder::new_multi_thread()
        .worker_threads(cores())
        .enable_all()
        .build();
    runtime.map_err(BenchError::file("start", "worker threads"))
}
