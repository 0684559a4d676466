//! What the catalog cannot rule out for a metrics query.

use std::fmt;
use std::sync::Arc;

use engine::{Grid, MetricsPlan};
use storage::block::MemoryBlock;
use storage::block::meta::BlockMeta;
use storage::snapshot::Snapshot;

use crate::blocks::{self, Block};
use crate::stats::QueryStats;

/// The parts of all blocks that may hold selected spans, and what was ruled out.
#[derive(Debug)]
pub(crate) struct Survivors {
    /// Stored blocks, each with those of its row groups that may hold such spans.
    pub(crate) stored: Vec<(Arc<BlockMeta>, Vec<usize>)>,
    /// Blocks in memory that may hold such spans.
    pub(crate) live: Vec<Arc<MemoryBlock>>,
    /// How many blocks there are, and how many were ruled out.
    pub(crate) stats: QueryStats,
}

impl Survivors {
    /// Rules out what the descriptions of blocks and row groups rule out.
    pub(crate) fn prune(plan: &MetricsPlan, grid: &Grid, snapshots: &[Snapshot]) -> Self {
        let rule = |block: &BlockMeta| engine::prune(plan, grid, block);
        let (kept, stats) = blocks::prune(snapshots, rule);
        let (mut stored, mut live) = (Vec::new(), Vec::new());
        for (block, row_groups) in kept {
            match block {
                Block::Stored(block) => stored.push((block, row_groups)),
                Block::Live(block) => live.push(block),
            }
        }
        Self {
            stored,
            live,
            stats,
        }
    }
}

impl fmt::Display for Survivors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let row_groups = self.stored.iter().map(|(_, row_groups)| row_groups.len());
        write!(
            f,
            "{} of {} blocks: stored={} row_groups={} live={}",
            self.stats.blocks_kept(),
            self.stats.blocks_total,
            self.stored.len(),
            row_groups.sum::<usize>(),
            self.live.len(),
        )?;
        for (reason, count) in &self.stats.blocks_pruned {
            write!(f, "\n  pruned by {reason}: {count}")?;
        }
        Ok(())
    }
}
