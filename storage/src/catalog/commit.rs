//! Making a new version of the manifest.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::manifest::{MANIFEST_FORMAT_VERSION, Manifest, ManifestEdit};
use super::versions::Created;
use super::{Catalog, invariants};
use crate::block::meta::BlockMeta;
use crate::error::StorageError;
use crate::ids::BlockId;
use crate::random::Random;

/// How often a commit is tried against other writers.
const MAX_ATTEMPTS: u32 = 64;
/// Longest pause between two tries.
const MAX_PAUSE: Duration = Duration::from_millis(500);

impl Catalog {
    /// Commits an edit, on top of whatever others commit meanwhile, exactly once.
    ///
    /// If this fails as [`crate::ErrorKind::Unavailable`], or the future is dropped, the edit may
    /// have been committed or not. Calling again with the same edit is safe if it adds a block: it
    /// succeeds without a new version where the first call had worked.
    ///
    /// # Errors
    ///
    /// If the edit would break an invariant, a block to remove is not live, the store fails, or
    /// other writers win too often.
    pub async fn commit(&self, edit: ManifestEdit) -> Result<Arc<Manifest>, StorageError> {
        let _one_at_a_time = self.committing.lock().await;
        commit(self, &edit).await
    }
}

async fn commit(catalog: &Catalog, edit: &ManifestEdit) -> Result<Arc<Manifest>, StorageError> {
    let mut base = catalog.refresh().await?;
    for attempt in 0..MAX_ATTEMPTS {
        if is_done(&base, edit) {
            return Ok(base);
        }
        let next = apply(&base, edit, &catalog.random)?;
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
        tokio::time::sleep(catalog.random.up_to(longest_pause(attempt))).await;
        base = catalog.refresh().await?;
    }
    Err(StorageError::CommitContention {
        tenant: catalog.tenant.clone(),
        attempts: MAX_ATTEMPTS,
    })
}

/// Whether an earlier call with the same edit, whose outcome its caller never learnt, worked. Ids of
/// blocks are never used twice, so a block that is there as given was added by this very edit.
fn is_done(base: &Manifest, edit: &ManifestEdit) -> bool {
    !edit.add.is_empty()
        && edit
            .add
            .iter()
            .all(|block| base.block(block.block_id) == Some(block))
        && edit.remove.iter().all(|id| base.block(*id).is_none())
}

async fn on_top_of(catalog: &Catalog, base: &Manifest) -> Result<bool, StorageError> {
    Ok(base.version == 0 || catalog.versions.exists(base.version).await?)
}

async fn finish(catalog: &Catalog, mut committed: Manifest) -> Arc<Manifest> {
    // What was deleted becomes known with the next commit from here; deleting again does no harm.
    committed.oldest_version = catalog.versions.tidy(&committed).await;
    let committed = Arc::new(committed);
    catalog.advance(Manifest::clone(&committed));
    committed
}

fn apply(base: &Manifest, edit: &ManifestEdit, random: &Random) -> Result<Manifest, StorageError> {
    let mut blocks: BTreeMap<BlockId, Arc<BlockMeta>> = base
        .blocks
        .iter()
        .map(|block| (block.block_id, Arc::clone(block)))
        .collect();
    for id in &edit.remove {
        if blocks.remove(id).is_none() {
            return Err(StorageError::BlockNotLive {
                tenant: base.tenant.clone(),
                block: *id,
            });
        }
    }
    for block in &edit.add {
        if blocks.insert(block.block_id, Arc::clone(block)).is_some() {
            return Err(StorageError::ManifestInvariant {
                tenant: base.tenant.clone(),
                reason: format!("block is in the catalog already: block={}", block.block_id),
            });
        }
    }
    Ok(Manifest {
        format_version: MANIFEST_FORMAT_VERSION,
        tenant: base.tenant.clone(),
        version: base.version + 1,
        oldest_version: base.oldest_version,
        writer_nonce: random.ulid().to_string(),
        blocks: blocks.into_values().collect(),
    })
}

/// The longest pause after an attempt, which grows with each. How much of it is taken differs between
/// writers, so that they do not stay in step.
fn longest_pause(attempt: u32) -> Duration {
    Duration::from_millis(4u64 << attempt.min(7)).min(MAX_PAUSE)
}
