//! Traces that lie in several blocks, and how a metrics query sees each of them as a whole.

use std::fmt;

use engine::{Fingerprint, Grid, MetricsPlan, Pieces};
use storage::block::meta::BlockMeta;
use storage::ids::BlockId;
use storage::snapshot::Snapshot;

use crate::error::QueryError;
use crate::split::JobList;
use crate::workers::Workers;

/// The traces of each snapshot that lie in several blocks; of no snapshot if the query does not have
/// to see whole traces.
#[derive(Debug)]
pub(crate) struct Joins<'a>(Vec<(Pieces, &'a Snapshot)>);

impl<'a> Joins<'a> {
    /// Looks for the traces.
    pub(crate) async fn find(
        plan: &MetricsPlan,
        grid: Grid,
        snapshots: &'a [Snapshot],
        workers: &Workers,
    ) -> Result<Self, QueryError> {
        let mut joins = Self(Vec::new());
        if plan.needs_whole_traces() {
            for snapshot in snapshots {
                // Also of blocks that were ruled out: a part that matches nothing by itself may
                // belong to a trace that does.
                let reads = move |block: &BlockMeta| engine::may_count(&grid, block);
                let pieces = workers.pieces(&snapshot.stored, &snapshot.live, reads);
                joins.0.push((pieces.await?, snapshot));
            }
        }
        Ok(joins)
    }

    /// The jobs such that they see whole traces.
    pub(crate) fn with(&self, jobs: JobList) -> JobList {
        self.0.iter().fold(jobs, |jobs, (pieces, snapshot)| {
            jobs.with_pieces(pieces, &snapshot.stored, &snapshot.live)
        })
    }

    /// Which traces are left out where a block is evaluated by itself.
    pub(crate) fn left_out_of(&self, block: BlockId) -> Option<Fingerprint> {
        let mut pieces = self.0.iter();
        pieces.find_map(|(pieces, _)| pieces.left_out_of(block))
    }
}

impl fmt::Display for Joins<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("each block by itself");
        }
        let traces = self.0.iter().map(|(pieces, _)| pieces.trace_count());
        let blocks = |(_, it): &(_, &Snapshot)| it.stored.len() + it.live.len();
        write!(
            f,
            "{} traces in pieces, among {} blocks",
            traces.sum::<usize>(),
            self.0.iter().map(blocks).sum::<usize>(),
        )
    }
}
