//! What one query may use, and what it has used.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use datafusion::execution::memory_pool::{GreedyMemoryPool, MemoryPool};

use storage::block::ReadCounters;

use crate::exemplars::PartialExemplars;
use crate::grid::Grid;
use crate::limit::MemoryLimit;
use crate::partial::PartialSeries;
use crate::plan::MetricsPlan;

/// Limits and counters of one query, shared by its jobs.
#[derive(Debug, Clone)]
pub struct QueryContext {
    /// Most bytes of aggregation state, and the key that sets it.
    pub(crate) limit: MemoryLimit,
    /// What DataFusion's operators reserve from, over all jobs of the query.
    pub(crate) pool: Arc<dyn MemoryPool>,
    /// What the query has used so far.
    pub counters: Arc<QueryCounters>,
}

impl QueryContext {
    /// A context with fresh counters. `key` is the configuration key that sets the memory limit, for
    /// the error that names it.
    #[must_use]
    pub fn new(memory_limit_bytes: u64, key: &'static str) -> Self {
        let pool_size = usize::try_from(memory_limit_bytes).unwrap_or(usize::MAX);
        Self {
            limit: MemoryLimit {
                bytes: memory_limit_bytes,
                key,
            },
            // Greedy, because a fair pool divides by its consumers and refuses too early.
            pool: Arc::new(GreedyMemoryPool::new(pool_size)),
            counters: Arc::default(),
        }
    }

    /// No exemplars yet, to merge those of jobs into; at most `count` of them.
    #[must_use]
    pub fn empty_exemplars(&self, grid: Grid, count: usize) -> PartialExemplars {
        PartialExemplars::new(grid, count, self.limit)
    }

    /// No series yet, to merge those of jobs into.
    #[must_use]
    pub fn empty_series(&self, plan: &MetricsPlan, grid: Grid) -> PartialSeries {
        PartialSeries::new(plan, grid, self.limit)
    }
}

/// Counters of one query. They only grow.
#[derive(Debug, Default)]
pub struct QueryCounters {
    pub(crate) reads: Arc<ReadCounters>,
    pub(crate) spans_inspected: AtomicU64,
}

impl QueryCounters {
    /// Bytes read from storage.
    #[must_use]
    pub fn bytes_read(&self) -> u64 {
        self.reads.bytes()
    }

    /// Requests made to storage.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.reads.requests()
    }

    /// Spans in the row groups and live blocks that were scanned.
    #[must_use]
    pub fn spans_inspected(&self) -> u64 {
        self.spans_inspected.load(Ordering::Relaxed)
    }
}
