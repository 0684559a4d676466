//! Names of objects below the prefix of a store.
//!
//! ```text
//! <prefix>/<tenant>/blocks/<block id>/spans.parquet
//! <prefix>/<tenant>/blocks/<block id>/meta.json
//! <prefix>/<tenant>/catalog/<version, 20 digits>.json
//! <prefix>/<tenant>/catalog/latest
//! ```

use object_store::path::{Path, PathPart};

use crate::ids::{BlockId, TenantId};

/// Name of the Parquet file in a block's folder.
pub const SPANS_FILE: &str = "spans.parquet";

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
pub fn block_folder(prefix: &Path, tenant: &TenantId, block: BlockId) -> Path {
    child(blocks_folder(prefix, tenant), &block.to_string())
}

/// The Parquet file of a block.
#[must_use]
pub fn spans_file(prefix: &Path, tenant: &TenantId, block: BlockId) -> Path {
    child(block_folder(prefix, tenant, block), SPANS_FILE)
}

/// The description beside the Parquet file of a block.
#[must_use]
pub fn meta_file(prefix: &Path, tenant: &TenantId, block: BlockId) -> Path {
    child(block_folder(prefix, tenant, block), "meta.json")
}

/// Folder of a tenant's manifests.
#[must_use]
pub fn catalog_folder(prefix: &Path, tenant: &TenantId) -> Path {
    child(tenant_folder(prefix, tenant), "catalog")
}

/// One version of a tenant's manifest. Names sort by version.
#[must_use]
pub fn manifest_file(prefix: &Path, tenant: &TenantId, version: u64) -> Path {
    child(
        catalog_folder(prefix, tenant),
        &format!("{version:020}.json"),
    )
}

/// The object that says which manifest version is about the latest.
#[must_use]
pub fn latest_file(prefix: &Path, tenant: &TenantId) -> Path {
    child(catalog_folder(prefix, tenant), "latest")
}

/// The version that a manifest's object name stands for.
#[must_use]
pub fn manifest_version(path: &Path) -> Option<u64> {
    let digits = path.filename()?.strip_suffix(".json")?;
    (digits.len() == 20).then(|| digits.parse().ok()).flatten()
}

fn child(parent: Path, name: &str) -> Path {
    parent.join(PathPart::from(name))
}
