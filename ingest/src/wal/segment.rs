//! Names of segments.

use std::path::{Path, PathBuf};

use storage::ids::{BlockId, TenantId};

/// The folder of all tenants' logs.
pub(crate) const WAL_DIR: &str = "wal";
/// The folder of damaged bytes.
pub(crate) const QUARANTINE_DIR: &str = "quarantine";

const SUFFIX: &str = ".wal";

/// The folder of a tenant's segments.
pub(crate) fn tenant_dir(tenant: &TenantId) -> PathBuf {
    Path::new(WAL_DIR).join(tenant.as_str())
}

/// The file of a segment that is, or was, appended to.
pub(crate) fn path(tenant: &TenantId, id: BlockId) -> PathBuf {
    tenant_dir(tenant).join(format!("{id}{SUFFIX}"))
}

/// The name of a segment that ends here, whatever bytes come after.
pub(crate) fn sealed_path(tenant: &TenantId, id: BlockId, len: u64) -> PathBuf {
    tenant_dir(tenant).join(format!("{id}.{len}{SUFFIX}"))
}

/// The id of a segment, and where it ends if its name tells.
pub(crate) fn parse_name(name: &str) -> Option<(BlockId, Option<u64>)> {
    let stem = name.strip_suffix(SUFFIX)?;
    let (id, len) = match stem.split_once('.') {
        Some((id, len)) => (id, Some(len.parse().ok()?)),
        None => (stem, None),
    };
    Some((id.parse().ok()?, len))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_carry_the_id_and_the_end() {
        let id = BlockId(ulid::Ulid::from_parts(1, 2));
        let tenant = TenantId::single();
        let name = |path: PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
        assert_eq!(parse_name(&name(path(&tenant, id))), Some((id, None)));
        assert_eq!(
            parse_name(&name(sealed_path(&tenant, id, 77))),
            Some((id, Some(77)))
        );
        for foreign in [
            "",
            "x.wal",
            "lost+found",
            "01ARZ3NDEKTSV4RRFFQ69G5FAV",
            "01ARZ3NDEKTSV4RRFFQ69G5FAV.x.wal",
        ] {
            assert_eq!(parse_name(foreign), None, "{foreign}");
        }
    }
}
