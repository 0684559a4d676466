//! The blocks of some snapshots, stored or not, and which of them a request can do without.

use std::sync::Arc;

use engine::{PruneReason, Slice};
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
    /// The description of the block.
    pub(crate) fn meta(&self) -> &BlockMeta {
        match self {
            Self::Stored(block) => block,
            Self::Live(block) => &block.meta,
        }
    }

    /// The slice that is all of the block.
    pub(crate) fn whole(self) -> Slice {
        match self {
            Self::Stored(block) => Slice::Stored {
                row_groups: (0..block.row_groups.len()).collect(),
                block,
            },
            Self::Live(block) => Slice::Live(block),
        }
    }
}

/// The blocks that a rule does not rule out, each with what the rule says of it, and how many blocks
/// were ruled out for which reason.
pub(crate) fn prune<T>(
    snapshots: &[Snapshot],
    rule: impl Fn(&BlockMeta) -> Result<T, PruneReason>,
) -> (Vec<(Block, T)>, QueryStats) {
    let mut stats = QueryStats::default();
    let mut kept = Vec::new();
    for snapshot in snapshots {
        stats.blocks_total += snapshot.elsewhere;
        stats.count_pruned(&PruneReason::Time, snapshot.elsewhere);
    }
    let all = snapshots.iter().flat_map(|snapshot| {
        let stored = snapshot.stored.iter().map(Arc::clone);
        let live = snapshot.live.iter().map(Arc::clone);
        stored.map(Block::Stored).chain(live.map(Block::Live))
    });
    for block in all {
        stats.blocks_total += 1;
        let meta = block.meta();
        match rule(meta) {
            Ok(of_block) => {
                let size = meta.file.as_ref().map_or(0, |file| file.size_bytes);
                stats.block_bytes = stats.block_bytes.saturating_add(size);
                kept.push((block, of_block));
            }
            Err(reason) => stats.count_pruned(&reason, 1),
        }
    }
    (kept, stats)
}

/// The blocks for which there is no reason to leave them out, and how many have which.
pub(crate) fn survivors(
    snapshots: &[Snapshot],
    ruled_out: impl Fn(&BlockMeta) -> Option<PruneReason>,
) -> (Vec<Block>, QueryStats) {
    let (kept, stats) = prune(snapshots, |block| ruled_out(block).map_or(Ok(()), Err));
    (kept.into_iter().map(|(block, ())| block).collect(), stats)
}
