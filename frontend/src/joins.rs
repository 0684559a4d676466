//! Traces that lie in several blocks, and how a metrics query sees each of them as a whole.

use std::fmt;

use engine::{Fingerprint, Grid, MetricsPlan, Pieces};
use storage::block::meta::BlockMeta;
use storage::ids::BlockId;
use storage::snapshot::Snapshot;

use crate::blocks::AllBlocks;
use crate::error::QueryError;
use crate::split::JobList;
use crate::workers::Workers;

/// The traces of each snapshot that lie in several blocks; of no snapshot if the query does not have
/// to see whole traces.
#[derive(Debug)]
pub(crate) struct Joins(Vec<(Pieces, AllBlocks)>);

impl Joins {
    /// Looks for the traces.
    pub(crate) async fn find(
        plan: &MetricsPlan,
        grid: Grid,
        snapshots: &[Snapshot],
        workers: &Workers,
    ) -> Result<Self, QueryError> {
        let mut joins = Self(Vec::new());
        if plan.needs_whole_traces() {
            for snapshot in snapshots {
                let blocks = AllBlocks::of(std::slice::from_ref(snapshot));
                // Also of blocks that were ruled out: a part that matches nothing by itself may
                // belong to a trace that does.
                let reads = move |block: &BlockMeta| engine::may_count(&grid, block);
                joins
                    .0
                    .push((workers.pieces(&blocks, reads).await?, blocks));
            }
        }
        Ok(joins)
    }

    /// The jobs such that they see whole traces.
    pub(crate) fn with(&self, jobs: JobList) -> JobList {
        self.0.iter().fold(jobs, |jobs, (pieces, blocks)| {
            jobs.with_pieces(pieces, &blocks.stored, &blocks.live)
        })
    }

    /// Which traces are left out where a block is evaluated by itself.
    pub(crate) fn left_out_of(&self, block: BlockId) -> Option<Fingerprint> {
        let mut pieces = self.0.iter();
        pieces.find_map(|(pieces, _)| pieces.left_out_of(block))
    }
}

impl fmt::Display for Joins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("each block by itself");
        }
        let traces = self.0.iter().map(|(pieces, _)| pieces.trace_count());
        let blocks = |(_, blocks): &(_, AllBlocks)| blocks.stored.len() + blocks.live.len();
        write!(
            f,
            "{} traces in pieces, among {} blocks",
            traces.sum::<usize>(),
            self.0.iter().map(blocks).sum::<usize>(),
        )
    }
}
