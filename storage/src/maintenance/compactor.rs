//! Running the jobs of compaction: blocks are rewritten, then the catalog names the new ones in place of
//! the old.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

use object_store::ObjectStore;
use object_store::path::Path;

use crate::block::meta::BlockMeta;
use crate::block::{ReadBack, WriteOptions};
use crate::catalog::{Catalog, Edit};
use crate::compaction::policy::{self, Candidate, Job};
use crate::compaction::rewrite::{Rewrite, Rewritten};
use crate::compaction::workers::Workers;
use crate::error::StorageError;
use crate::ids::BlockId;
use crate::random::Random;

/// Compacts the blocks of one tenant.
#[derive(Debug, Clone)]
pub struct Compactor {
    /// The store, and where in it everything is.
    pub store: Arc<dyn ObjectStore>,
    /// Path in the store below which everything is.
    pub prefix: Path,
    /// The catalog of the tenant.
    pub catalog: Arc<Catalog>,
    /// Makes up ids of blocks.
    pub random: Arc<Random>,
    /// About how large a block becomes at most.
    pub max_block_bytes: u64,
    /// The threads that do it.
    pub workers: Workers,
}

/// What one job did.
#[derive(Debug, Clone)]
pub struct Compacted {
    /// The job.
    pub job: Job,
    /// What became of the spans.
    pub rewritten: Rewritten,
}

impl Compactor {
    /// The jobs that are due for the blocks of some times, ns since the epoch, and these blocks.
    ///
    /// # Errors
    /// If the catalog cannot be read.
    pub async fn due(
        &self,
        times: &RangeInclusive<i64>,
        now_ns: i64,
    ) -> Result<(Vec<Job>, BTreeMap<BlockId, Arc<BlockMeta>>), StorageError> {
        let root = self.catalog.newest().await?;
        let blocks = self.catalog.blocks(&root, times).await?;
        let candidates: Vec<Candidate> = blocks.iter().map(|block| (&**block).into()).collect();
        let jobs = policy::jobs(&candidates, now_ns, self.max_block_bytes);
        let blocks = blocks.into_iter();
        let blocks = blocks.map(|block| (block.block_id, block)).collect();
        Ok((jobs, blocks))
    }

    /// Does a job over some of the blocks. `None` if another process was faster with one of them: what was
    /// written is then nobody's, and goes when the store is swept. Dropping the future leaves no more
    /// than that.
    ///
    /// # Errors
    /// If the store fails, or a block is damaged.
    pub async fn run(
        &self,
        job: Job,
        blocks: &BTreeMap<BlockId, Arc<BlockMeta>>,
    ) -> Result<Option<Compacted>, StorageError> {
        let inputs = job.inputs.iter().filter_map(|id| blocks.get(id));
        let inputs: Vec<Arc<BlockMeta>> = inputs.map(Arc::clone).collect();
        let rewrite = Rewrite {
            inputs: &inputs,
            window_length_s: job.window_length_s,
            piece_bits: job.piece_bits,
            without: Arc::default(),
            options: WriteOptions::default(),
            read_back: ReadBack::Verify,
            workers: &self.workers,
        };
        let rewritten = rewrite.run(&self.store, &self.prefix, &self.random).await?;
        let edit = Edit::replace(inputs, rewritten.outputs.clone(), &self.random);
        match self.catalog.commit(edit).await {
            Ok(_) => Ok(Some(Compacted { job, rewritten })),
            Err(StorageError::BlockNotLive { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
