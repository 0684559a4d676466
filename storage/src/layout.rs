//! Names of objects below the prefix of a store.
//!
//! ```text
//! <prefix>/<tenant>/blocks/<2 last characters of the id>/<block id>/spans.parquet
//! <prefix>/<tenant>/blocks/<2 last characters of the id>/<block id>/trace_ids.sbbf
//! <prefix>/<tenant>/catalog/<version, 20 digits>.json
//! <prefix>/<tenant>/catalog/latest
//! <prefix>/<tenant>/catalog/parts/<part id>.zst
//! ```
//!
//! The end of an id is random, so that stores that split by prefix spread what is read. Version 0.1.0
//! wrote blocks without that, and with their filter in a description beside them:
//!
//! ```text
//! <prefix>/<tenant>/blocks/<block id>/spans.parquet
//! <prefix>/<tenant>/blocks/<block id>/meta.json
//! ```

use object_store::path::{Path, PathPart};

use crate::block::meta::BlockMeta;
use crate::ids::{BlockId, PartId, TenantId};

/// Name of the Parquet file in a block's folder.
pub const SPANS_FILE: &str = "spans.parquet";
/// Name of the trace id filter in a block's folder.
pub const FILTER_FILE: &str = "trace_ids.sbbf";
/// Name of the description in the folder of a block that version 0.1.0 wrote.
pub const META_FILE: &str = "meta.json";
/// How many of the last characters of a block's id its folder is found by.
const SPREAD_CHARACTERS: usize = 2;

/// Folder of a tenant.
#[must_use]
pub fn tenant_folder(prefix: &Path, tenant: &TenantId) -> Path {
    child(prefix.clone(), tenant.as_str())
}

/// Folder of a tenant's blocks.
#[must_use]
pub fn blocks_folder(prefix: &Path, tenant: &TenantId) -> Path {
    child(tenant_folder(prefix, tenant), "blocks")
}

/// Folder of a block.
#[must_use]
pub fn block_folder(prefix: &Path, meta: &BlockMeta) -> Path {
    // Only version 0.1.0 wrote files without a filter beside them.
    if meta.trace_id_filter.is_some() {
        new_block_folder(prefix, &meta.tenant, meta.block_id)
    } else {
        child(
            blocks_folder(prefix, &meta.tenant),
            &meta.block_id.to_string(),
        )
    }
}

/// Folder of a block that this build writes.
#[must_use]
pub fn new_block_folder(prefix: &Path, tenant: &TenantId, block: BlockId) -> Path {
    let id = block.to_string();
    let spread = id.len().saturating_sub(SPREAD_CHARACTERS);
    let spread = id.get(spread..).unwrap_or_default();
    child(child(blocks_folder(prefix, tenant), spread), &id)
}

/// The Parquet file of a block.
#[must_use]
pub fn spans_file(prefix: &Path, meta: &BlockMeta) -> Path {
    child(block_folder(prefix, meta), SPANS_FILE)
}

/// The trace id filter of a block.
#[must_use]
pub fn filter_file(prefix: &Path, meta: &BlockMeta) -> Path {
    child(block_folder(prefix, meta), FILTER_FILE)
}

/// The description beside a block that version 0.1.0 wrote.
#[must_use]
pub fn meta_file(prefix: &Path, meta: &BlockMeta) -> Path {
    child(block_folder(prefix, meta), META_FILE)
}

/// All objects that a block may have, whichever version of the program wrote it.
#[must_use]
pub fn block_objects(prefix: &Path, tenant: &TenantId, block: BlockId) -> Vec<Path> {
    let id = block.to_string();
    let blocks = blocks_folder(prefix, tenant);
    let of_v1 = child(blocks, &id);
    let folder = new_block_folder(prefix, tenant, block);
    vec![
        child(of_v1.clone(), SPANS_FILE),
        child(of_v1, META_FILE),
        child(folder.clone(), SPANS_FILE),
        child(folder, FILTER_FILE),
    ]
}

/// The block whose folder an object is in, if it is in one.
#[must_use]
pub fn block_of(path: &Path) -> Option<BlockId> {
    let folder = path.parts().rev().nth(1)?;
    folder.as_ref().parse().ok()
}

/// Folder of a tenant's catalog.
#[must_use]
pub fn catalog_folder(prefix: &Path, tenant: &TenantId) -> Path {
    child(tenant_folder(prefix, tenant), "catalog")
}

/// The root of one version of a tenant's catalog. Names sort by version.
#[must_use]
pub fn root_file(prefix: &Path, tenant: &TenantId, version: u64) -> Path {
    child(
        catalog_folder(prefix, tenant),
        &format!("{version:020}.json"),
    )
}

/// The object that says which version is about the latest.
#[must_use]
pub fn latest_file(prefix: &Path, tenant: &TenantId) -> Path {
    child(catalog_folder(prefix, tenant), "latest")
}

/// Folder of the parts of a tenant's catalog.
#[must_use]
pub fn parts_folder(prefix: &Path, tenant: &TenantId) -> Path {
    child(catalog_folder(prefix, tenant), "parts")
}

/// A part of a tenant's catalog.
#[must_use]
pub fn part_file(prefix: &Path, tenant: &TenantId, part: PartId) -> Path {
    child(parts_folder(prefix, tenant), &format!("{part}.zst"))
}

/// The part that an object's name stands for.
#[must_use]
pub fn part_of(path: &Path) -> Option<PartId> {
    path.filename()?.strip_suffix(".zst")?.parse().ok()
}

/// The version that a root's object name stands for.
#[must_use]
pub fn root_version(path: &Path) -> Option<u64> {
    let digits = path.filename()?.strip_suffix(".json")?;
    (digits.len() == 20).then(|| digits.parse().ok()).flatten()
}

pub(crate) fn child(parent: Path, name: &str) -> Path {
    parent.join(PathPart::from(name))
}
