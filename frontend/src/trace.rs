//! One whole trace, wherever its spans are.
//!
//! The catalog says which blocks are of its time; each looks its id filter up, and those that may have
//! spans of the trace are asked for them, and so is what is not stored yet. A span that came twice, and is in two blocks, is in the answer once.

use std::fmt;

use engine::{PruneReason, Work};
use futures::{StreamExt, TryStreamExt, stream};
use storage::block::TraceSpans;
use storage::ids::{TenantId, TraceId};
use storage::model::SpanGroup;
use storage::snapshot::{Snapshot, Times};

use crate::blocks::{Block, survivors};
use crate::error::QueryError;
use crate::query::Frontend;
use crate::snapshots::SecondLook;
use crate::stats::QueryStats;
use crate::threads::off_reactor;

/// Which trace is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceRequest {
    /// The tenants whose spans these are.
    pub tenants: Vec<TenantId>,
    /// The id of the trace.
    pub trace_id: TraceId,
    /// Leaves out blocks of which every span ended earlier, ns since the epoch.
    pub start_ns: Option<i64>,
    /// Leaves out blocks of which every span starts later, ns since the epoch.
    pub end_ns: Option<i64>,
}

/// The spans of a trace.
#[derive(Debug, Clone, PartialEq)]
pub struct TraceAnswer {
    /// The spans, each once, by resource and scope; empty if there is no such trace.
    pub groups: Vec<SpanGroup>,
    /// What finding the spans took.
    pub stats: QueryStats,
    /// Why the trace is not whole, if it is not.
    pub partial: Option<TraceTooLarge>,
}

/// A trace has more bytes than an answer may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceTooLarge {
    /// How many bytes, as OTLP, a trace of an answer may have.
    pub limit_bytes: u64,
}

impl fmt::Display for TraceTooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Trace exceeds maximum size of {} bytes, a partial trace is returned \
             (overrides.defaults.global.max_bytes_per_trace)",
            self.limit_bytes
        )
    }
}

impl Frontend {
    /// All spans of one trace. Dropping the future stops all work.
    ///
    /// # Errors
    /// As for a query.
    pub async fn trace(&self, request: &TraceRequest) -> Result<TraceAnswer, QueryError> {
        let start = self.instant();
        let mut answer = self.within_deadline(None, self.find_trace(request)).await?;
        answer.stats.elapsed = self.instant() - start;
        self.count(&answer.stats);
        Ok(answer)
    }

    async fn find_trace(&self, request: &TraceRequest) -> Result<TraceAnswer, QueryError> {
        let _turn = self.enter(&request.tenants).await?;
        let mut second = SecondLook::default();
        loop {
            let start = request.start_ns.unwrap_or(i64::MIN);
            let times = Times::of(start..=request.end_ns.unwrap_or(i64::MAX));
            let snapshots = self.snapshots(&request.tenants, times).await?;
            match self.find_trace_in(request, &snapshots).await {
                Err(error) if second.helps(&error) => {}
                found => return found,
            }
        }
    }

    async fn find_trace_in(
        &self,
        request: &TraceRequest,
        snapshots: &[Snapshot],
    ) -> Result<TraceAnswer, QueryError> {
        let max_bytes = match self.config().overrides.defaults.global.max_bytes_per_trace {
            0 => u64::MAX,
            limit => limit,
        };
        let (candidates, mut stats) = candidates(request, snapshots);
        let workers = self.workers(&request.tenants, 0)?;
        let work = Work::Trace {
            trace_id: request.trace_id,
            max_bytes,
        };
        let parts = stream::iter(candidates)
            .map(|block| workers.run::<TraceSpans>(&work, block.whole()))
            .buffered(workers.options.concurrent_jobs);
        let mut parts = std::pin::pin!(parts);
        let mut whole = TraceSpans::new(max_bytes);
        // In the order of the blocks, so that a partial trace is its beginning.
        while whole.is_complete()
            && let Some(part) = parts.try_next().await?
        {
            whole = off_reactor(move || {
                whole.merge(part);
                whole
            })
            .await?;
        }
        let partial = (!whole.is_complete()).then_some(TraceTooLarge {
            limit_bytes: max_bytes,
        });
        stats.set_reads(&workers.context.counters);
        Ok(TraceAnswer {
            groups: whole.into_groups(),
            stats,
            partial,
        })
    }
}

/// The blocks that may have spans of the trace, by start.
fn candidates(request: &TraceRequest, snapshots: &[Snapshot]) -> (Vec<Block>, QueryStats) {
    let (mut found, stats) = survivors(snapshots, |block| {
        let is_early = request
            .start_ns
            .is_some_and(|start| block.max_end_ns < start);
        let is_late = request.end_ns.is_some_and(|end| block.min_start_ns > end);
        if is_early || is_late {
            return Some(PruneReason::Time);
        }
        let is_elsewhere = block
            .partition
            .is_some_and(|partition| !partition.piece.holds(request.trace_id));
        is_elsewhere.then(|| PruneReason::TraceId(request.trace_id.to_string()))
    });
    found.sort_by_key(|block| (block.meta().min_start_ns, block.meta().block_id));
    (found, stats)
}
