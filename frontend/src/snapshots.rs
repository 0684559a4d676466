//! What a request reads: printed, and looked at once more when it has changed.

use std::fmt;

use engine::{Grid, SeriesPlan};
use storage::snapshot::{Snapshot, Times};

use crate::error::QueryError;

/// Snapshots, printed as what is in them.
#[derive(Debug)]
pub(crate) struct Taken<'a>(pub(crate) &'a [Snapshot]);

/// The blocks that metrics queries over a grid read. Those that see whole traces read parts of them in
/// blocks near by, too.
pub(crate) fn times_of(plan: &SeriesPlan, grid: &Grid) -> Times {
    let whole = plan.operands().iter().any(|it| it.needs_whole_traces());
    Times {
        spans: grid.start_ns..=grid.end_ns(),
        reach_ns: if whole { engine::REACH_NS } else { 0 },
    }
}

/// A second look at the spans, for a request that learned of a block which went away before it was
/// read, because its spans are in another one now. A block that is away then stays away.
#[derive(Debug, Default)]
pub(crate) struct SecondLook {
    is_taken: bool,
}

impl SecondLook {
    /// Whether after this error the request begins once more, with new snapshots.
    pub(crate) fn helps(&mut self, error: &QueryError) -> bool {
        if self.is_taken || !error.is_block_gone() {
            return false;
        }
        tracing::debug!(%error, "a block went away, reading what replaced it");
        self.is_taken = true;
        true
    }
}

impl fmt::Display for Taken<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, snapshot) in self.0.iter().enumerate() {
            let separator = if index > 0 { "\n" } else { "" };
            write!(
                f,
                "{separator}tenant {}: version={} stored={} live={} elsewhere={}",
                snapshot.tenant,
                snapshot.version,
                snapshot.stored.len(),
                snapshot.live.len(),
                snapshot.elsewhere,
            )?;
        }
        Ok(())
    }
}
