//! Which blocks of a tenant are live.
//!
//! Every version is an object of its own, made by create-if-absent: of two writers that want the same
//! version one wins, and the other applies its edit to the winner's and tries the next. That needs nothing of a store but create-if-absent, which all of them have.
//!
//! A version is a small [`root`] that names [`parts`] with the descriptions of blocks, each of some
//! time, and has the newest descriptions itself. So a commit writes little however many blocks there
//! are, and a query reads the parts of its own time. [`arrange`] says which descriptions go into which
//! part, [`descriptions`] how they are written ([`messages`], [`texts`]), [`invariants`] what each
//! commit must keep, [`versions`] how versions are found, [`commit`] how an [`edit`] becomes one.

mod arrange;
mod commit;
mod descriptions;
mod edit;
mod invariants;
mod messages;
mod parts;
mod root;
mod texts;
mod versions;

use std::collections::BTreeSet;
use std::fmt;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use hashbrown::HashSet;
use object_store::ObjectStore;
use object_store::path::Path;

pub use edit::Edit;
pub(crate) use edit::ids_in;
pub use parts::PartCache;
pub use root::{CATALOG_FORMAT_VERSION, PartRef, Removed, Root};
pub use versions::tenants;

use crate::block::meta::BlockMeta;
use crate::error::StorageError;
use crate::ids::{BlockId, EditId, TenantId};
use crate::random::Random;
use parts::Parts;
use versions::Versions;

/// Parts that are looked through at once.
const LOOKED_THROUGH_AT_ONCE: usize = 8;

/// The catalog of one tenant. Any number of instances, in any number of processes, may work on the
/// same catalog.
pub struct Catalog {
    versions: Versions,
    parts: Parts,
    tenant: TenantId,
    /// Makes up nonces and ids of parts, and pauses between tries.
    random: Arc<Random>,
    current: RwLock<Arc<Root>>,
    /// Whether somebody [looks](Self::look) for newer versions every now and then, and last time could.
    watched: AtomicBool,
    /// One commit at a time from here: two would only get in each other's way.
    committing: tokio::sync::Mutex<()>,
    /// Edits whose commit began here and is not known to have worked.
    begun: Mutex<HashSet<EditId>>,
}

impl fmt::Debug for Catalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Catalog")
            .field("tenant", &self.tenant)
            .field("version", &self.current().version)
            .finish_non_exhaustive()
    }
}

impl Catalog {
    /// Opens the catalog of a tenant; one that was never committed to is empty. Parts that are read
    /// are kept in the cache.
    ///
    /// # Errors
    ///
    /// If the store fails, or the latest root is damaged or of a newer format.
    pub async fn open(
        store: Arc<dyn ObjectStore>,
        prefix: Path,
        tenant: TenantId,
        random: Arc<Random>,
        cache: Arc<PartCache>,
    ) -> Result<Self, StorageError> {
        let versions = Versions::new(Arc::clone(&store), prefix.clone(), tenant.clone());
        let current = RwLock::new(Arc::new(versions.latest().await?));
        Ok(Self {
            versions,
            parts: Parts::new(store, prefix, tenant.clone(), cache),
            tenant,
            random,
            current,
            watched: AtomicBool::new(false),
            committing: tokio::sync::Mutex::new(()),
            begun: Mutex::default(),
        })
    }

    /// Whose catalog this is.
    #[must_use]
    pub fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// The newest root seen so far. Does no I/O.
    #[must_use]
    pub fn current(&self) -> Arc<Root> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Looks for newer versions; two small requests if there is none.
    ///
    /// # Errors
    ///
    /// If the store fails, or the latest root is damaged or of a newer format.
    pub async fn refresh(&self) -> Result<Arc<Root>, StorageError> {
        let current = self.current();
        match self.versions.newer_than(&current).await? {
            Some(newer) => Ok(self.advance(newer)),
            None => Ok(current),
        }
    }

    /// As [`refresh`](Self::refresh), by somebody who does so every now and then.
    ///
    /// # Errors
    ///
    /// As [`refresh`](Self::refresh).
    pub async fn look(&self) -> Result<(), StorageError> {
        let looked = self.refresh().await;
        self.watched.store(looked.is_ok(), Ordering::Relaxed);
        looked.map(|_| ())
    }

    /// The newest root. Does no I/O if somebody [looks](Self::look) for newer ones: it is then the newest
    /// that they have seen, or that was committed from here.
    ///
    /// # Errors
    ///
    /// As [`refresh`](Self::refresh).
    pub async fn newest(&self) -> Result<Arc<Root>, StorageError> {
        if self.watched.load(Ordering::Relaxed) {
            return Ok(self.current());
        }
        self.refresh().await
    }

    /// The blocks of a version that have spans at some of these times, ns since the epoch, ordered by
    /// id. Reads the parts of these times, as far as they are not kept.
    ///
    /// # Errors
    ///
    /// If the store fails, or a part is damaged.
    pub async fn blocks(
        &self,
        root: &Root,
        times: &RangeInclusive<i64>,
    ) -> Result<Vec<Arc<BlockMeta>>, StorageError> {
        self.parts.blocks(root, times).await
    }

    /// A version of this number.
    ///
    /// # Errors
    ///
    /// If it is not in the store, or not any more; the store fails; or the root is damaged or of a newer
    /// format.
    pub async fn version(&self, version: u64) -> Result<Arc<Root>, StorageError> {
        let root = self.versions.load(version).await?;
        root.map(Arc::new)
            .ok_or_else(|| StorageError::VersionNotKept {
                tenant: self.tenant.clone(),
                version,
                newest: self.current().version,
            })
    }

    /// All versions that are still in the store, oldest first.
    ///
    /// # Errors
    ///
    /// If the store fails, or a root is damaged or of a newer format.
    pub async fn kept(&self) -> Result<Vec<Arc<Root>>, StorageError> {
        let current = self.current();
        let mut kept = Vec::new();
        for version in current.oldest_version..current.version {
            kept.extend(self.versions.load(version).await?.map(Arc::new));
        }
        if current.version > 0 {
            kept.push(current);
        }
        Ok(kept)
    }

    /// Removes the versions before one, oldest first; says how many there were.
    ///
    /// # Errors
    ///
    /// If the store fails.
    pub(crate) async fn forget_before(&self, version: u64) -> Result<u64, StorageError> {
        let current = self.current();
        let mut forgotten = 0;
        for old in current.oldest_version..version.min(current.version) {
            forgotten += u64::from(self.versions.delete(old).await?);
        }
        Ok(forgotten)
    }

    /// The descriptions in a part of a version.
    ///
    /// # Errors
    ///
    /// If the store fails, or the part is damaged.
    pub async fn part(&self, part: &PartRef) -> Result<Arc<[Arc<BlockMeta>]>, StorageError> {
        self.parts.get(part).await
    }

    /// Which of some blocks are stored: live themselves, or part of what compaction has made. Looks
    /// through all of the version, part by part.
    ///
    /// # Errors
    ///
    /// If the store fails, or a part is damaged.
    pub async fn stored_among(
        &self,
        root: &Root,
        blocks: &BTreeSet<BlockId>,
    ) -> Result<BTreeSet<BlockId>, StorageError> {
        let mut found = stored_in(&root.recent, blocks);
        let mut parts = root.parts.clone();
        if blocks.is_empty() {
            parts.clear();
        }
        let parts = stream::iter(parts).map(|part| async move { self.parts.get(&part).await });
        let mut parts = parts.buffered(LOOKED_THROUGH_AT_ONCE);
        while let Some(part) = parts.try_next().await? {
            found.append(&mut stored_in(&part, blocks));
        }
        Ok(found)
    }

    fn begun(&self) -> MutexGuard<'_, HashSet<EditId>> {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes over a root if it is newer than what is known, and returns what is known then.
    fn advance(&self, root: Root) -> Arc<Root> {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        if root.version > current.version {
            *current = Arc::new(root);
        }
        Arc::clone(&current)
    }
}

/// Which of some blocks are in others, themselves or as what these were made of.
fn stored_in(stored: &[Arc<BlockMeta>], blocks: &BTreeSet<BlockId>) -> BTreeSet<BlockId> {
    let ids = ids_in(stored);
    blocks
        .iter()
        .filter(|id| ids.contains(*id))
        .copied()
        .collect()
}
