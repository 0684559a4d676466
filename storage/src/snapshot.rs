//! What a query reads: the stored blocks of one manifest, and spans not yet stored.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use object_store::ObjectStore;
use object_store::path::Path;
use tokio::sync::Mutex;

use crate::block::MemoryBlock;
use crate::catalog::{Catalog, Manifest};
use crate::error::StorageError;
use crate::ids::TenantId;
use crate::random::Random;

/// One consistent view: each acknowledged span is in exactly one of its parts.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The stored blocks.
    pub manifest: Arc<Manifest>,
    /// Spans that are in no stored block of this manifest.
    pub live: Vec<Arc<MemoryBlock>>,
}

/// Gives consistent views.
#[async_trait]
pub trait SnapshotSource: Send + Sync + fmt::Debug {
    /// A view that holds every span acknowledged before the call. A tenant never heard of has an
    /// empty one. Costs a few small requests at most; may be dropped at any point.
    async fn snapshot(&self, tenant: &TenantId) -> Result<Snapshot, StorageError>;
}

/// Views of a store without a live part: what the catalogs name, read afresh each time.
pub struct StoredBlocks {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
    /// For commits to the catalogs.
    random: Arc<Random>,
    catalogs: Mutex<HashMap<TenantId, Arc<Catalog>>>,
}

impl fmt::Debug for StoredBlocks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredBlocks")
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

impl StoredBlocks {
    /// Views of the blocks below a prefix. `random` is for those who commit to the catalogs.
    #[must_use]
    pub fn new(store: Arc<dyn ObjectStore>, prefix: Path, random: Arc<Random>) -> Self {
        Self {
            store,
            prefix,
            random,
            catalogs: Mutex::new(HashMap::new()),
        }
    }

    /// The catalog of a tenant; one instance is shared by all callers.
    ///
    /// # Errors
    ///
    /// If the catalog cannot be read.
    pub async fn catalog(&self, tenant: &TenantId) -> Result<Arc<Catalog>, StorageError> {
        if let Some(open) = self.catalogs.lock().await.get(tenant) {
            return Ok(Arc::clone(open));
        }
        // Opened without the lock, so that a slow store holds up nobody else's tenant.
        let (store, random) = (Arc::clone(&self.store), Arc::clone(&self.random));
        let catalog = Catalog::open(store, self.prefix.clone(), tenant.clone(), random).await?;
        let catalog = Arc::new(catalog);
        let mut catalogs = self.catalogs.lock().await;
        // Anyone may ask for any tenant; only those with blocks are worth remembering.
        if catalog.current().version == 0 {
            return Ok(catalog);
        }
        Ok(Arc::clone(
            catalogs.entry(tenant.clone()).or_insert(catalog),
        ))
    }
}

#[async_trait]
impl SnapshotSource for StoredBlocks {
    async fn snapshot(&self, tenant: &TenantId) -> Result<Snapshot, StorageError> {
        let manifest = self.catalog(tenant).await?.refresh().await?;
        Ok(Snapshot {
            manifest,
            live: Vec::new(),
        })
    }
}
