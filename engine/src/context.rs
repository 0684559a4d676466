//! What one query may use, and what it has used.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use datafusion::error::Result;
use datafusion::execution::memory_pool::{GreedyMemoryPool, MemoryPool};
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use object_store::memory::InMemory;
use storage::block::ReadCounters;

use crate::limit::MemoryLimit;

/// Every block is opened through its own reader, so the store behind this URL is never asked.
pub(crate) const STORE_URL: &str = "spandrel://blocks";

/// Limits and counters of one query, shared by its jobs.
#[derive(Debug, Clone)]
pub struct QueryContext {
    /// Most bytes of aggregation state, and the key that sets it.
    pub(crate) limit: MemoryLimit,
    /// What DataFusion's operators reserve from, over all jobs of the query.
    pub(crate) pool: Arc<dyn MemoryPool>,
    /// What they run in, made for the first job.
    runtime: Arc<OnceLock<Arc<RuntimeEnv>>>,
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
            runtime: Arc::default(),
            counters: Arc::default(),
        }
    }

    /// What the operators of all jobs run in. Every block is opened through its own reader, so the
    /// store that DataFusion wants to know of is empty.
    pub(crate) fn runtime(&self) -> Result<Arc<RuntimeEnv>> {
        if let Some(made) = self.runtime.get() {
            return Ok(Arc::clone(made));
        }
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::clone(&self.pool))
            .build_arc()?;
        let url = ObjectStoreUrl::parse(STORE_URL)?;
        runtime.register_object_store(url.as_ref(), Arc::new(InMemory::new()));
        Ok(Arc::clone(self.runtime.get_or_init(|| runtime)))
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
