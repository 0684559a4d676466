//! Finding and keeping the versions of a catalog.
//!
//! The versions in the store are a gapless range: new ones come at its end one by one, old ones go
//! from its start, and how far that got stands in the root. So, as long as a version exists,
//! the next one exists unless it is the latest; that is all a reader needs. The object `latest` is
//! a hint that saves the reader the way; it may be behind, and nothing believes it.

use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutPayload};

use crate::catalog::root::Root;
use crate::error::StorageError;
use crate::ids::TenantId;
use crate::layout;

/// How many versions stay in the store.
const KEEP_VERSIONS: u64 = 100;
/// How many versions one commit deletes at most.
const DELETE_AT_ONCE: u64 = 4;

/// The versions of one tenant's catalog.
pub(super) struct Versions {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
    tenant: TenantId,
}

/// What became of an attempt to create a version.
#[derive(Debug)]
pub(super) enum Created {
    /// The version is there, and ours.
    Ours,
    /// Someone else's version is there.
    Theirs(Root),
}

impl Versions {
    pub(super) fn new(store: Arc<dyn ObjectStore>, prefix: Path, tenant: TenantId) -> Self {
        Self {
            store,
            prefix,
            tenant,
        }
    }

    /// The latest version, with nothing known before.
    pub(super) async fn latest(&self) -> Result<Root, StorageError> {
        if let Some(hint) = self.hint().await?
            && let Some(root) = self.load(hint).await?
        {
            return self.forward(root).await;
        }
        // Without a usable hint the folder tells. A catalog that was just begun is empty.
        match self.listed().await? {
            Some(version) => match self.load(version).await? {
                Some(root) => self.forward(root).await,
                None => Err(StorageError::NotFound {
                    object: layout::root_file(&self.prefix, &self.tenant, version).to_string(),
                }),
            },
            None => Ok(Root::empty(self.tenant.clone())),
        }
    }

    /// The latest version, if it is newer than one known.
    pub(super) async fn newer_than(&self, known: &Root) -> Result<Option<Root>, StorageError> {
        if let Some(next) = self.load(known.version + 1).await? {
            // Behind by one or by many; the hint makes many cheap.
            if let Some(hint) = self.hint().await?
                && hint > next.version
                && let Some(hinted) = self.load(hint).await?
            {
                return self.forward(hinted).await.map(Some);
            }
            return self.forward(next).await.map(Some);
        }
        let is_latest = match known.version {
            0 => self.hint().await?.is_none(),
            version => self.exists(version).await?,
        };
        if is_latest {
            return Ok(None);
        }
        // So many commits have passed that what we know is deleted.
        let latest = self.latest().await?;
        Ok((latest.version > known.version).then_some(latest))
    }

    async fn forward(&self, mut root: Root) -> Result<Root, StorageError> {
        while let Some(next) = self.load(root.version + 1).await? {
            root = next;
        }
        Ok(root)
    }

    /// Creates a version, and finds out whether that worked even where the store's answer is lost.
    pub(super) async fn create(&self, root: &Root) -> Result<Created, StorageError> {
        let path = layout::root_file(&self.prefix, &self.tenant, root.version);
        let payload = PutPayload::from(Bytes::from(root.to_bytes()?));
        let put = self
            .store
            .put_opts(&path, payload, PutMode::Create.into())
            .await;
        let Err(error) = put else {
            return Ok(Created::Ours);
        };
        // "Exists already" may be about our own write, whose answer was lost on the way; and a
        // failure may have come after the write. What is stored decides.
        match self.load(root.version).await? {
            Some(stored) if stored.writer_nonce == root.writer_nonce => Ok(Created::Ours),
            Some(stored) => Ok(Created::Theirs(stored)),
            None => Err(StorageError::from_store(
                "create manifest",
                path.as_ref(),
                error,
            )),
        }
    }

    /// After a commit: updates the hint, then deletes what is too old. Nothing depends on either,
    /// so a failure is only logged. Returns the oldest version that may be left.
    pub(super) async fn tidy(&self, committed: &Root) -> u64 {
        let mut oldest = committed.oldest_version;
        let path = layout::latest_file(&self.prefix, &self.tenant);
        let payload = PutPayload::from(committed.version.to_string());
        if let Err(error) = self.store.put(&path, payload).await {
            tracing::warn!(%error, tenant = %self.tenant, "cannot update the manifest hint");
            // Readers may need the old versions to find the way.
            return oldest;
        }
        let end = committed
            .version
            .saturating_sub(KEEP_VERSIONS)
            .min(oldest + DELETE_AT_ONCE);
        while oldest < end {
            let path = layout::root_file(&self.prefix, &self.tenant, oldest);
            match self.store.delete(&path).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => oldest += 1,
                Err(error) => {
                    tracing::warn!(%error, tenant = %self.tenant, "cannot delete an old manifest");
                    break;
                }
            }
        }
        oldest
    }

    pub(super) async fn exists(&self, version: u64) -> Result<bool, StorageError> {
        let path = layout::root_file(&self.prefix, &self.tenant, version);
        match self.store.head(&path).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(StorageError::from_store(
                "look for manifest",
                path.as_ref(),
                error,
            )),
        }
    }

    /// Removes a version; says whether it was there, as far as the store tells.
    pub(super) async fn delete(&self, version: u64) -> Result<bool, StorageError> {
        let path = layout::root_file(&self.prefix, &self.tenant, version);
        match self.store.delete(&path).await {
            Ok(()) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(StorageError::from_store(
                "delete manifest",
                path.as_ref(),
                error,
            )),
        }
    }

    pub(super) async fn load(&self, version: u64) -> Result<Option<Root>, StorageError> {
        let path = layout::root_file(&self.prefix, &self.tenant, version);
        let Some(bytes) = self.get(&path).await? else {
            return Ok(None);
        };
        let root = Root::from_bytes(path.as_ref(), &bytes)?;
        let observed = (&root.tenant, root.version);
        if observed != (&self.tenant, version) {
            return Err(StorageError::Corrupt {
                object: path.to_string(),
                what: "tenant and version".to_owned(),
                expected: format!("{} {version}", self.tenant),
                observed: format!("{} {}", observed.0, observed.1),
            });
        }
        Ok(Some(root))
    }

    async fn hint(&self) -> Result<Option<u64>, StorageError> {
        let path = layout::latest_file(&self.prefix, &self.tenant);
        let bytes = self.get(&path).await?;
        Ok(bytes.and_then(|bytes| std::str::from_utf8(&bytes).ok()?.trim().parse().ok()))
    }

    async fn get(&self, path: &Path) -> Result<Option<Bytes>, StorageError> {
        let got = async { self.store.get(path).await?.bytes().await };
        match got.await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(StorageError::from_store("read", path.as_ref(), error)),
        }
    }

    async fn listed(&self) -> Result<Option<u64>, StorageError> {
        let folder = layout::catalog_folder(&self.prefix, &self.tenant);
        let mut listing = self.store.list(Some(&folder));
        let mut newest = None;
        while let Some(object) = listing.next().await {
            let object =
                object.map_err(|error| StorageError::from_store("list", folder.as_ref(), error))?;
            newest = newest.max(layout::root_version(&object.location));
        }
        Ok(newest)
    }
}

/// The tenants that have a folder in the store. Lists the store, so it is for starts and tools.
///
/// # Errors
///
/// If the store cannot be listed.
pub async fn tenants(
    store: &dyn ObjectStore,
    prefix: &Path,
) -> Result<Vec<TenantId>, StorageError> {
    let listing = store.list_with_delimiter(Some(prefix)).await;
    let listing =
        listing.map_err(|error| StorageError::from_store("list", prefix.as_ref(), error))?;
    let folders = listing.common_prefixes.iter().filter_map(Path::filename);
    // Of the characters a tenant id may have, the asterisk alone is escaped in object names.
    let tenant = |name: &str| name.replace("%2A", "*").parse().ok();
    let mut tenants: Vec<TenantId> = folders.filter_map(tenant).collect();
    tenants.sort();
    Ok(tenants)
}
