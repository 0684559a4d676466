//! A change to a catalog.

use std::sync::Arc;

use hashbrown::HashSet;

use crate::block::meta::BlockMeta;
use crate::ids::{BlockId, EditId};
use crate::random::Random;

/// A change to a catalog.
#[derive(Debug, Clone)]
pub struct Edit {
    /// Tells the edit from others. An edit that may be done already, because nobody learnt whether it
    /// was, is tried again under the id that it had.
    pub id: EditId,
    /// Blocks that become live. Their files must be stored.
    pub add: Vec<Arc<BlockMeta>>,
    /// Blocks that stop being live.
    pub remove: Vec<Arc<BlockMeta>>,
}

impl Edit {
    /// Makes a block live. The same block is the same edit, whoever commits it.
    #[must_use]
    pub fn add(block: Arc<BlockMeta>) -> Self {
        Self {
            id: EditId(block.block_id.0),
            add: vec![block],
            remove: Vec::new(),
        }
    }

    /// Makes some blocks live in place of others.
    #[must_use]
    pub fn replace(remove: Vec<Arc<BlockMeta>>, add: Vec<Arc<BlockMeta>>, random: &Random) -> Self {
        Self {
            id: EditId(random.ulid()),
            add,
            remove,
        }
    }
}

/// The ids of blocks, and of those that compaction made them of.
pub(crate) fn ids_in(blocks: &[Arc<BlockMeta>]) -> HashSet<BlockId> {
    let ids = blocks.iter().flat_map(|block| {
        let made_of = block.made_of.iter().copied();
        made_of.chain([block.block_id])
    });
    ids.collect()
}
