//! Which blocks are too old to be kept.

use std::sync::Arc;
use std::time::Duration;

use crate::block::meta::BlockMeta;

/// The blocks of which every span has ended longer ago than `keep`. A block goes as a whole, and so do the
/// traces that are for it: what compaction made has those of one window, to their last span.
#[must_use]
pub fn expired(blocks: &[Arc<BlockMeta>], now_ns: i64, keep: Duration) -> Vec<Arc<BlockMeta>> {
    let keep_ns = i64::try_from(keep.as_nanos()).unwrap_or(i64::MAX);
    let before_ns = now_ns.saturating_sub(keep_ns);
    let old = blocks.iter().filter(|block| block.end_ns() < before_ns);
    old.map(Arc::clone).collect()
}
