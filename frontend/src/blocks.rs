//! The blocks of some snapshots, stored or not, and which of them a request can do without.

use std::sync::Arc;

use engine::PruneReason;
use storage::block::MemoryBlock;
use storage::block::meta::BlockMeta;
use storage::snapshot::Snapshot;

use crate::stats::QueryStats;

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
