//! The blocks of some snapshots, stored or not: which of them a request can do without, and reading
//! those it cannot.

use std::future::Future;
use std::sync::Arc;

use engine::{PruneReason, QueryCounters};
use storage::StorageError;
use storage::block::meta::BlockMeta;
use storage::block::{BlockFile, MemoryBlock};
use storage::ids::TenantId;
use storage::snapshot::Snapshot;

use crate::error::QueryError;
use crate::query::Frontend;
use crate::schedule::{in_turn, run_whole};
use crate::stats::QueryStats;
use crate::threads::off_reactor;

/// A block, stored or not.
#[derive(Debug, Clone)]
pub(crate) enum Block {
    Stored(Arc<BlockMeta>),
    Live(Arc<MemoryBlock>),
}

impl Block {
    pub(crate) fn meta(&self) -> &BlockMeta {
        match self {
            Self::Stored(block) => block,
            Self::Live(block) => &block.meta,
        }
    }
}

/// The blocks for which there is no reason to leave them out, and how many have which.
pub(crate) fn survivors(
    snapshots: &[Snapshot],
    ruled_out: impl Fn(&BlockMeta) -> Option<PruneReason>,
) -> (Vec<Block>, QueryStats) {
    let mut stats = QueryStats::default();
    let mut found = Vec::new();
    let all = snapshots.iter().flat_map(|snapshot| {
        let stored = snapshot.manifest.blocks.iter().map(Arc::clone);
        let live = snapshot.live.iter().map(Arc::clone);
        stored.map(Block::Stored).chain(live.map(Block::Live))
    });
    for block in all {
        stats.blocks_total += 1;
        let meta = block.meta();
        match ruled_out(meta) {
            Some(reason) => stats.count_pruned(&reason),
            None => {
                let size = meta.file.as_ref().map_or(0, |file| file.size_bytes);
                stats.block_bytes = stats.block_bytes.saturating_add(size);
                found.push(block);
            }
        }
    }
    (found, stats)
}

impl Frontend {
    /// Reads something of a block when it is the tenant's turn; once more as a whole where storage was
    /// unavailable. Dropping the future stops it.
    ///
    /// # Errors
    /// Those of reading.
    pub(crate) async fn read_in_turn<T, F>(
        &self,
        tenant: &TenantId,
        block: Block,
        counters: &Arc<QueryCounters>,
        live: impl FnOnce(&MemoryBlock) -> Result<T, StorageError> + Send + 'static,
        stored: impl Fn(BlockFile) -> F + Clone + Send + Sync + 'static,
    ) -> Result<T, QueryError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, StorageError>> + Send + 'static,
    {
        match block {
            Block::Live(block) => {
                let _turn = self.job_turns.take(tenant, usize::MAX).await;
                Ok(off_reactor(move || live(&block)).await??)
            }
            Block::Stored(block) => {
                let retries = self.config().query_frontend.max_retries;
                let read = run_whole(block, retries, |block| {
                    let (engine, counters) = (Arc::clone(&self.engine), Arc::clone(counters));
                    let (block, stored) = (Arc::clone(block), stored.clone());
                    let job = async move { engine.read(&block, &counters, stored).await };
                    in_turn(self.job_turns.clone(), tenant.clone(), job)
                });
                Ok(read.await?.value)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use engine::{Engine, EngineOptions};
    use futures::FutureExt;
    use object_store::ObjectStore;
    use object_store::memory::InMemory;
    use object_store::path::Path;
    use prometheus::Registry;
    use storage::block::{EncodeOptions, encode};
    use storage::ids::BlockId;
    use storage::model::{Span, SpanGroup};
    use storage::snapshot::StoredBlocks;

    use super::*;
    use crate::config::FrontendConfig;

    #[tokio::test]
    async fn reads_of_blocks_wait_for_their_turn() {
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let root = Path::default();
        let engine = Engine::try_new(Arc::clone(&store), root.clone(), &EngineOptions::default());
        let mut config = FrontendConfig::default();
        config.query_frontend.metrics.concurrent_jobs = 1;
        let frontend = Frontend::try_new(
            Arc::new(engine.unwrap()),
            Arc::new(StoredBlocks::new(store, root)),
            config,
            &Registry::new(),
        );
        let frontend = frontend.unwrap();
        let tenant = TenantId::single();
        let options = EncodeOptions::new(tenant.clone(), BlockId(ulid::Ulid::from(1_u128)));
        let group = SpanGroup {
            resource: Arc::default(),
            scope: Arc::default(),
            spans: vec![Span::default()],
        };
        let live = Arc::new(encode(&[group], &options).unwrap());
        let stored = Arc::clone(&live.meta);
        let counters = Arc::default();
        for block in [Block::Live(live), Block::Stored(stored)] {
            let turn = frontend.job_turns.take(&tenant, 0).await.unwrap();
            let read = frontend.read_in_turn(
                &tenant,
                block,
                &counters,
                |block| Ok(block.meta.row_count),
                |file| async move { Ok(file.meta().row_count) },
            );
            let mut read = std::pin::pin!(read);
            // However often it is looked at.
            for _ in 0..3 {
                assert!(read.as_mut().now_or_never().is_none());
                tokio::task::yield_now().await;
            }
            drop(turn);
            assert_eq!(read.await.unwrap(), 1);
        }
        // And none is kept.
        frontend.job_turns.take(&tenant, 0).await.unwrap();
    }
}
