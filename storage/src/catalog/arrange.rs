//! Which descriptions stand in which part: pure, without a store.
//!
//! Parts are the leaves of a tree of one level: each has the blocks whose latest span starts between two
//! times, and no two overlap. By its latest start a block that ingest cut lies where the others of its
//! minute do, even if it has a few spans that came late.

use std::ops::Range;
use std::sync::Arc;

use hashbrown::HashSet;

use super::edit::Edit;
use super::root::{PartRef, Root};
use crate::block::meta::BlockMeta;
use crate::error::StorageError;
use crate::ids::BlockId;

/// Descriptions in a part. A commit that folds writes one part, so that a commit among sixteen writes
/// half a part on average; a reader of an hour fetches one or two.
pub(super) const PART_BLOCKS: usize = 1_000;
/// Recent descriptions that a root may have. With more, all of them are folded into parts.
pub(super) const MAX_RECENT: usize = 16;
/// A part with fewer descriptions is joined with one beside it, when it is written anyway.
const FEW_BLOCKS: u64 = 250;

/// What an edit does to a catalog.
#[derive(Debug)]
pub(super) struct Arranged {
    /// The recent descriptions after it, ordered by block id.
    pub(super) recent: Vec<Arc<BlockMeta>>,
    /// The parts to be written anew, by time.
    pub(super) rewrites: Vec<Rewrite>,
}

/// Neighbouring parts that are written anew.
#[derive(Debug)]
pub(super) struct Rewrite {
    /// Which of the root's parts; an empty range stands between two of them.
    pub(super) parts: Range<usize>,
    /// Descriptions that go into them.
    pub(super) add: Vec<Arc<BlockMeta>>,
    /// Blocks whose descriptions go.
    remove: HashSet<BlockId>,
}

/// Where in the order of parts a block belongs: its latest start.
fn place(block: &BlockMeta) -> i64 {
    block.max_start_ns
}

/// Shares an edit out to the recent descriptions and the parts.
///
/// # Errors
///
/// If a block to remove is not live, as far as that is known without reading parts; or a block to add
/// is among the recent ones.
pub(super) fn arrange(base: &Root, edit: &Edit) -> Result<Arranged, StorageError> {
    let not_live = |block: &BlockMeta| StorageError::BlockNotLive {
        tenant: base.tenant.clone(),
        block: block.block_id,
    };
    let remove: HashSet<BlockId> = edit.remove.iter().map(|block| block.block_id).collect();
    let mut recent = base.recent.clone();
    recent.retain(|block| !remove.contains(&block.block_id));
    let was_recent: HashSet<BlockId> = base.recent.iter().map(|block| block.block_id).collect();
    recent.extend(edit.add.iter().map(Arc::clone));
    recent.sort_by_key(|block| block.block_id);
    if let Some(twice) = recent
        .windows(2)
        .find(|two| two[0].block_id == two[1].block_id)
    {
        return Err(already_live(base, twice[0].block_id));
    }

    let mut rewrites: Vec<Rewrite> = Vec::new();
    let mut rewrite = |parts: Range<usize>| -> usize {
        let found = rewrites.iter().position(|other| other.parts == parts);
        found.unwrap_or_else(|| {
            rewrites.push(Rewrite {
                parts,
                add: Vec::new(),
                remove: HashSet::new(),
            });
            rewrites.len() - 1
        })
    };
    let mut removals = Vec::new();
    for block in &edit.remove {
        if !was_recent.contains(&block.block_id) {
            let part = part_with(&base.parts, place(block)).ok_or_else(|| not_live(block))?;
            removals.push((rewrite(part..part + 1), block.block_id));
        }
    }
    let mut additions = Vec::new();
    if recent.len() > MAX_RECENT {
        for block in recent.drain(..) {
            additions.push((rewrite(part_for(&base.parts, place(&block))), block));
        }
    }
    for (index, block) in removals {
        rewrites[index].remove.insert(block);
    }
    for (index, block) in additions {
        rewrites[index].add.push(block);
    }
    rewrites.sort_by_key(|rewrite| (rewrite.parts.start, rewrite.parts.end));
    Ok(Arranged {
        recent,
        rewrites: join(&base.parts, rewrites),
    })
}

/// The error of a block that is added, and live already.
pub(super) fn already_live(base: &Root, block: BlockId) -> StorageError {
    StorageError::CatalogInvariant {
        tenant: base.tenant.clone(),
        reason: format!("block is in the catalog already: block={block}"),
    }
}

/// The part among whose blocks a place is.
pub(super) fn part_with(parts: &[PartRef], place_ns: i64) -> Option<usize> {
    let after = parts.partition_point(|part| part.last_ns < place_ns);
    let part = parts.get(after)?;
    (part.first_ns <= place_ns).then_some(after)
}

/// The part into which a block at a place goes: the one around it, else the one before it, else the
/// first; no part where there is none.
fn part_for(parts: &[PartRef], place_ns: i64) -> Range<usize> {
    if parts.is_empty() {
        return 0..0;
    }
    let after = parts.partition_point(|part| part.first_ns <= place_ns);
    let part = after.saturating_sub(1);
    part..part + 1
}

/// Joins what is written anew with a neighbour where little would be left of it by itself.
fn join(parts: &[PartRef], rewrites: Vec<Rewrite>) -> Vec<Rewrite> {
    let count = |range: &Range<usize>| -> u64 {
        let of_range = parts.get(range.clone()).unwrap_or_default();
        of_range.iter().map(|part| part.block_count).sum()
    };
    let fits = |blocks: u64| blocks <= PART_BLOCKS as u64;
    let mut out: Vec<Rewrite> = Vec::new();
    let mut rewrites = rewrites.into_iter().peekable();
    while let Some(mut rewrite) = rewrites.next() {
        let left = count(&rewrite.parts) + rewrite.add.len() as u64;
        let left = left.saturating_sub(rewrite.remove.len() as u64);
        let taken = out.last().map_or(0, |last| last.parts.end);
        let next = rewrites.peek().map_or(parts.len(), |next| next.parts.start);
        let (start, end) = (rewrite.parts.start, rewrite.parts.end);
        if left < FEW_BLOCKS && start > taken && fits(left + count(&(start - 1..start))) {
            rewrite.parts.start -= 1;
        } else if left < FEW_BLOCKS && end < next && fits(left + count(&(end..end + 1))) {
            rewrite.parts.end += 1;
        }
        out.push(rewrite);
    }
    out
}

impl Rewrite {
    /// What the parts hold after it, cut into parts; `held` is what they held. Each part is ordered by
    /// place, then by block id.
    ///
    /// # Errors
    ///
    /// If a block to remove is not among those held, or one to add is.
    pub(super) fn apply(
        mut self,
        base: &Root,
        held: Vec<Arc<BlockMeta>>,
    ) -> Result<Vec<Vec<Arc<BlockMeta>>>, StorageError> {
        let mut blocks = held;
        blocks.retain(|block| !self.remove.remove(&block.block_id));
        if let Some(block) = self.remove.into_iter().min() {
            return Err(StorageError::BlockNotLive {
                tenant: base.tenant.clone(),
                block,
            });
        }
        blocks.append(&mut self.add);
        blocks.sort_by_key(|block| (place(block), block.block_id));
        let mut ids: Vec<BlockId> = blocks.iter().map(|block| block.block_id).collect();
        ids.sort_unstable();
        if let Some(twice) = ids.windows(2).find(|two| two[0] == two[1]) {
            return Err(already_live(base, twice[0]));
        }
        // New blocks are mostly the newest: the last part is filled up before another is begun. Among
        // others, both halves of a part that grew too large have room.
        let is_last = self.parts.end >= base.parts.len();
        Ok(cut(blocks, is_last))
    }
}

/// Cuts descriptions, ordered by place, into parts; never between two of one place.
fn cut(blocks: Vec<Arc<BlockMeta>>, fill: bool) -> Vec<Vec<Arc<BlockMeta>>> {
    let parts = blocks.len().div_ceil(PART_BLOCKS).max(1);
    let size = match fill {
        true => PART_BLOCKS,
        false => blocks.len().div_ceil(parts),
    };
    let mut out: Vec<Vec<Arc<BlockMeta>>> = Vec::with_capacity(parts);
    for block in blocks {
        match out.last_mut() {
            Some(part)
                if part.len() < size
                    || part.last().is_some_and(|last| place(last) == place(&block)) =>
            {
                part.push(block);
            }
            _ => out.push(vec![block]),
        }
    }
    out
}
