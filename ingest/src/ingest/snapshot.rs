//! What queries see: spans not yet stored, and the blocks of the catalog, each span once.

use std::collections::HashSet;

use async_trait::async_trait;
use storage::ids::{BlockId, TenantId};
use storage::{Snapshot, SnapshotSource, StorageError};

use super::Ingest;
use crate::error::FlushError;

#[async_trait]
impl SnapshotSource for Ingest {
    async fn snapshot(&self, tenant: &TenantId) -> Result<Snapshot, StorageError> {
        loop {
            // First the head, then the catalog: a generation leaves the head only after its block is
            // in the catalog, so nothing is missed, and what is in both is left out below.
            let generations = self.head.live(tenant);
            let mut live = Vec::with_capacity(generations.len());
            for generation in &generations {
                live.push(generation.encoded().await.map_err(live_error)?);
            }
            let manifest = self.stored.snapshot(tenant).await?.manifest;
            // A generation that has left, but whose block is not in this catalog, may by now be part
            // of a compacted block that is.
            let still_there: HashSet<BlockId> =
                self.head.live(tenant).iter().map(|g| g.id()).collect();
            let settled = live.iter().all(|block| {
                let id = block.meta.block_id;
                manifest.block(id).is_some() || still_there.contains(&id)
            });
            if settled {
                live.retain(|block| manifest.block(block.meta.block_id).is_none());
                return Ok(Snapshot { manifest, live });
            }
        }
    }
}

fn live_error(error: FlushError) -> StorageError {
    StorageError::Internal(format!("cannot encode unstored spans: {error}"))
}
