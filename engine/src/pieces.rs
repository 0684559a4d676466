//! Traces whose spans lie in several blocks.
//!
//! A query about whole traces must see all spans of a trace at once. So traces that may lie in more
//! than one block are left out where each block is evaluated by itself ([`Slice::Rest`]), and put
//! together for jobs of their own ([`Slice::Pieces`]), as if they had been stored in one block.
//!
//! Which traces those are: of two blocks that lie within [`REACH_NS`] of each other the ids of the one
//! are looked up in the other's id filter; what that lets through is compared with the ids themselves. Blocks never change, so what is found for a pair of them is kept; blocks
//! that lie apart are never looked at.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use hashbrown::HashSet;
use storage::block::meta::BlockMeta;
use storage::block::{EncodeOptions, MemoryBlock, encode, live_trace_ids, live_traces};
use storage::ids::{BlockId, TraceId};
use ulid::Ulid;

use crate::error::EngineError;
use crate::fingerprint::Fingerprint;
use crate::pair_cache::PairCache;
use crate::slice::{PieceSource, Slice};

/// Parts of a trace are put together if their blocks lie within one hour of each other.
pub const REACH_NS: i64 = 3_600_000_000_000;
/// Slices whose traces are looked up in other blocks at once.
const ASKED_AT_ONCE: usize = 8;
/// Spans that a job of pieces is made of, unless one trace has more.
const SPANS_PER_JOB: usize = 50_000;

/// The traces that may lie in several blocks, by the block in which a part of them may lie.
#[derive(Debug, Default)]
pub struct Pieces {
    by_block: BTreeMap<BlockId, Arc<HashSet<TraceId>>>,
    traces: HashSet<TraceId>,
}

impl Pieces {
    /// Whether no trace lies in several blocks.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.traces.is_empty()
    }

    /// Traces that may lie in several blocks.
    #[must_use]
    pub fn trace_count(&self) -> usize {
        self.traces.len()
    }

    pub(crate) fn add(&mut self, pair: (&BlockMeta, &BlockMeta), found: &[TraceId]) {
        if found.is_empty() {
            return;
        }
        self.traces.extend(found);
        for block in [pair.0, pair.1] {
            let traces = self.by_block.entry(block.block_id).or_default();
            Arc::make_mut(traces).extend(found);
        }
    }

    /// What of a slice is left once the traces in pieces are taken out.
    #[must_use]
    pub fn without(&self, slice: Slice) -> Slice {
        match slice
            .block()
            .and_then(|block| self.by_block.get(&block.block_id))
        {
            Some(without) => Slice::Rest {
                slice: Box::new(slice),
                without: Arc::clone(without),
            },
            None => slice,
        }
    }

    /// Which traces [`without`](Self::without) takes out of slices of a block; `None` for none.
    #[must_use]
    pub fn left_out_of(&self, block: BlockId) -> Option<Fingerprint> {
        let traces = self.by_block.get(&block)?;
        Some(Fingerprint::of_traces(traces.iter()))
    }

    /// Slices of the traces in pieces, out of all blocks that were looked at.
    #[must_use]
    pub fn slices(&self, stored: &[Arc<BlockMeta>], live: &[Arc<MemoryBlock>]) -> Vec<Slice> {
        let mut slices = Vec::new();
        // Sorted, so that a query is cut in the same way whenever it is run.
        let mut traces: Vec<TraceId> = self.traces.iter().copied().collect();
        traces.sort_unstable();
        let spans: u64 = stored
            .iter()
            .map(|block| (block.row_count, block.trace_count))
            .chain(
                live.iter()
                    .map(|block| (block.meta.row_count, block.meta.trace_count)),
            )
            .map(|(rows, traces)| rows.div_ceil(traces.max(1)))
            .max()
            .unwrap_or(1);
        let per_job = SPANS_PER_JOB / usize::try_from(spans).unwrap_or(1).max(1);
        for traces in traces.chunks(per_job.max(1)) {
            let holds = |block: &BlockMeta| {
                let held = self.by_block.get(&block.block_id);
                held.is_some_and(|held| traces.iter().any(|trace| held.contains(trace)))
            };
            slices.push(Slice::Pieces(PieceSource {
                stored: stored
                    .iter()
                    .filter(|block| holds(block))
                    .cloned()
                    .collect(),
                live: live
                    .iter()
                    .filter(|block| holds(&block.meta))
                    .cloned()
                    .collect(),
                traces: Arc::new(traces.iter().copied().collect()),
            }));
        }
        slices
    }
}

/// The traces that may lie in several of these blocks, as far as one of those that a query `reads` is
/// concerned. `common` says for each of some stored blocks which traces of a slice are in it, too; it
/// is asked about blocks that lie near each other only ([`Work::Common`](crate::Work::Common)), and what
/// it says of two stored blocks is `known` from then on.
///
/// # Errors
/// Those of `common`; or a live block is damaged.
pub async fn find<F>(
    stored: &[Arc<BlockMeta>],
    live: &[Arc<MemoryBlock>],
    reads: impl Fn(&BlockMeta) -> bool + Send,
    known: &PairCache,
    common: impl Fn(Slice, Vec<Arc<BlockMeta>>) -> F + Send,
) -> Result<Pieces, EngineError>
where
    F: Future<Output = Result<Vec<Arc<[TraceId]>>, EngineError>> + Send,
{
    let mut pieces = Pieces::default();
    let mut unknown = Vec::new();
    let by_time = ByTime::new(stored);
    for (index, block) in stored.iter().enumerate().filter(|(_, block)| reads(block)) {
        // Those before it that are read, too, have met it already.
        let meets = |&(place, other): &(usize, &Arc<BlockMeta>)| {
            place > index || (place < index && !reads(other))
        };
        let mut of_block = Vec::new();
        for (_, other) in by_time.near(block).filter(meets) {
            match known.get(pair(block, other)) {
                Some(found) => pieces.add((block, other), &found),
                None => of_block.push(Arc::clone(other)),
            }
        }
        if !of_block.is_empty() {
            let ends = of_block.iter().map(|other| other.end_ns());
            let row_groups = row_groups_until(block, ends.max().unwrap_or(i64::MAX));
            let block = Arc::clone(block);
            unknown.push((Slice::Stored { block, row_groups }, of_block));
        }
    }
    for (index, block) in live.iter().enumerate() {
        for other in &live[index + 1..] {
            if within_reach(&block.meta, &other.meta) {
                let found = common_live(block, other)?;
                pieces.add((&block.meta, &other.meta), &found);
            }
        }
        let near = by_time.near(&block.meta).map(|(_, other)| other);
        let near = near.filter(|other| reads(&block.meta) || reads(other));
        let near: Vec<_> = near.cloned().collect();
        if !near.is_empty() {
            unknown.push((Slice::Live(Arc::clone(block)), near));
        }
    }
    let asked = unknown.into_iter().map(|(slice, with)| {
        let found = common(slice.clone(), with.clone());
        async move { Ok::<_, EngineError>((slice, with, found.await?)) }
    });
    let asked: Vec<_> = asked.collect();
    let mut asked = stream::iter(asked).buffer_unordered(ASKED_AT_ONCE);
    while let Some((slice, with, found)) = asked.try_next().await? {
        let Some(block) = slice.block() else {
            continue;
        };
        for (other, found) in with.iter().zip(&found) {
            if matches!(slice, Slice::Stored { .. }) {
                known.insert(pair(block, other), found);
            }
            pieces.add((block, other), found);
        }
    }
    Ok(pieces)
}

/// The same for both orders of two blocks.
fn pair(a: &BlockMeta, b: &BlockMeta) -> (BlockId, BlockId) {
    (a.block_id.min(b.block_id), a.block_id.max(b.block_id))
}

/// Whether parts of a trace in one block and in the other are put together.
pub(crate) fn within_reach(a: &BlockMeta, b: &BlockMeta) -> bool {
    let reaches =
        |a: &BlockMeta, b: &BlockMeta| a.min_start_ns <= b.end_ns().saturating_add(REACH_NS);
    a.tenant == b.tenant && reaches(a, b) && reaches(b, a) && may_share(a, b)
}

/// Whether a trace may be in both blocks, as far as their partitions tell.
fn may_share(a: &BlockMeta, b: &BlockMeta) -> bool {
    match (a.partition, b.partition) {
        (Some(a), Some(b)) => a.piece.overlaps(&b.piece),
        _ => true,
    }
}

/// Blocks in the order of time, so that those near another are found without looking at all.
pub(crate) struct ByTime<'a> {
    /// Blocks with their place among those given, by their first start.
    blocks: Vec<(usize, &'a Arc<BlockMeta>)>,
    /// The latest end of each block and those before it.
    latest_ns: Vec<i64>,
}

impl<'a> ByTime<'a> {
    pub(crate) fn new(blocks: &'a [Arc<BlockMeta>]) -> Self {
        let mut blocks: Vec<_> = blocks.iter().enumerate().collect();
        blocks.sort_by_key(|(_, block)| block.min_start_ns);
        let mut latest = i64::MIN;
        let latest_ns = blocks.iter().map(|(_, block)| {
            latest = latest.max(block.end_ns());
            latest
        });
        Self {
            latest_ns: latest_ns.collect(),
            blocks,
        }
    }

    /// The blocks within reach of another, itself included if it is one of them.
    pub(crate) fn near(
        &self,
        block: &BlockMeta,
    ) -> impl Iterator<Item = (usize, &'a Arc<BlockMeta>)> {
        let until = block.end_ns().saturating_add(REACH_NS);
        let end = self
            .blocks
            .partition_point(|(_, other)| other.min_start_ns <= until);
        // Once all that is left has ended long before, nothing is near.
        let from = block.min_start_ns;
        let begun = self
            .latest_ns
            .partition_point(|latest| latest.saturating_add(REACH_NS) < from);
        let candidates = self.blocks.get(begun..end).unwrap_or_default();
        candidates
            .iter()
            .copied()
            .filter(|(_, other)| within_reach(block, other))
            .collect::<Vec<_>>()
            .into_iter()
    }
}

/// Row groups of a block that have traces within reach of another.
pub(crate) fn row_groups_within_reach(block: &BlockMeta, other: &BlockMeta) -> Vec<usize> {
    row_groups_until(block, other.end_ns())
}

/// Row groups of a block that have traces within reach of one that ends at this time.
fn row_groups_until(block: &BlockMeta, end_ns: i64) -> Vec<usize> {
    let until = end_ns.saturating_add(REACH_NS);
    let groups = block.row_groups.iter().enumerate();
    let near = groups.filter(|(_, group)| group.min_start_ns <= until);
    near.map(|(index, _)| index).collect()
}

/// Traces that two live blocks have in common.
pub(crate) fn common_live(a: &MemoryBlock, b: &MemoryBlock) -> Result<Vec<TraceId>, EngineError> {
    let of_b: HashSet<TraceId> = live_trace_ids(b)?.into_iter().collect();
    let mut of_a = live_trace_ids(a)?;
    of_a.retain(|id| of_b.contains(id));
    Ok(of_a)
}

impl PieceSource {
    /// Adds the spans of the live blocks to those of the stored ones, and makes a block of them;
    /// `None` if there are none.
    pub(crate) fn join(
        &self,
        mut groups: Vec<storage::model::SpanGroup>,
    ) -> Result<Option<Arc<MemoryBlock>>, EngineError> {
        for block in &self.live {
            groups.extend(live_traces(block, &self.traces)?);
        }
        if groups.iter().all(|group| group.spans.is_empty()) {
            return Ok(None);
        }
        let metas = self
            .live
            .iter()
            .map(|block| &block.meta)
            .chain(&self.stored);
        let first = metas.min_by_key(|meta| meta.block_id);
        let (Some(first), Some(trace)) = (first, self.traces.iter().min()) else {
            return Ok(None);
        };
        // No other block has this id: a trace is put together once.
        let block_id = BlockId(Ulid(u128::from_be_bytes(trace.0)));
        let options = EncodeOptions::new(first.tenant.clone(), block_id);
        Ok(Some(Arc::new(encode(&groups, &options)?)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use storage::ids::TenantId;

    use super::*;

    const MINUTE_NS: i64 = 60_000_000_000;

    fn block(number: usize, start_min: i64, length_min: i64) -> Arc<BlockMeta> {
        Arc::new(BlockMeta {
            format_version: 1,
            block_id: BlockId(Ulid(number as u128)),
            tenant: TenantId::single(),
            row_count: 1,
            trace_count: 1,
            min_start_ns: start_min * MINUTE_NS,
            max_start_ns: (start_min + length_min) * MINUTE_NS,
            max_end_ns: (start_min + length_min) * MINUTE_NS,
            file: None,
            row_groups: Vec::new(),
            columns: Vec::new(),
            attributes: Vec::new(),
            attributes_complete: true,
            services: None,
            trace_id_filter: None,
            made_of: Vec::new(),
            partition: None,
        })
    }

    proptest! {
        #[test]
        fn near_blocks_are_those_within_reach(
            times in prop::collection::vec((0_i64..1000, 0_i64..120), 0..40),
            of in (0_i64..1000, 0_i64..120),
        ) {
            let blocks: Vec<_> = times
                .iter()
                .enumerate()
                .map(|(number, &(start, length))| block(number, start, length))
                .collect();
            let of = block(blocks.len(), of.0, of.1);
            let by_time = ByTime::new(&blocks);
            let mut near: Vec<usize> = by_time.near(&of).map(|(place, _)| place).collect();
            near.sort_unstable();
            let reached = |&place: &usize| within_reach(&of, &blocks[place]);
            let expected: Vec<usize> = (0..blocks.len()).filter(reached).collect();
            prop_assert_eq!(near, expected);
        }
    }
}
