//! Copying one version of a catalog, and all that it names, to another store.
//!
//! The root goes last: until then the other store has no new version, and what was copied is found and
//! left out by whoever tries again. What the copy reads is checked against the checksums in the catalog.

use std::sync::Arc;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _, PutMode, PutPayload};
use sha2::{Digest as _, Sha256};

use crate::block::Upload;
use crate::block::meta::BlockMeta;
use crate::catalog::{Catalog, Root};
use crate::error::StorageError;
use crate::ids::TenantId;
use crate::layout;

/// Objects that are copied at one time.
const COPIED_AT_ONCE: usize = 4;

/// A store, and where in it everything is.
#[derive(Debug, Clone)]
pub struct Place {
    /// The store.
    pub store: Arc<dyn ObjectStore>,
    /// Path in the store below which everything is.
    pub prefix: Path,
    /// What it is called in errors.
    pub url: String,
}

/// One object to be copied.
#[derive(Debug, Clone)]
struct Item {
    from: Path,
    to: Path,
    /// Length, where the catalog knows it.
    bytes: Option<u64>,
    checksum: Checksum,
}

#[derive(Debug, Clone)]
enum Checksum {
    /// SHA-256, in hex.
    Sha256(String),
    Crc32c(u32),
    /// The object has its own.
    None,
}

/// What a copy is of.
#[derive(Debug)]
pub struct Copy {
    from: Place,
    to: Place,
    tenant: TenantId,
    version: u64,
    items: Vec<Item>,
    /// Blocks that the version names.
    pub blocks: usize,
    /// Their bytes, without those of filters.
    pub bytes: u64,
}

impl Copy {
    /// Says what is to be copied of a tenant: a version of its catalog, or the newest.
    ///
    /// # Errors
    /// If the version is not kept, or the catalog is damaged.
    pub async fn of(
        from: Place,
        to: Place,
        catalog: &Catalog,
        version: Option<u64>,
    ) -> Result<Self, StorageError> {
        let root: Arc<Root> = match version {
            Some(version) => catalog.version(version).await?,
            None => catalog.newest().await?,
        };
        let blocks = catalog.blocks(&root, &(i64::MIN..=i64::MAX)).await?;
        let tenant = catalog.tenant().clone();
        let mut items = Vec::new();
        for block in &blocks {
            items.extend(of_block(&from.prefix, &to.prefix, block));
        }
        for part in &root.parts {
            items.push(Item {
                from: layout::part_file(&from.prefix, &tenant, part.id),
                to: layout::part_file(&to.prefix, &tenant, part.id),
                bytes: Some(part.size_bytes),
                checksum: Checksum::Crc32c(part.crc32c),
            });
        }
        let sizes = blocks.iter().filter_map(|block| block.file.as_ref());
        Ok(Self {
            version: root.version,
            blocks: blocks.len(),
            bytes: sizes.map(|file| file.size_bytes).sum(),
            from,
            to,
            tenant,
            items,
        })
    }

    /// The version of the catalog.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Copies all that is not there yet. `tell` hears of bytes that are done. Dropping the future leaves objects
    /// that are left out next time.
    ///
    /// # Errors
    /// If the other store has a newer version, or another one of the same number; if an object is damaged, or
    /// was removed meanwhile; if a store fails.
    pub async fn run(&self, tell: &(dyn Fn(u64) + Send + Sync)) -> Result<(), StorageError> {
        self.refuse_newer().await?;
        let copies: Vec<_> = self
            .items
            .iter()
            .map(|item| Box::pin(self.copy(item, tell)))
            .collect();
        let mut copies = stream::iter(copies).buffer_unordered(COPIED_AT_ONCE);
        while copies.try_next().await?.is_some() {}
        drop(copies);
        self.copy_root().await
    }

    /// A version that the other store has and that is newer than this one would be lost.
    async fn refuse_newer(&self) -> Result<(), StorageError> {
        match self.versions_there().await?.last() {
            Some(newest) if *newest > self.version => Err(StorageError::Occupied {
                location: self.to.url.clone(),
                tenant: self.tenant.clone(),
                found: *newest,
                version: self.version,
            }),
            _ => Ok(()),
        }
    }

    /// The versions of the catalog that are in the other store, ordered.
    async fn versions_there(&self) -> Result<Vec<u64>, StorageError> {
        let folder = layout::catalog_folder(&self.to.prefix, &self.tenant);
        let listed = self.to.store.list_with_delimiter(Some(&folder)).await;
        let listed = listed
            .map_err(|error| StorageError::from_store("list", folder.as_ref(), error))?
            .objects;
        let versions = listed.iter();
        let versions = versions.filter_map(|object| layout::root_version(&object.location));
        let mut versions: Vec<u64> = versions.collect();
        versions.sort_unstable();
        Ok(versions)
    }

    async fn copy(
        &self,
        item: &Item,
        tell: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<(), StorageError> {
        let there = match self.to.store.head(&item.to).await {
            Ok(found) => Some(found.size),
            Err(object_store::Error::NotFound { .. }) => None,
            Err(error) => return Err(StorageError::from_store("look up", item.to.as_ref(), error)),
        };
        // Objects of these names never change.
        if there.is_some() && there == item.bytes {
            tell(item.bytes.unwrap_or_default());
            return Ok(());
        }
        let object = item.from.to_string();
        let fail = |error| match error {
            object_store::Error::NotFound { .. } => StorageError::NotFound {
                object: object.clone(),
            },
            error => StorageError::from_store("read", &object, error),
        };
        let got = match (self.from.store.get(&item.from).await, &item.checksum) {
            // A block is whole without a description beside it.
            (Err(object_store::Error::NotFound { .. }), Checksum::None) => return Ok(()),
            (got, _) => got.map_err(fail)?,
        };
        let mut bytes = got.into_stream();
        let mut upload = Upload::new(&self.to.store, item.to.clone());
        let (mut sha256, mut crc) = (Sha256::new(), 0);
        while let Some(next) = bytes.next().await {
            let next = next.map_err(fail)?;
            match item.checksum {
                Checksum::Sha256(_) => sha256.update(&next),
                Checksum::Crc32c(_) => crc = crc32c::crc32c_append(crc, &next),
                Checksum::None => {}
            }
            tell(next.len() as u64);
            upload.write(next).await?;
        }
        let (what, expected, observed) = match &item.checksum {
            Checksum::Sha256(expected) => {
                ("SHA-256", expected.clone(), hex::encode(sha256.finalize()))
            }
            Checksum::Crc32c(expected) => {
                ("CRC-32C", format!("{expected:08x}"), format!("{crc:08x}"))
            }
            Checksum::None => ("", String::new(), String::new()),
        };
        if expected != observed {
            return Err(StorageError::Corrupt {
                object,
                what: what.to_owned(),
                expected,
                observed,
            });
        }
        upload.finish().await
    }

    /// Makes the copy visible, and takes older versions away: versions are to follow each other without a
    /// gap.
    async fn copy_root(&self) -> Result<(), StorageError> {
        let from = layout::root_file(&self.from.prefix, &self.tenant, self.version);
        let to = layout::root_file(&self.to.prefix, &self.tenant, self.version);
        let bytes = read(&self.from.store, &from).await?;
        let payload = PutPayload::from(bytes.clone());
        let put = self
            .to
            .store
            .put_opts(&to, payload, PutMode::Create.into())
            .await;
        match put {
            Ok(_) => {}
            Err(object_store::Error::AlreadyExists { .. }) => {
                if read(&self.to.store, &to).await? != bytes {
                    return Err(StorageError::Occupied {
                        location: self.to.url.clone(),
                        tenant: self.tenant.clone(),
                        found: self.version,
                        version: self.version,
                    });
                }
            }
            Err(error) => return Err(StorageError::from_store("write", to.as_ref(), error)),
        }
        let older = self.versions_there().await?.into_iter();
        let older = older.filter(|version| *version < self.version);
        let older = older.map(|version| layout::root_file(&self.to.prefix, &self.tenant, version));
        let hint = layout::latest_file(&self.to.prefix, &self.tenant);
        for path in std::iter::once(hint).chain(older) {
            match self.to.store.delete(&path).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(StorageError::from_store("delete", path.as_ref(), error)),
            }
        }
        Ok(())
    }
}

async fn read(store: &Arc<dyn ObjectStore>, path: &Path) -> Result<bytes::Bytes, StorageError> {
    let fail = |error| StorageError::from_store("read", path.as_ref(), error);
    store
        .get(path)
        .await
        .map_err(fail)?
        .bytes()
        .await
        .map_err(fail)
}

/// The objects of a block.
fn of_block(from: &Path, to: &Path, block: &BlockMeta) -> Vec<Item> {
    let spans = Item {
        from: layout::spans_file(from, block),
        to: layout::spans_file(to, block),
        bytes: block.file.as_ref().map(|file| file.size_bytes),
        checksum: match &block.file {
            Some(file) => Checksum::Sha256(file.sha256.clone()),
            None => Checksum::None,
        },
    };
    let beside = match block.trace_id_filter {
        Some(filter) => Item {
            from: layout::filter_file(from, block),
            to: layout::filter_file(to, block),
            bytes: Some(filter.size_bytes),
            checksum: Checksum::Crc32c(filter.crc32c),
        },
        // Version 0.1.0 wrote a description beside the file, which has the filter.
        None => Item {
            from: layout::meta_file(from, block),
            to: layout::meta_file(to, block),
            bytes: None,
            checksum: Checksum::None,
        },
    };
    vec![spans, beside]
}
