//! Prepared blocks: where their files are, and what is known of them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use engine::Grid;
use storage::block::meta::{AttributeScope, ValueType};
use storage::catalog::Manifest;
use storage::ids::TenantId;
use storage::store::{StoreLocation, open_store};
use storage::{SnapshotSource as _, StoredBlocks, layout};
use tokio::runtime::{Builder, Runtime};

use crate::error::BenchError;
use crate::report::cores;

const SECOND_NS: i64 = 1_000_000_000;
/// Intervals of a query, about.
const INTERVALS: i64 = 240;

/// Prepared blocks.
#[derive(Debug)]
pub(crate) struct Dataset {
    pub(crate) location: StoreLocation,
    pub(crate) blocks: Arc<StoredBlocks>,
    pub(crate) manifest: Arc<Manifest>,
    /// The Parquet files.
    pub(crate) files: Vec<PathBuf>,
    /// All spans, in intervals of whole seconds.
    pub(crate) grid: Grid,
}

impl Dataset {
    pub(crate) fn open(dir: &Path, runtime: &Runtime) -> Result<Self, BenchError> {
        let empty = || {
            BenchError::Input(format!(
                "{} holds no blocks; run `spandrel-bench prepare` first",
                dir.display()
            ))
        };
        // Opening a store would make the folder.
        if !dir.is_dir() {
            return Err(empty());
        }
        let location = open_store(path_text(dir)?, &BTreeMap::new())?;
        let blocks = Arc::new(StoredBlocks::new(
            Arc::clone(&location.store),
            location.prefix.clone(),
        ));
        let manifest = runtime
            .block_on(blocks.snapshot(&TenantId::single()))?
            .manifest;
        let first = manifest.blocks.iter().map(|block| block.min_start_ns).min();
        let last = manifest.blocks.iter().map(|block| block.max_start_ns).max();
        let (Some(first), Some(last)) = (first, last) else {
            return Err(empty());
        };
        let files = manifest.blocks.iter().map(|block| {
            dir.join(
                layout::spans_file(&location.prefix, &TenantId::single(), block.block_id).as_ref(),
            )
        });
        let files = files.collect();
        let grid = grid(first, last)
            .ok_or_else(|| BenchError::Input("the spans' times make no grid".to_owned()))?;
        Ok(Self {
            location,
            blocks,
            manifest,
            files,
            grid,
        })
    }

    pub(crate) fn spans(&self) -> u64 {
        self.manifest
            .blocks
            .iter()
            .map(|block| block.row_count)
            .sum()
    }

    /// Length of an interval in whole seconds.
    pub(crate) fn step_s(&self) -> i64 {
        self.grid.step_ns / SECOND_NS
    }

    /// The one column that holds an attribute in all blocks, whose values are all of one type: only
    /// then can plain SQL ask for what TraceQL asks.
    pub(crate) fn column(
        &self,
        scope: AttributeScope,
        key: &str,
    ) -> Result<(String, ValueType), BenchError> {
        let mut found = BTreeSet::new();
        for block in &self.manifest.blocks {
            let attribute = block
                .attributes
                .iter()
                .find(|attribute| attribute.scope == scope && attribute.key == key);
            for value in attribute.map_or(&[][..], |attribute| &attribute.types) {
                found.insert((value.column.clone(), value.value_type));
            }
        }
        match (found.len(), found.pop_first()) {
            (1, Some((Some(column), value_type))) => Ok((column, value_type)),
            _ => Err(BenchError::Input(format!(
                "attribute {key} is not in one column of one type"
            ))),
        }
    }
}

fn grid(first_ns: i64, last_ns: i64) -> Option<Grid> {
    let step_s = (last_ns - first_ns)
        .div_euclid(SECOND_NS * INTERVALS)
        .max(0)
        + 1;
    Grid::aligned(first_ns, last_ns, step_s * SECOND_NS)
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
