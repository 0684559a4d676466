//! Which blocks of a tenant are live.
//!
//! Every version of the manifest is an object of its own, made by create-if-absent: of two writers
//! that want the same version one wins, and the other applies its edit to the winner's manifest and
//! tries the next. That needs nothing of a store but create-if-absent, which all of them have.
//!
//! [`manifest`] is what is stored, [`invariants`] what each commit must keep, [`versions`] how
//! versions are found, [`commit`] how they are made.

mod commit;
mod invariants;
pub mod manifest;
mod versions;

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use object_store::ObjectStore;
use object_store::path::Path;

pub use manifest::{Manifest, ManifestEdit};
pub use versions::tenants;

use crate::error::StorageError;
use crate::ids::TenantId;
use crate::random::Random;
use versions::Versions;

/// The catalog of one tenant. Any number of instances, in any number of processes, may work on the
/// same catalog.
pub struct Catalog {
    versions: Versions,
    tenant: TenantId,
    /// Makes up nonces, and pauses between tries.
    random: Arc<Random>,
    current: RwLock<Arc<Manifest>>,
    /// One commit at a time from here: two would only get in each other's way.
    committing: tokio::sync::Mutex<()>,
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
    /// Opens the catalog of a tenant; one that was never committed to is empty.
    ///
    /// # Errors
    ///
    /// If the store fails, or the latest manifest is damaged or of a newer format.
    pub async fn open(
        store: Arc<dyn ObjectStore>,
        prefix: Path,
        tenant: TenantId,
        random: Arc<Random>,
    ) -> Result<Self, StorageError> {
        let versions = Versions::new(store, prefix, tenant.clone());
        let current = RwLock::new(Arc::new(versions.latest().await?));
        Ok(Self {
            versions,
            tenant,
            random,
            current,
            committing: tokio::sync::Mutex::new(()),
        })
    }

    /// Whose catalog this is.
    #[must_use]
    pub fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// The newest manifest seen so far. Does no I/O.
    #[must_use]
    pub fn current(&self) -> Arc<Manifest> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Looks for newer versions; two small requests if there is none.
    ///
    /// # Errors
    ///
    /// If the store fails, or the latest manifest is damaged or of a newer format.
    pub async fn refresh(&self) -> Result<Arc<Manifest>, StorageError> {
        let current = self.current();
        match self.versions.newer_than(&current).await? {
            Some(newer) => Ok(self.advance(newer)),
            None => Ok(current),
        }
    }

    /// Takes over a manifest if it is newer than what is known, and returns what is known then.
    fn advance(&self, manifest: Manifest) -> Arc<Manifest> {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        if manifest.version > current.version {
            *current = Arc::new(manifest);
        }
        Arc::clone(&current)
    }
}
