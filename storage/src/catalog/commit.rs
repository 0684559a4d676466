//! Making a new version of a catalog.

use std::sync::Arc;
use std::time::Duration;

use ulid::Ulid;

use super::arrange::arrange;
use super::edit::Edit;
use super::root::{PartRef, Removed, Root};
use super::versions::Created;
use super::{Catalog, ids_in, invariants};
use crate::error::StorageError;
use crate::ids::PartId;

/// How often a commit is tried against other writers.
const MAX_ATTEMPTS: u32 = 64;
/// Longest pause between two tries.
const MAX_PAUSE: Duration = Duration::from_millis(500);
/// How many edits a root names. An edit whose outcome is unknown is tried again within seconds, and
/// fewer than so many others get in between.
const KEEP_EDITS: usize = 64;
/// For how long a root names what was taken out. By then, what removes objects that nothing names has
/// removed those; what is left is found by listing the store.
const KEEP_REMOVED_MS: u64 = 24 * 60 * 60 * 1_000;

impl Catalog {
    /// Commits an edit, on top of whatever others commit meanwhile, exactly once.
    ///
    /// If this fails as [`crate::ErrorKind::Unavailable`], or the future is dropped, the edit may
    /// have been committed or not. Calling again with the same edit is safe: it succeeds without a new
    /// version where the first call had worked.
    ///
    /// # Errors
    ///
    /// If the edit would break an invariant, a block to remove is not live, the store fails, or
    /// other writers win too often.
    pub async fn commit(&self, edit: Edit) -> Result<Arc<Root>, StorageError> {
        let _one_at_a_time = self.committing.lock().await;
        let is_again = !self.begun().insert(edit.id);
        let committed = commit(self, &edit, is_again).await?;
        self.begun().remove(&edit.id);
        Ok(committed)
    }
}

async fn commit(catalog: &Catalog, edit: &Edit, is_again: bool) -> Result<Arc<Root>, StorageError> {
    invariants::check_edit(&catalog.tenant, edit)?;
    let mut base = catalog.refresh().await?;
    for attempt in 0..MAX_ATTEMPTS {
        if base.edits.contains(&edit.id) || (is_again && is_done(catalog, &base, edit).await?) {
            return Ok(base);
        }
        let (next, written) = apply(catalog, &base, edit).await?;
        invariants::check(&next)?;
        match catalog.versions.create(&next).await? {
            Created::Ours if on_top_of(catalog, &base).await? => {
                return Ok(finish(catalog, next).await);
            }
            Created::Ours => {
                // While we were held up, so many others committed that the version we built on is
                // gone: ours hangs in the air, where nobody looks.
                catalog.versions.delete(next.version).await?;
            }
            Created::Theirs(theirs) => {
                catalog.advance(theirs);
            }
        }
        catalog.parts.discard(&written).await;
        tokio::time::sleep(catalog.random.up_to(longest_pause(attempt))).await;
        base = catalog.refresh().await?;
    }
    Err(StorageError::CommitContention {
        tenant: catalog.tenant.clone(),
        attempts: MAX_ATTEMPTS,
    })
}

/// Whether an earlier call with the same edit, whose outcome its caller never learnt, worked, though
/// so many others committed since that the root no longer names it. Ids of blocks are never used twice,
/// so a block that is there, or in one that compaction made, was added by this very edit.
async fn is_done(catalog: &Catalog, base: &Root, edit: &Edit) -> Result<bool, StorageError> {
    if edit.add.is_empty() {
        return Ok(false);
    }
    let starts = edit.add.iter().map(|block| block.min_start_ns);
    let ends = edit.add.iter().map(|block| block.max_end_ns);
    let times = starts.min().unwrap_or(i64::MIN)..=ends.max().unwrap_or(i64::MAX);
    let live = catalog.blocks(base, &times).await?;
    let there = ids_in(&live);
    Ok(edit.add.iter().all(|block| there.contains(&block.block_id)))
}

async fn on_top_of(catalog: &Catalog, base: &Root) -> Result<bool, StorageError> {
    Ok(base.version == 0 || catalog.versions.exists(base.version).await?)
}

async fn finish(catalog: &Catalog, mut committed: Root) -> Arc<Root> {
    // What was deleted becomes known with the next commit from here; deleting again does no harm.
    committed.oldest_version = catalog.versions.tidy(&committed).await;
    let committed = Arc::new(committed);
    catalog.advance(Root::clone(&committed));
    committed
}

/// The root after an edit, and the parts that were written for it.
async fn apply(
    catalog: &Catalog,
    base: &Root,
    edit: &Edit,
) -> Result<(Root, Vec<PartId>), StorageError> {
    let arranged = arrange(base, edit)?;
    let nonce: Ulid = catalog.random.ulid();
    let version = base.version + 1;
    let mut parts: Vec<PartRef> = Vec::with_capacity(base.parts.len() + 1);
    let mut written = Vec::new();
    let mut removed = Removed {
        version,
        at_ms: nonce.timestamp_ms(),
        blocks: edit.remove.iter().map(|block| block.block_id).collect(),
        parts: Vec::new(),
    };
    let mut kept = 0;
    for rewrite in arranged.rewrites {
        let old = rewrite.parts.clone();
        parts.extend(
            base.parts
                .get(kept..old.start)
                .unwrap_or_default()
                .iter()
                .cloned(),
        );
        kept = old.end;
        let mut held = Vec::new();
        for part in base.parts.get(old).unwrap_or_default() {
            held.extend(catalog.parts.get(part).await?.iter().map(Arc::clone));
            removed.parts.push(part.id);
        }
        for blocks in rewrite.apply(base, held)? {
            let part = catalog.parts.create(blocks, &catalog.random).await?;
            written.push(part.id);
            parts.push(part);
        }
    }
    parts.extend(base.parts.get(kept..).unwrap_or_default().iter().cloned());

    let since_ms = removed.at_ms.saturating_sub(KEEP_REMOVED_MS);
    let mut all_removed: Vec<Removed> = base.removed.clone();
    all_removed.retain(|removed| removed.at_ms >= since_ms);
    if !removed.blocks.is_empty() || !removed.parts.is_empty() {
        all_removed.push(removed);
    }
    let mut edits = base.edits.clone();
    edits.push(edit.id);
    edits.drain(..edits.len().saturating_sub(KEEP_EDITS));
    let next = Root {
        tenant: base.tenant.clone(),
        version,
        oldest_version: base.oldest_version,
        writer_nonce: nonce.to_string(),
        parts,
        recent: arranged.recent,
        removed: all_removed,
        edits,
    };
    Ok((next, written))
}

/// The longest pause after an attempt, which grows with each. How much of it is taken differs between
/// writers, so that they do not stay in step.
fn longest_pause(attempt: u32) -> Duration {
    Duration::from_millis(4u64 << attempt.min(7)).min(MAX_PAUSE)
}
