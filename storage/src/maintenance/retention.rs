//! Which blocks are not kept: those that are too old, and the oldest of those that are too many.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::block::meta::{BlockMeta, Window};
use crate::compaction::policy::HOUR_S;

/// The blocks of which every span has ended longer ago than `keep`. A block goes as a whole, and so do the
/// traces that are for it: what compaction made has those of one window, to their last span.
#[must_use]
pub fn expired(blocks: &[Arc<BlockMeta>], now_ns: i64, keep: Duration) -> Vec<Arc<BlockMeta>> {
    let keep_ns = i64::try_from(keep.as_nanos()).unwrap_or(i64::MAX);
    let before_ns = now_ns.saturating_sub(keep_ns);
    let old = blocks.iter().filter(|block| block.end_ns() < before_ns);
    old.map(Arc::clone).collect()
}

/// The blocks that go so that the files of those that stay take `max_bytes` at most, with what their windows
/// are: whole windows, first those whose last span ended first, and never the one whose last span ended last, however large it is.
/// Blocks may be of several tenants.
#[must_use]
pub fn beyond(blocks: &[Arc<BlockMeta>], max_bytes: u64) -> Vec<(Window, Vec<Arc<BlockMeta>>)> {
    let bytes = |block: &Arc<BlockMeta>| block.file.as_ref().map_or(0, |file| file.size_bytes);
    let mut windows: BTreeMap<Window, Vec<Arc<BlockMeta>>> = BTreeMap::new();
    for block in blocks {
        let latest = Window::of(block.max_start_ns, HOUR_S);
        let window = block.partition.map_or(latest, |partition| partition.window);
        windows.entry(window).or_default().push(Arc::clone(block));
    }
    let mut windows: Vec<_> = windows.into_iter().collect();
    windows.sort_by_key(|(window, blocks)| {
        let end_ns = blocks.iter().map(|block| block.end_ns()).max();
        (end_ns, *window)
    });
    windows.pop();
    let mut total: u64 = blocks.iter().map(bytes).sum();
    let goes = |(_, of_window): &(Window, Vec<Arc<BlockMeta>>)| {
        let is_too_much = total > max_bytes;
        total -= of_window.iter().map(bytes).sum::<u64>();
        is_too_much
    };
    windows.into_iter().take_while(goes).collect()
}
