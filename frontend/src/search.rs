//! From the text of a search to the newest traces that match.
//!
//! Blocks are searched from the newest backwards, some at a time, and no further than it takes to be
//! sure of the answer: a trace that lies in older blocks alone did not start later than they do. So
//! the answer is always that of looking at everything.

use std::collections::HashSet;
use std::pin::pin;
use std::sync::Arc;

use engine::search::{SearchLimits, SearchPlan, SearchWindow, TraceMatch};
use engine::{PruneReason, REACH_NS, Slice, Work, bytes_to_search, may_search, prune_search};
use futures::StreamExt;
use storage::block::MemoryBlock;
use storage::block::meta::BlockMeta;
use storage::ids::{BlockId, TenantId};
use storage::snapshot::{Snapshot, Times};
use traceql::Dialect;

use crate::blocks::{Block, survivors};
use crate::error::QueryError;
use crate::query::Frontend;
use crate::snapshots::SecondLook;
use crate::split::{SplitOptions, split_block};
use crate::stats::QueryStats;
use crate::workers::Workers;

/// Blocks that are searched first; each further round takes twice as many.
const FIRST_ROUND: usize = 8;

/// What is searched for.
#[derive(Debug, Clone, PartialEq)]
pub struct SearchRequest {
    /// Whose spans; more than one tenant are searched as if their spans were of one.
    pub tenants: Vec<TenantId>,
    /// The query text. Of a metrics query the selection of spans counts.
    pub query: String,
    /// The language that the text is in.
    pub dialect: Dialect,
    /// Traces that ended earlier are left out, ns since the epoch.
    pub start_ns: i64,
    /// Traces that started later are left out, ns since the epoch.
    pub end_ns: i64,
    /// Most traces in the answer.
    pub limit: usize,
    /// Most spans of each spanset in the answer.
    pub spans_per_spanset: usize,
}

/// The answer of a search.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SearchAnswer {
    /// The newest matching traces, newest first.
    pub traces: Vec<TraceMatch>,
    /// What the search took.
    pub stats: QueryStats,
}

/// A search under way.
struct Search {
    workers: Workers,
    split: SplitOptions,
    plan: Arc<SearchPlan>,
    window: SearchWindow,
    limits: SearchLimits,
    /// Blocks in the window, newest first.
    blocks: Vec<Block>,
    answer: SearchAnswer,
}

impl Frontend {
    /// Answers a search. Dropping the future stops all of its work.
    ///
    /// # Errors
    /// As for a metrics query.
    pub async fn search(&self, request: &SearchRequest) -> Result<SearchAnswer, QueryError> {
        let start = self.instant();
        let found = self.within_deadline(None, self.find_traces(request));
        let mut answer = found.await?;
        answer.stats.elapsed = self.instant() - start;
        self.count(&answer.stats);
        Ok(answer)
    }

    async fn find_traces(&self, request: &SearchRequest) -> Result<SearchAnswer, QueryError> {
        let query = self.parse(&request.query, request.dialect)?;
        let plan = Arc::new(SearchPlan::analyse(&query)?);
        if plan.is_never() {
            return Ok(SearchAnswer::default());
        }
        let window = SearchWindow {
            start_ns: request.start_ns,
            end_ns: request.end_ns,
        };
        let _turn = self.enter(&request.tenants).await?;
        let mut second = SecondLook::default();
        loop {
            let times = Times {
                spans: window.start_ns..=window.end_ns,
                reach_ns: REACH_NS,
            };
            let snapshots = self.snapshots(&request.tenants, times).await?;
            match self
                .find_traces_in(request, &plan, window, &snapshots)
                .await
            {
                Err(error) if second.helps(&error) => {}
                found => return found,
            }
        }
    }

    async fn find_traces_in(
        &self,
        request: &SearchRequest,
        plan: &Arc<SearchPlan>,
        window: SearchWindow,
        snapshots: &[Snapshot],
    ) -> Result<SearchAnswer, QueryError> {
        let (_, stats) = survivors(snapshots, |block| prune_search(plan, window, block).err());
        // A block in which nothing matches by itself may have parts of traces in which something does.
        let out_of_window = |block: &BlockMeta| !may_search(window, block);
        let (mut blocks, _) = survivors(snapshots, |block| {
            out_of_window(block).then_some(PruneReason::Time)
        });
        blocks.sort_by_key(|block| (block.meta().max_start_ns, block.meta().block_id));
        blocks.reverse();
        let search = Search {
            workers: self.workers(&request.tenants, 0)?,
            split: self.split_options(),
            plan: Arc::clone(plan),
            window,
            limits: SearchLimits {
                traces: request.limit,
                spans_per_spanset: request.spans_per_spanset,
                not_before_ns: None,
            },
            blocks,
            answer: SearchAnswer {
                traces: Vec::new(),
                stats,
            },
        };
        // A trace that is in the window may have parts in blocks that are not.
        search.run(&AllBlocks::of(snapshots)).await
    }
}

/// All blocks of some snapshots: those in which parts of one trace may lie.
#[derive(Debug)]
struct AllBlocks {
    stored: Vec<Arc<BlockMeta>>,
    live: Vec<Arc<MemoryBlock>>,
}

impl AllBlocks {
    fn of(snapshots: &[Snapshot]) -> Self {
        let stored = snapshots.iter().flat_map(|it| &it.stored);
        let live = snapshots.iter().flat_map(|it| &it.live);
        Self {
            stored: stored.map(Arc::clone).collect(),
            live: live.map(Arc::clone).collect(),
        }
    }
}

impl Search {
    async fn run(mut self, all: &AllBlocks) -> Result<SearchAnswer, QueryError> {
        let blocks = std::mem::take(&mut self.blocks);
        let (mut from, mut count) = (0, FIRST_ROUND);
        while from < blocks.len() {
            let until = blocks.len().min(from.saturating_add(count));
            let slices = self.slices(&blocks[from..until], all).await?;
            self.search(slices).await?;
            let newest_left = blocks.get(until).map(|block| block.meta().max_start_ns);
            if self.is_settled(newest_left) {
                break;
            }
            from = until;
            count = count.saturating_mul(2);
        }
        let counters = &self.workers.context.counters;
        self.answer.stats.set_reads(counters);
        Ok(self.answer)
    }

    /// Whether no trace that starts at this time or earlier can be part of the answer any more.
    fn is_settled(&self, newest_left: Option<i64>) -> bool {
        let oldest = self.answer.traces.last();
        let is_full = self.answer.traces.len() >= self.limits.traces;
        let starts_later = |left: i64| oldest.is_some_and(|oldest| oldest.start_ns > left);
        newest_left.is_none_or(|left| is_full && starts_later(left))
    }

    /// What to read for all traces that have a span in some of these blocks.
    async fn slices(&self, round: &[Block], all: &AllBlocks) -> Result<Vec<Slice>, QueryError> {
        let ids: HashSet<BlockId> = round.iter().map(|block| block.meta().block_id).collect();
        let ids = Arc::new(ids);
        let reads = move |block: &BlockMeta| ids.contains(&block.block_id);
        let pieces = self.workers.pieces(&all.stored, &all.live, reads).await?;
        let mut slices = pieces.slices(&all.stored, &all.live);
        for block in round {
            match block {
                Block::Live(block) => {
                    if prune_search(&self.plan, self.window, &block.meta).is_ok() {
                        slices.push(pieces.without(Slice::Live(Arc::clone(block))));
                    }
                }
                Block::Stored(block) => {
                    for row_groups in self.row_groups(block) {
                        let block = Arc::clone(block);
                        slices.push(pieces.without(Slice::Stored { block, row_groups }));
                    }
                }
            }
        }
        Ok(slices)
    }

    fn row_groups(&self, block: &BlockMeta) -> Vec<Vec<usize>> {
        let kept = prune_search(&self.plan, self.window, block).unwrap_or_default();
        let bytes = bytes_to_search(&self.plan, self.window, block, &kept);
        split_block(block, &kept, bytes, &self.split)
    }

    /// Searches slices and keeps the newest of what was found before and now.
    async fn search(&mut self, slices: Vec<Slice>) -> Result<(), QueryError> {
        self.answer.stats.jobs_total += slices.len() as u64;
        // Once there are enough traces, the oldest of them says what is too old.
        let oldest = self.answer.traces.last().map(|trace| trace.start_ns);
        let limits = SearchLimits {
            not_before_ns: oldest.filter(|_| self.answer.traces.len() >= self.limits.traces),
            ..self.limits
        };
        let work = Work::Search {
            plan: Arc::clone(&self.plan),
            window: self.window,
            limits,
        };
        let jobs = slices.into_iter().map(|slice| ((), work.clone(), slice));
        let mut results = pin!(self.workers.run_all(jobs.collect()));
        while let Some(result) = results.next().await {
            let completed = result?;
            self.answer.stats.jobs_completed += 1;
            self.answer.stats.jobs_retried += u64::from(completed.retries);
            let ((), found): (_, Vec<TraceMatch>) = completed.value;
            let traces = &mut self.answer.traces;
            traces.extend(found);
            traces.sort_by(TraceMatch::newest_first);
            // A trace in pieces is found in each round that has one of its blocks.
            traces.dedup_by_key(|trace| trace.trace_id);
            traces.truncate(limits.traces);
        }
        Ok(())
    }
}
