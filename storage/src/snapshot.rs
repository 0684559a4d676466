//! What a query reads: the stored blocks of one version of the catalog, and spans not yet stored.

use std::collections::HashMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;
use object_store::ObjectStore;
use object_store::path::Path;
use tokio::sync::Mutex;

use crate::block::MemoryBlock;
use crate::block::meta::BlockMeta;
use crate::catalog::{Catalog, PartCache, Root, ids_in};
use crate::error::StorageError;
use crate::ids::TenantId;
use crate::random::Random;

/// Which blocks a view is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Times {
    /// Blocks that have spans at some of these times, ns since the epoch. A span is of all times from its
    /// start to its end.
    pub spans: RangeInclusive<i64>,
    /// Blocks that lie, in ns, at most so far from one of those; 0 for no others. They may have parts of
    /// the same traces.
    pub reach_ns: i64,
}

impl Times {
    /// All blocks.
    pub const ALL: Self = Self {
        spans: i64::MIN..=i64::MAX,
        reach_ns: 0,
    };

    /// The blocks that have spans at some of these times, ns since the epoch.
    #[must_use]
    pub fn of(spans: RangeInclusive<i64>) -> Self {
        Self { spans, reach_ns: 0 }
    }
}

/// One consistent view of the spans of some time: each acknowledged span of that time is in exactly one
/// of its blocks.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// Whose spans these are.
    pub tenant: TenantId,
    /// Version of the catalog.
    pub version: u64,
    /// The stored blocks that have spans of that time, ordered by id.
    pub stored: Vec<Arc<BlockMeta>>,
    /// How many other blocks the catalog has, all of another time.
    pub elsewhere: u64,
    /// Spans that are in no stored block.
    pub live: Vec<Arc<MemoryBlock>>,
}

impl Snapshot {
    /// The view of a tenant without spans.
    #[must_use]
    pub fn empty(tenant: TenantId) -> Self {
        Self {
            tenant,
            version: 0,
            stored: Vec::new(),
            elsewhere: 0,
            live: Vec::new(),
        }
    }

    /// What a version of a catalog and some blocks in memory have of some times. A block in memory is left
    /// out if the version has it, itself or in what compaction made of it.
    ///
    /// # Errors
    ///
    /// If the store fails, or a part of the catalog is damaged.
    pub async fn of(
        catalog: &Catalog,
        root: &Root,
        times: &Times,
        live: Vec<Arc<MemoryBlock>>,
    ) -> Result<Self, StorageError> {
        let mut view = Self {
            tenant: root.tenant.clone(),
            version: root.version,
            stored: catalog.blocks(root, &times.spans).await?,
            elsewhere: 0,
            live,
        };
        let mut wanted = times.spans.clone();
        if times.reach_ns > 0 {
            let start = view.ends(&wanted, i64::min).saturating_sub(times.reach_ns);
            wanted = start..=view.ends(&wanted, i64::max).saturating_add(times.reach_ns);
            view.stored = catalog.blocks(root, &wanted).await?;
        }
        view.live.retain(|block| block.meta.is_at(&wanted));
        if !view.live.is_empty() {
            // Whatever has spans of a block has them at times that are its own.
            let theirs = view.ends(&wanted, i64::min)..=view.ends(&wanted, i64::max);
            let known = ids_in(&catalog.blocks(root, &theirs).await?);
            view.live
                .retain(|block| !known.contains(&block.meta.block_id));
        }
        view.elsewhere = root.block_count().saturating_sub(view.stored.len() as u64);
        Ok(view)
    }

    /// The least or the greatest of some times and the ends of the blocks that have spans at them.
    fn ends(&self, times: &RangeInclusive<i64>, pick: fn(i64, i64) -> i64) -> i64 {
        let live = self.live.iter().map(|block| &block.meta);
        let blocks = self.stored.iter().chain(live);
        let blocks = blocks.filter(|block| block.is_at(times));
        let ends = blocks.flat_map(|block| [block.min_start_ns, block.end_ns()]);
        ends.fold(pick(*times.start(), *times.end()), pick)
    }
}

/// Gives consistent views.
#[async_trait]
pub trait SnapshotSource: Send + Sync + fmt::Debug {
    /// A view that holds every span of some times that was acknowledged before the call. A tenant never
    /// heard of has an empty view. Costs a few small requests at most; may be dropped at any point.
    async fn snapshot(&self, tenant: &TenantId, times: &Times) -> Result<Snapshot, StorageError>;
}

/// Views of a store without a live part: what the catalogs name. They are read afresh each time, unless
/// they are [watched](Self::watch).
pub struct StoredBlocks {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
    /// For commits to the catalogs.
    random: Arc<Random>,
    parts: Arc<PartCache>,
    /// The version that views are of, if not of the newest.
    version: Option<u64>,
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
            parts: Arc::default(),
            version: None,
            catalogs: Mutex::new(HashMap::new()),
        }
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn ObjectStore> {
        &self.store
    }

    /// What the names of all objects in the store start with.
    #[must_use]
    pub fn prefix(&self) -> &Path {
        &self.prefix
    }

    /// The same of one version of the catalogs.
    #[must_use]
    pub fn at_version(self, version: u64) -> Self {
        Self {
            version: Some(version),
            ..self
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
        let (prefix, parts) = (self.prefix.clone(), Arc::clone(&self.parts));
        let catalog = Catalog::open(store, prefix, tenant.clone(), random, parts).await?;
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

impl StoredBlocks {
    /// As [`snapshot`](SnapshotSource::snapshot), with blocks in memory that were live before the call.
    ///
    /// # Errors
    ///
    /// If the store fails, or the catalog is damaged.
    pub async fn snapshot_with(
        &self,
        tenant: &TenantId,
        times: &Times,
        live: Vec<Arc<MemoryBlock>>,
    ) -> Result<Snapshot, StorageError> {
        let catalog = self.catalog(tenant).await?;
        let root = match self.version {
            Some(version) => catalog.version(version).await?,
            None => catalog.newest().await?,
        };
        Snapshot::of(&catalog, &root, times, live).await
    }

    /// Looks for what other processes commit, about so often, for as long as anybody has the views. A view
    /// then costs no request, and may lack what others committed since the last look; what is committed
    /// from here is in it at once. While looking fails, each view looks for itself.
    pub async fn watch(this: Weak<Self>, every: Duration) {
        loop {
            let Some(stored) = this.upgrade() else {
                return;
            };
            let pause = every / 2 + stored.random.up_to(every);
            let mut catalogs: Vec<Arc<Catalog>> = Vec::new();
            catalogs.extend(stored.catalogs.lock().await.values().map(Arc::clone));
            drop(stored);
            for catalog in catalogs {
                if let Err(error) = catalog.look().await {
                    let tenant = catalog.tenant();
                    tracing::warn!(%error, %tenant, "cannot look for newer versions of a catalog");
                }
            }
            tokio::time::sleep(pause).await;
        }
    }
}

#[async_trait]
impl SnapshotSource for StoredBlocks {
    async fn snapshot(&self, tenant: &TenantId, times: &Times) -> Result<Snapshot, StorageError> {
        self.snapshot_with(tenant, times, Vec::new()).await
    }
}
