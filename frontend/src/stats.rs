//! What answering a query took.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use engine::{PruneReason, QueryCounters};

/// What answering a query took. Blocks count stored and live ones alike.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QueryStats {
    /// Bytes read from storage.
    pub inspected_bytes: u64,
    /// Requests made to storage.
    pub storage_requests: u64,
    /// Spans in the row groups that were scanned.
    pub inspected_spans: u64,
    /// Jobs that the query was split into.
    pub jobs_total: u64,
    /// Jobs that were run to their end.
    pub jobs_completed: u64,
    /// Times that a job was run again.
    pub jobs_retried: u64,
    /// Jobs that another query ran already; they count as jobs, too.
    pub jobs_shared: u64,
    /// States of earlier jobs that were used again; nothing of these was read or run.
    pub states_kept: u64,
    /// Blocks that the tenants have.
    pub blocks_total: u64,
    /// Blocks that were ruled out without reading them, by reason.
    pub blocks_pruned: BTreeMap<&'static str, u64>,
    /// Size of the blocks that were not ruled out.
    pub block_bytes: u64,
    /// Time from request to answer.
    pub elapsed: Duration,
}

impl QueryStats {
    /// Counts blocks that were ruled out for one reason.
    pub(crate) fn count_pruned(&mut self, reason: &PruneReason, blocks: u64) {
        if blocks > 0 {
            *self.blocks_pruned.entry(reason.name()).or_default() += blocks;
        }
    }

    /// Adds what another metrics query of the same query took. A block that both look at counts
    /// for each.
    pub(crate) fn add(&mut self, other: &Self) {
        self.inspected_bytes += other.inspected_bytes;
        self.storage_requests += other.storage_requests;
        self.inspected_spans += other.inspected_spans;
        self.jobs_total += other.jobs_total;
        self.jobs_completed += other.jobs_completed;
        self.jobs_retried += other.jobs_retried;
        self.jobs_shared += other.jobs_shared;
        self.states_kept += other.states_kept;
        self.blocks_total += other.blocks_total;
        for (reason, count) in &other.blocks_pruned {
            *self.blocks_pruned.entry(reason).or_default() += count;
        }
        self.block_bytes += other.block_bytes;
        self.elapsed += other.elapsed;
    }

    /// Takes what has been read so far by the counters of a query.
    pub(crate) fn set_reads(&mut self, counters: &QueryCounters) {
        self.inspected_bytes = counters.bytes_read();
        self.storage_requests = counters.requests();
        self.inspected_spans = counters.spans_inspected();
    }

    /// Blocks that were not ruled out.
    #[must_use]
    pub fn blocks_kept(&self) -> u64 {
        self.blocks_total
            .saturating_sub(self.blocks_pruned.values().sum())
    }
}

impl fmt::Display for QueryStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "jobs={}/{} retried={} shared={} kept={} spans={} bytes={} requests={}",
            self.jobs_completed,
            self.jobs_total,
            self.jobs_retried,
            self.jobs_shared,
            self.states_kept,
            self.inspected_spans,
            self.inspected_bytes,
            self.storage_requests,
        )?;
        // Of a part of a query it is not known.
        if self.elapsed.is_zero() {
            return Ok(());
        }
        write!(f, " elapsed={:?}", self.elapsed)
    }
}
