//! What queries see: spans not yet stored, and the blocks of the catalog, each span once.

use async_trait::async_trait;
use storage::ids::TenantId;
use storage::snapshot::Times;
use storage::{Snapshot, SnapshotSource, StorageError};

use super::Ingest;
use crate::error::FlushError;

#[async_trait]
impl SnapshotSource for Ingest {
    async fn snapshot(&self, tenant: &TenantId, times: &Times) -> Result<Snapshot, StorageError> {
        // First the head, then the catalog: a generation leaves the head only after its block is in the
        // catalog, so nothing is missed, and what is in both is left out of the head's.
        let generations = self.head.live(tenant);
        let mut live = Vec::with_capacity(generations.len());
        for generation in &generations {
            live.push(generation.encoded().await.map_err(live_error)?);
        }
        self.stored.snapshot_with(tenant, times, live).await
    }
}

fn live_error(error: FlushError) -> StorageError {
    StorageError::Internal(format!("cannot encode unstored spans: {error}"))
}
