//! What the query path counts about itself.

use std::time::{Duration, Instant};

use prometheus::{
    HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry,
};

use storage::Clock;

use crate::error::QueryError;
use crate::stats::QueryStats;

/// Counters of the query path, registered once per process.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    requests: IntCounterVec,
    request_seconds: HistogramVec,
    queries: IntCounterVec,
    query_seconds: HistogramVec,
    running: IntGauge,
    jobs: IntCounter,
    job_retries: IntCounter,
    blocks: IntCounterVec,
    bytes_read: IntCounter,
    spans_inspected: IntCounter,
    limit_hits: IntCounterVec,
    pub(crate) cache: CacheMetrics,
    /// Memory of the block cache after the last query.
    block_cache_bytes: IntGauge,
}

/// Counters of the states that are kept.
#[derive(Debug, Clone)]
pub(crate) struct CacheMetrics {
    pub(crate) hits: IntCounter,
    pub(crate) misses: IntCounter,
    pub(crate) shared: IntCounter,
    pub(crate) evictions: IntCounter,
    pub(crate) bytes: IntGauge,
}

impl Metrics {
    /// # Errors
    /// If the registry has other metrics of the same names.
    pub(crate) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        // From a probe to the default timeout, about three buckets per factor of ten.
        let seconds = vec![
            0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
            60.0,
        ];
        let counters = |name: &str, help: &str, labels: &[&str]| {
            let counters = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(counters.clone()))?;
            Ok::<_, prometheus::Error>(counters)
        };
        let counter = |name: &str, help: &str| {
            let counter = IntCounter::new(name, help)?;
            registry.register(Box::new(counter.clone()))?;
            Ok::<_, prometheus::Error>(counter)
        };
        let histograms = |name: &str, help: &str, labels: &[&str]| {
            let options = HistogramOpts::new(name, help).buckets(seconds.clone());
            let histograms = HistogramVec::new(options, labels)?;
            registry.register(Box::new(histograms.clone()))?;
            Ok::<_, prometheus::Error>(histograms)
        };
        let gauge = |name: &str, help: &str| {
            let gauge = IntGauge::new(name, help)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok::<_, prometheus::Error>(gauge)
        };
        let running = gauge("spandrel_queries_running", "Queries not yet answered")?;
        Ok(Self {
            requests: counters(
                "spandrel_http_query_requests_total",
                "Requests to the query APIs",
                &["route", "code"],
            )?,
            request_seconds: histograms(
                "spandrel_http_query_request_duration_seconds",
                "Time to answer requests to the query APIs",
                &["route"],
            )?,
            queries: counters(
                "spandrel_queries_total",
                "TraceQL metrics queries",
                &["outcome"],
            )?,
            query_seconds: histograms(
                "spandrel_query_duration_seconds",
                "Time to answer TraceQL metrics queries, waiting included",
                &["outcome"],
            )?,
            running,
            jobs: counter(
                "spandrel_query_jobs_total",
                "Jobs that were run to their end",
            )?,
            job_retries: counter(
                "spandrel_query_job_retries_total",
                "Times a job was run again",
            )?,
            blocks: counters(
                "spandrel_query_blocks_total",
                "Blocks that queries looked at, by what became of them",
                &["fate"],
            )?,
            bytes_read: counter("spandrel_query_read_bytes_total", "Bytes read from storage")?,
            spans_inspected: counter(
                "spandrel_query_inspected_spans_total",
                "Spans in the row groups that were scanned",
            )?,
            limit_hits: counters(
                "spandrel_query_limit_hits_total",
                "Queries that met a limit",
                &["code"],
            )?,
            cache: CacheMetrics {
                hits: counter(
                    "spandrel_query_cache_hits_total",
                    "States of earlier jobs that queries used again",
                )?,
                misses: counter(
                    "spandrel_query_cache_misses_total",
                    "Jobs that were run because no state was kept that could be",
                )?,
                shared: counter(
                    "spandrel_query_cache_shared_total",
                    "Jobs not run because another query ran the same already",
                )?,
                evictions: counter(
                    "spandrel_query_cache_evictions_total",
                    "States dropped to make room for others",
                )?,
                bytes: gauge(
                    "spandrel_query_cache_bytes",
                    "Memory of the states that are kept",
                )?,
            },
            block_cache_bytes: gauge(
                "spandrel_block_cache_bytes",
                "Memory of the footers and columns of stored blocks that are kept",
            )?,
        })
    }

    /// Counts a request. The route is a pattern, so that labels stay few.
    pub(crate) fn request(&self, route: &str, code: u16, elapsed: Duration) {
        self.requests
            .with_label_values(&[route, &code.to_string()])
            .inc();
        self.request_seconds
            .with_label_values(&[route])
            .observe(elapsed.as_secs_f64());
    }

    /// Counts a request that met a limit before it became a query.
    pub(crate) fn limit_hit(&self, code: &str) {
        self.limit_hits.with_label_values(&[code]).inc();
    }

    /// Starts to watch a query.
    pub(crate) fn start_query<'a>(&'a self, clock: &'a dyn Clock) -> QueryTimer<'a> {
        self.running.inc();
        QueryTimer {
            metrics: self,
            clock,
            start: clock.instant(),
            outcome: "cancelled",
        }
    }

    /// Counts what a query took, after which footers and columns of blocks take so many bytes.
    pub(crate) fn count(&self, stats: &QueryStats, block_cache_bytes: u64) {
        let bytes = i64::try_from(block_cache_bytes).unwrap_or(i64::MAX);
        self.block_cache_bytes.set(bytes);
        self.jobs.inc_by(stats.jobs_completed);
        self.job_retries.inc_by(stats.jobs_retried);
        self.blocks
            .with_label_values(&["scanned"])
            .inc_by(stats.blocks_kept());
        for (reason, count) in &stats.blocks_pruned {
            self.blocks
                .with_label_values(&[&format!("pruned_by_{reason}")])
                .inc_by(*count);
        }
        self.bytes_read.inc_by(stats.inspected_bytes);
        self.spans_inspected.inc_by(stats.inspected_spans);
    }
}

/// Watches one query. Dropped before it finished, the query counts as cancelled.
#[derive(Debug)]
pub(crate) struct QueryTimer<'a> {
    metrics: &'a Metrics,
    clock: &'a dyn Clock,
    start: Instant,
    outcome: &'static str,
}

impl QueryTimer<'_> {
    pub(crate) fn elapsed(&self) -> Duration {
        self.clock.instant() - self.start
    }

    pub(crate) fn finish<T>(mut self, result: &Result<T, QueryError>) {
        self.outcome = match result {
            Ok(_) => "success",
            Err(error) => {
                if let Some(code) = error.limit_code() {
                    self.metrics.limit_hit(code);
                }
                error.kind().as_str()
            }
        };
    }
}

impl Drop for QueryTimer<'_> {
    fn drop(&mut self) {
        self.metrics.running.dec();
        self.metrics
            .queries
            .with_label_values(&[self.outcome])
            .inc();
        let seconds = self
            .metrics
            .query_seconds
            .with_label_values(&[self.outcome]);
        seconds.observe(self.elapsed().as_secs_f64());
    }
}
