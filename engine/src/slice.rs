//! What one job reads.

use std::fmt;
use std::sync::Arc;

use hashbrown::HashSet;
use storage::block::MemoryBlock;
use storage::block::meta::BlockMeta;
use storage::ids::TraceId;

/// What one job reads.
#[derive(Debug, Clone)]
pub enum Slice {
    /// Some row groups of a stored block.
    Stored {
        /// The block.
        block: Arc<BlockMeta>,
        /// Indexes of the row groups, ascending.
        row_groups: Vec<usize>,
    },
    /// A block in memory.
    Live(Arc<MemoryBlock>),
    /// A slice without some traces.
    Rest {
        /// The slice.
        slice: Box<Slice>,
        /// The traces that are left out.
        without: Arc<HashSet<TraceId>>,
    },
    /// Whole traces out of the parts that lie in several blocks.
    Pieces(PieceSource),
}

/// Traces to put together, and where their parts are.
#[derive(Clone)]
pub struct PieceSource {
    pub(crate) traces: Arc<HashSet<TraceId>>,
    pub(crate) stored: Vec<Arc<BlockMeta>>,
    pub(crate) live: Vec<Arc<MemoryBlock>>,
}

impl Slice {
    /// The block that the slice is of; none where it is of several.
    #[must_use]
    pub fn block(&self) -> Option<&Arc<BlockMeta>> {
        match self {
            Self::Stored { block, .. } => Some(block),
            Self::Live(block) => Some(&block.meta),
            Self::Rest { slice, .. } => slice.block(),
            Self::Pieces(_) => None,
        }
    }

    /// Spans in the slice, as far as that is known before it is read.
    #[must_use]
    pub fn row_count(&self) -> u64 {
        match self {
            Self::Stored { block, row_groups } => row_groups
                .iter()
                .filter_map(|&index| block.row_groups.get(index))
                .map(|group| group.row_count)
                .sum(),
            Self::Live(block) => block.meta.row_count,
            Self::Rest { slice, .. } => slice.row_count(),
            Self::Pieces(_) => 0,
        }
    }
}

impl fmt::Display for Slice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stored { block, row_groups } => {
                write!(f, "block {} row groups {row_groups:?}", block.block_id)
            }
            Self::Live(block) => write!(f, "live block {}", block.meta.block_id),
            Self::Rest { slice, without } => {
                write!(f, "{slice} without {} traces in pieces", without.len())
            }
            Self::Pieces(source) => source.fmt(f),
        }
    }
}

impl fmt::Display for PieceSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (traces, blocks) = (self.traces.len(), self.stored.len() + self.live.len());
        write!(f, "{traces} traces in pieces from {blocks} blocks")
    }
}

impl fmt::Debug for PieceSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PieceSource({self})")
    }
}
