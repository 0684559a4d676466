//! What every version of a catalog keeps, checked before it is written.

use super::arrange::MAX_RECENT;
use super::edit::Edit;
use super::root::{PartRef, Root};
use crate::block::meta::{BlockMeta, FORMAT_VERSION};
use crate::error::StorageError;
use crate::ids::TenantId;

/// Checks what an edit adds.
pub(super) fn check_edit(tenant: &TenantId, edit: &Edit) -> Result<(), StorageError> {
    for block in &edit.add {
        check_block(block, tenant)
            .map_err(|reason| refuse(tenant, format!("{reason}: block={}", block.block_id)))?;
    }
    Ok(())
}

/// Checks a root that is about to be written.
pub(super) fn check(root: &Root) -> Result<(), StorageError> {
    let refuse = |reason: String| refuse(&root.tenant, reason);
    for pair in root.recent.windows(2) {
        let (a, b) = (pair[0].block_id, pair[1].block_id);
        if a >= b {
            return Err(refuse(format!(
                "block ids are not unique and ascending: {a} before {b}"
            )));
        }
    }
    if root.recent.len() > MAX_RECENT {
        return Err(refuse("more blocks than may be are in no part".to_owned()));
    }
    for pair in root.parts.windows(2) {
        let (a, b) = (&pair[0], &pair[1]);
        if a.last_ns >= b.first_ns {
            return Err(refuse(format!("parts overlap: {} and {}", a.id, b.id)));
        }
    }
    for part in &root.parts {
        check_part(part).map_err(|reason| refuse(format!("{reason}: part={}", part.id)))?;
    }
    Ok(())
}

fn refuse(tenant: &TenantId, reason: String) -> StorageError {
    StorageError::CatalogInvariant {
        tenant: tenant.clone(),
        reason,
    }
}

fn check_part(part: &PartRef) -> Result<(), String> {
    let rules = [
        (part.block_count > 0, "a part has no blocks"),
        (
            part.span_count >= part.block_count,
            "a part has more blocks than spans",
        ),
        (
            part.first_ns <= part.last_ns,
            "a part's first time is after its last",
        ),
        (
            part.min_start_ns <= part.first_ns && part.last_ns <= part.max_end_ns,
            "a part's blocks are outside its times",
        ),
    ];
    broken(&rules)
}

fn check_block(block: &BlockMeta, tenant: &TenantId) -> Result<(), String> {
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
        (&block.tenant == tenant, "a block is another tenant's"),
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
            block.made_of.is_sorted_by(|a, b| a < b),
            "the blocks that a block is made of are not unique and ascending",
        ),
        (
            block.made_of.is_empty() || block.partition.is_some(),
            "a block is made of others and has no partition",
        ),
        (
            block.partition.is_none_or(|partition| {
                let piece = partition.piece;
                partition.window.length_s > 0
                    && partition.window.holds(block.min_start_ns)
                    && piece.bits <= 16
                    && piece.index >> piece.bits == 0
            }),
            "a block is not of its partition",
        ),
    ];
    broken(&rules)
}

/// What is broken first of some rules.
fn broken(rules: &[(bool, &str)]) -> Result<(), String> {
    match rules.iter().find(|(kept, _)| !kept) {
        Some((_, broken)) => Err((*broken).to_owned()),
        None => Ok(()),
    }
}
