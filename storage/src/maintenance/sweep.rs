//! Objects that nothing names any more.
//!
//! What an edit took out of a catalog is named in the root ([`Removed`](crate::catalog::Removed)), and goes
//! once nobody reads an older version any more: [`removed`]. What no version ever named, because an upload
//! was not followed by a commit, is found by listing the store: [`unnamed`]. It may be on its way into the
//! catalog, so it must have lain there for long; how long is known to whoever has seen it before
//! ([`Sightings`]), or by the store's clock.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::TryStreamExt as _;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt as _};

use crate::catalog::Catalog;
use crate::error::StorageError;
use crate::ids::{BlockId, PartId};
use crate::layout;

/// How long objects stay after the catalog has stopped naming them. Longer than any query, which may
/// have begun with an older version.
pub const REMOVED_AFTER: Duration = Duration::from_secs(60 * 60);
/// How long objects stay that no catalog has ever named. Longer than any upload, with all its repetitions.
pub const UNNAMED_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// What was removed, or would be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Swept {
    /// Versions of the catalog.
    pub versions: u64,
    /// Other objects.
    pub objects: u64,
    /// Bytes of those other objects, as far as they are known.
    pub bytes: u64,
}

impl Swept {
    /// Adds what was removed elsewhere.
    pub fn add(&mut self, other: Self) {
        self.versions += other.versions;
        self.objects += other.objects;
        self.bytes += other.bytes;
    }
}

/// Removes what edits up to [`REMOVED_AFTER`] before `now_ms`, in ms since the epoch, took out of a catalog;
/// first the versions that still name it. Edits up to version `since` were swept before. Returns what was
/// removed, and the version up to which that is now.
///
/// # Errors
///
/// If the store fails. What was removed until then is gone; doing it again does no harm.
pub async fn removed(
    store: &Arc<dyn ObjectStore>,
    prefix: &Path,
    catalog: &Catalog,
    now_ms: u64,
    since: u64,
) -> Result<(Swept, u64), StorageError> {
    let root = catalog.current();
    let grace = u64::try_from(REMOVED_AFTER.as_millis()).unwrap_or(u64::MAX);
    let is_due = |at_ms: u64| at_ms.saturating_add(grace) <= now_ms;
    let due = root.removed.iter();
    let due: Vec<_> = due
        .filter(|removed| removed.version > since && is_due(removed.at_ms))
        .collect();
    let Some(last) = due.iter().map(|removed| removed.version).max() else {
        return Ok((Swept::default(), since));
    };
    let mut swept = Swept {
        versions: catalog.forget_before(last).await?,
        ..Swept::default()
    };
    let tenant = catalog.tenant();
    for removed in due {
        let blocks = removed.blocks.iter();
        let blocks = blocks.flat_map(|block| layout::block_objects(prefix, tenant, *block));
        let parts = removed.parts.iter();
        let parts = parts.map(|part| layout::part_file(prefix, tenant, *part));
        for path in blocks.chain(parts) {
            swept.objects += u64::from(remove(store, &path).await?);
        }
    }
    Ok((swept, last))
}

/// The objects of blocks and parts of a tenant that no kept version of its catalog names. Lists the store.
///
/// # Errors
///
/// If the store fails, or a version of the catalog is damaged.
pub async fn unnamed(
    store: &Arc<dyn ObjectStore>,
    prefix: &Path,
    catalog: &Catalog,
) -> Result<Vec<ObjectMeta>, StorageError> {
    // First what is there, then what is named: an object that is committed meanwhile is named.
    let folders = [
        layout::blocks_folder(prefix, catalog.tenant()),
        layout::parts_folder(prefix, catalog.tenant()),
    ];
    let mut objects: Vec<ObjectMeta> = Vec::new();
    for folder in folders {
        let listed = store.list(Some(&folder)).try_collect::<Vec<_>>().await;
        objects.extend(
            listed.map_err(|error| StorageError::from_store("list", folder.as_ref(), error))?,
        );
    }
    if objects.is_empty() {
        return Ok(objects);
    }
    let (blocks, parts) = named(catalog).await?;
    objects.retain(|object| match layout::part_of(&object.location) {
        Some(part) => !parts.contains(&part),
        None => layout::block_of(&object.location).is_some_and(|block| !blocks.contains(&block)),
    });
    objects.sort_by(|a, b| a.location.cmp(&b.location));
    Ok(objects)
}

/// The blocks and parts that any kept version of a catalog names, and those that the newest still says it
/// has removed: [`removed`] takes care of them.
async fn named(catalog: &Catalog) -> Result<(BTreeSet<BlockId>, BTreeSet<PartId>), StorageError> {
    let (mut blocks, mut parts) = (BTreeSet::new(), BTreeSet::new());
    catalog.refresh().await?;
    for root in catalog.kept().await? {
        blocks.extend(root.recent.iter().map(|block| block.block_id));
        for part in &root.parts {
            if parts.insert(part.id) {
                let held = catalog.part(part).await?;
                blocks.extend(held.iter().map(|block| block.block_id));
            }
        }
        for removed in &root.removed {
            blocks.extend(&removed.blocks);
            parts.extend(&removed.parts);
        }
    }
    Ok((blocks, parts))
}

/// Removes objects. What is gone already does not count.
///
/// # Errors
///
/// If the store fails.
pub async fn remove_all(
    store: &Arc<dyn ObjectStore>,
    objects: &[ObjectMeta],
) -> Result<Swept, StorageError> {
    let mut swept = Swept::default();
    for object in objects {
        if remove(store, &object.location).await? {
            swept.objects += 1;
            swept.bytes += object.size;
        }
    }
    Ok(swept)
}

/// Removes an object; says whether it was there, as far as the store tells.
async fn remove(store: &Arc<dyn ObjectStore>, path: &Path) -> Result<bool, StorageError> {
    match store.delete(path).await {
        Ok(()) => Ok(true),
        Err(object_store::Error::NotFound { .. }) => Ok(false),
        Err(error) => Err(StorageError::from_store("delete", path.as_ref(), error)),
    }
}

/// When objects that nothing names were first seen, by a clock that does not jump.
#[derive(Debug, Default)]
pub struct Sightings(BTreeMap<Path, Instant>);

impl Sightings {
    /// Those of some objects that were seen [`UNNAMED_AFTER`] ago, and at every look since.
    pub fn long_there(&mut self, objects: Vec<ObjectMeta>, now: Instant) -> Vec<ObjectMeta> {
        let seen = std::mem::take(&mut self.0);
        for object in &objects {
            let first = seen.get(&object.location).copied().unwrap_or(now);
            self.0.insert(object.location.clone(), first);
        }
        let is_old = |path: &Path| {
            let first = self.0.get(path).copied().unwrap_or(now);
            now.saturating_duration_since(first) >= UNNAMED_AFTER
        };
        let old = objects.into_iter();
        old.filter(|object| is_old(&object.location)).collect()
    }
}
