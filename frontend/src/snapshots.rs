//! What a request reads: printed, and looked at once more when it has changed.

use std::fmt;

use storage::snapshot::Snapshot;

use crate::error::QueryError;

/// Snapshots, printed as what is in them.
#[derive(Debug)]
pub(crate) struct Taken<'a>(pub(crate) &'a [Snapshot]);

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
        for (index, Snapshot { manifest, live }) in self.0.iter().enumerate() {
            let separator = if index > 0 { "\n" } else { "" };
            write!(
                f,
                "{separator}tenant {}: version={} stored={} live={}",
                manifest.tenant,
                manifest.version,
                manifest.blocks.len(),
                live.len(),
            )?;
        }
        Ok(())
    }
}
