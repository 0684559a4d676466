//! What the receive path tells about itself.

use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry};

/// The metrics of the receive path; cheap to clone.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Requests by outcome: `ok`, `partial`, `duplicate`, `refused`.
    pub requests: IntCounterVec,
    /// Spans by outcome. Their sum is what was received:
    /// `received = stored + duplicate + rejected + refused`.
    pub spans: IntCounterVec,
    /// Bytes of decoded requests that were accepted.
    pub request_bytes: IntCounter,
    /// Limits and refusals, by error code.
    pub limit_hits: IntCounterVec,
    /// Spans that were stored already when their block was cut, and were left out of it.
    pub repeated_spans: IntCounter,
    /// Panics that were caught in the receive path.
    pub panics: IntCounter,
    /// Seconds that one sync of the log takes.
    pub fsync_seconds: Histogram,
    /// Requests made durable by one sync.
    pub group_size: Histogram,
    /// Bytes in the log.
    pub wal_bytes: IntGauge,
    /// Failed writes and syncs of the log.
    pub wal_failures: IntCounter,
    /// Bytes of the log that were no records and were put aside.
    pub wal_quarantined_bytes: IntCounter,
    /// Requests read back from the log at start.
    pub replayed_requests: IntCounter,
    /// Free bytes on the log's disk.
    pub disk_free_bytes: IntGauge,
    /// Bytes of OTLP that are in memory and not yet in a block.
    pub unflushed_bytes: IntGauge,
    /// Blocks by outcome: `ok`, `failed`.
    pub flushes: IntCounterVec,
    /// Seconds from cutting a block to its being in the catalog.
    pub flush_seconds: Histogram,
}

impl Metrics {
    /// Makes the metrics and registers them.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counter = |name: &str, help: &str| -> Result<IntCounter, prometheus::Error> {
            let metric = IntCounter::with_opts(Opts::new(name, help))?;
            registry.register(Box::new(metric.clone()))?;
            Ok(metric)
        };
        let counters =
            |name: &str, help: &str, label: &str| -> Result<IntCounterVec, prometheus::Error> {
                let metric = IntCounterVec::new(Opts::new(name, help), &[label])?;
                registry.register(Box::new(metric.clone()))?;
                Ok(metric)
            };
        let gauge = |name: &str, help: &str| -> Result<IntGauge, prometheus::Error> {
            let metric = IntGauge::with_opts(Opts::new(name, help))?;
            registry.register(Box::new(metric.clone()))?;
            Ok(metric)
        };
        let histogram = |name: &str,
                         help: &str,
                         start: f64,
                         count: usize|
         -> Result<Histogram, prometheus::Error> {
            let buckets = prometheus::exponential_buckets(start, 2.0, count)?;
            let metric = Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets))?;
            registry.register(Box::new(metric.clone()))?;
            Ok(metric)
        };
        Ok(Self {
            requests: counters(
                "spandrel_ingest_requests_total",
                "Export requests by outcome",
                "outcome",
            )?,
            spans: counters(
                "spandrel_ingest_spans_total",
                "Spans received, by what became of them",
                "outcome",
            )?,
            request_bytes: counter(
                "spandrel_ingest_bytes_total",
                "Bytes of accepted requests, decompressed",
            )?,
            limit_hits: counters(
                "spandrel_limit_hits_total",
                "Refusals by error code",
                "code",
            )?,
            repeated_spans: counter(
                "spandrel_ingest_repeated_spans_total",
                "Spans that were stored already when their block was cut, and were left out of it.",
            )?,
            panics: counter(
                "spandrel_ingest_panics_total",
                "Panics caught in the receive path",
            )?,
            fsync_seconds: histogram(
                "spandrel_wal_fsync_seconds",
                "Time of one sync of the log",
                0.000_1,
                16,
            )?,
            group_size: histogram(
                "spandrel_wal_group_requests",
                "Requests made durable by one sync",
                1.0,
                12,
            )?,
            wal_bytes: gauge("spandrel_wal_bytes", "Bytes in the log")?,
            wal_failures: counter(
                "spandrel_wal_failures_total",
                "Failed writes and syncs of the log",
            )?,
            wal_quarantined_bytes: counter(
                "spandrel_wal_quarantined_bytes_total",
                "Bytes of the log that were damaged and put aside",
            )?,
            replayed_requests: counter(
                "spandrel_wal_replayed_requests_total",
                "Requests read back at start",
            )?,
            disk_free_bytes: gauge("spandrel_disk_free_bytes", "Free bytes on the log's disk")?,
            unflushed_bytes: gauge(
                "spandrel_ingest_unflushed_bytes",
                "Bytes of OTLP not yet in a block",
            )?,
            flushes: counters(
                "spandrel_ingest_flushes_total",
                "Blocks written, by outcome",
                "outcome",
            )?,
            flush_seconds: histogram(
                "spandrel_ingest_flush_seconds",
                "Time to store a block",
                0.01,
                14,
            )?,
        })
    }

    /// Counts spans of one outcome.
    pub(crate) fn count_spans(&self, outcome: &str, count: u64) {
        if count > 0 {
            self.spans.with_label_values(&[outcome]).inc_by(count);
        }
    }
}

/// A count as the signed number that gauges hold.
pub(crate) fn gauge_value(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
