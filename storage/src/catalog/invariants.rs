//! What every manifest keeps, checked before it is written.

use crate::block::meta::{BlockMeta, FORMAT_VERSION};
use crate::catalog::manifest::Manifest;
use crate::error::StorageError;

/// Checks a manifest that is about to be written.
pub(super) fn check(manifest: &Manifest) -> Result<(), StorageError> {
    let refuse = |reason: String| StorageError::ManifestInvariant {
        tenant: manifest.tenant.clone(),
        reason,
    };
    for pair in manifest.blocks.windows(2) {
        let (a, b) = (pair[0].block_id, pair[1].block_id);
        if a >= b {
            return Err(refuse(format!(
                "block ids are not unique and ascending: {a} before {b}"
            )));
        }
    }
    for block in &manifest.blocks {
        check_block(block, manifest)
            .map_err(|reason| refuse(format!("{reason}: block={}", block.block_id)))?;
    }
    Ok(())
}

fn check_block(block: &BlockMeta, manifest: &Manifest) -> Result<(), String> {
    let file = block.file.as_ref().ok_or("a block has no file")?;
    let rows: u64 = block
        .row_groups
        .iter()
        .map(|row_group| row_group.row_count)
        .sum();
    let rules = [
        (
            block.format_version <= FORMAT_VERSION,
            "a block has a newer format",
        ),
        (
            block.tenant == manifest.tenant,
            "a block is another tenant's",
        ),
        (block.row_count > 0, "a block has no rows"),
        (
            block.row_count == rows,
            "the row groups of a block have another number of rows",
        ),
        (
            block.row_groups.iter().all(|rg| rg.row_count > 0),
            "a row group has no rows",
        ),
        (block.trace_count > 0, "a block has no traces"),
        (
            block.trace_count <= block.row_count,
            "a block has more traces than rows",
        ),
        (
            block.min_start_ns <= block.max_start_ns,
            "the first start is after the last",
        ),
        (
            block.row_groups.iter().all(|rg| {
                rg.min_start_ns <= rg.max_start_ns
                    && rg.min_start_ns >= block.min_start_ns
                    && rg.max_start_ns <= block.max_start_ns
            }),
            "a row group's times are outside its block's",
        ),
        (
            file.footer_offset < file.size_bytes,
            "the footer is outside the file",
        ),
        (file.sha256.len() == 64, "a file has no SHA-256"),
        (
            block
                .columns
                .iter()
                .all(|c| c.compressed_bytes.len() == block.row_groups.len()),
            "a column's sizes do not match the row groups",
        ),
    ];
    match rules.into_iter().find(|(kept, _)| !kept) {
        Some((_, broken)) => Err(broken.to_owned()),
        None => Ok(()),
    }
}
