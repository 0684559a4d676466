//! Keeping the store in order while the process runs: merging blocks, deleting those that are too old,
//! removing what nothing names any more.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry};
use storage::catalog::{self, Catalog, Edit};
use storage::compaction::workers::Workers;
use storage::ids::TenantId;
use storage::maintenance::compactor::{Compacted, Compactor};
use storage::maintenance::retention;
use storage::maintenance::sweep::{self, Sightings, Swept};
use storage::snapshot::Times;
use storage::{Clock, Random, StorageError, StoredBlocks};

use crate::config::MaintenanceConfig;

/// Pause between two rounds.
const ROUND_EVERY: Duration = Duration::from_secs(15);
/// How often blocks of all times are looked at, rather than the newest; and whether some are too old.
const ALL_EVERY: Duration = Duration::from_secs(60 * 60);
/// How often the store is listed for objects that nothing names.
const LIST_EVERY: Duration = Duration::from_secs(24 * 60 * 60);
/// Blocks that ended so long ago are looked at in every round: windows that are open or settle, and the
/// day that they are of.
const RECENT_NS: i64 = 26 * 60 * 60 * 1_000_000_000;
/// A wall clock that moved so much more than time has passed was set.
const JUMP: Duration = Duration::from_secs(10 * 60);
/// For how long nothing is deleted after the clock was set.
const MISTRUST: Duration = Duration::from_secs(24 * 60 * 60);

/// What maintenance counts.
#[derive(Debug, Clone)]
pub struct MaintenanceMetrics {
    jobs: IntCounterVec,
    spans: IntCounter,
    repeated: IntCounter,
    bytes_read: IntCounter,
    bytes_written: IntCounter,
    seconds: Histogram,
    expired: IntCounter,
    swept: IntCounter,
    block_bytes: IntGauge,
    waiting: IntGauge,
}

impl MaintenanceMetrics {
    /// Registers the metrics.
    ///
    /// # Errors
    /// If others of the same names are registered.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counter = |name: &str, help: &str| -> Result<IntCounter, prometheus::Error> {
            let counter = IntCounter::new(name, help)?;
            registry.register(Box::new(counter.clone()))?;
            Ok(counter)
        };
        let jobs = IntCounterVec::new(
            Opts::new(
                "spandrel_compaction_jobs_total",
                "Jobs of compaction, by why they were done and how they ended.",
            ),
            &["reason", "result"],
        )?;
        registry.register(Box::new(jobs.clone()))?;
        let seconds = Histogram::with_opts(
            HistogramOpts::new(
                "spandrel_compaction_seconds",
                "How long jobs of compaction took.",
            )
            .buckets(prometheus::exponential_buckets(0.1, 2.0, 12)?),
        )?;
        registry.register(Box::new(seconds.clone()))?;
        let waiting = IntGauge::new(
            "spandrel_compaction_waiting_jobs",
            "Jobs of compaction that were due when last looked.",
        )?;
        registry.register(Box::new(waiting.clone()))?;
        let block_bytes = IntGauge::new(
            "spandrel_store_block_bytes",
            "Bytes of all live blocks, where storage.trace.local.max_bytes limits them.",
        )?;
        registry.register(Box::new(block_bytes.clone()))?;
        Ok(Self {
            jobs,
            block_bytes,
            seconds,
            waiting,
            spans: counter(
                "spandrel_compaction_spans_total",
                "Spans that compaction has written.",
            )?,
            repeated: counter(
                "spandrel_compaction_repeated_spans_total",
                "Spans that came twice, of which compaction kept one.",
            )?,
            bytes_read: counter(
                "spandrel_compaction_read_bytes_total",
                "Bytes of the blocks that compaction has rewritten.",
            )?,
            bytes_written: counter(
                "spandrel_compaction_written_bytes_total",
                "Bytes of the blocks that compaction has written.",
            )?,
            expired: counter(
                "spandrel_retention_deleted_blocks_total",
                "Blocks that were deleted because they were too old, or the oldest of too many.",
            )?,
            swept: counter(
                "spandrel_gc_removed_objects_total",
                "Objects that were removed because nothing names them any more.",
            )?,
        })
    }
}

/// Keeps a store in order.
#[derive(Debug)]
pub struct Maintenance {
    stored: Arc<StoredBlocks>,
    config: MaintenanceConfig,
    clock: Arc<dyn Clock>,
    random: Arc<Random>,
    metrics: MaintenanceMetrics,
    workers: Workers,
    trust: Trust,
    tenants: BTreeMap<TenantId, OfTenant>,
}

/// What was done for a tenant, and when.
#[derive(Debug, Default)]
struct OfTenant {
    looked_at_all: Option<Instant>,
    listed: Option<Instant>,
    /// The version of the catalog up to which what it took out is removed.
    swept: u64,
    unnamed: Sightings,
}

impl Maintenance {
    /// What keeps this store in order.
    ///
    /// # Errors
    /// The system has no threads left.
    pub fn new(
        stored: Arc<StoredBlocks>,
        config: MaintenanceConfig,
        clock: Arc<dyn Clock>,
        random: Arc<Random>,
        metrics: MaintenanceMetrics,
    ) -> Result<Self, StorageError> {
        Ok(Self {
            trust: Trust::new(&*clock),
            workers: Workers::start(config.concurrency)?,
            stored,
            config,
            clock,
            random,
            metrics,
            tenants: BTreeMap::new(),
        })
    }

    /// Works until the future is dropped, which leaves at most objects that nothing names.
    pub async fn run(mut self) {
        match self.config.retention {
            Some(keep) => tracing::info!(
                retention_s = keep.as_secs(),
                "blocks are deleted once their last span ended longer ago (backend_worker.compaction.block_retention)"
            ),
            None => tracing::info!(
                "blocks are kept for ever (backend_worker.compaction.block_retention)"
            ),
        }
        loop {
            tokio::time::sleep(ROUND_EVERY / 2 + self.random.up_to(ROUND_EVERY)).await;
            if let Err(error) = self.round().await {
                tracing::warn!(%error, "cannot tell which tenants there are");
            }
        }
    }

    /// Looks after each tenant once.
    ///
    /// # Errors
    /// The store cannot be listed.
    async fn round(&mut self) -> Result<(), StorageError> {
        let (store, prefix) = (self.stored.store(), self.stored.prefix());
        let tenants: BTreeSet<TenantId> = catalog::tenants(&**store, prefix)
            .await?
            .into_iter()
            .collect();
        self.tenants.retain(|tenant, _| tenants.contains(tenant));
        if let Some(max_bytes) = self.config.max_bytes
            && let Err(error) = self.make_room(&tenants, max_bytes).await
        {
            let error = &error as &(dyn std::error::Error + 'static);
            tracing::error!(
                error,
                max_bytes,
                "cannot delete the oldest blocks (storage.trace.local.max_bytes)"
            );
        }
        for tenant in tenants {
            if let Err(error) = self.look_after(&tenant).await {
                let error = &error as &(dyn std::error::Error + 'static);
                tracing::error!(%tenant, error, "cannot keep the blocks of a tenant in order");
            }
        }
        Ok(())
    }

    /// Deletes the oldest windows until the blocks of all tenants take no more than they may. A wrong clock
    /// does not matter here: what is oldest is so by what spans say.
    async fn make_room(
        &self,
        tenants: &BTreeSet<TenantId>,
        max_bytes: u64,
    ) -> Result<(), StorageError> {
        let mut catalogs = BTreeMap::new();
        let mut total = 0;
        for tenant in tenants {
            let catalog = self.stored.catalog(tenant).await?;
            total += catalog.newest().await?.block_bytes();
            catalogs.insert(tenant, catalog);
        }
        self.metrics
            .block_bytes
            .set(i64::try_from(total).unwrap_or(i64::MAX));
        if total <= max_bytes {
            return Ok(());
        }
        let mut blocks = Vec::new();
        for catalog in catalogs.values() {
            let root = catalog.newest().await?;
            blocks.extend(catalog.blocks(&root, &Times::ALL.spans).await?);
        }
        for (window, old) in retention::beyond(&blocks, max_bytes) {
            for (tenant, catalog) in &catalogs {
                let of_tenant = old.iter().filter(|block| block.tenant == **tenant);
                let of_tenant: Vec<_> = of_tenant.map(Arc::clone).collect();
                if of_tenant.is_empty() {
                    continue;
                }
                let spans: u64 = of_tenant.iter().map(|block| block.row_count).sum();
                let count = of_tenant.len();
                let edit = Edit::replace(of_tenant, Vec::new(), &self.random);
                catalog.commit(edit).await?;
                self.metrics
                    .expired
                    .inc_by(u64::try_from(count).unwrap_or(0));
                tracing::warn!(
                    %tenant,
                    window_s = window.start_s,
                    blocks = count,
                    spans,
                    total_bytes = total,
                    max_bytes,
                    "deleted the oldest blocks, because all of them take more than storage.trace.local.max_bytes"
                );
            }
        }
        Ok(())
    }

    async fn look_after(&mut self, tenant: &TenantId) -> Result<(), StorageError> {
        let catalog = self.stored.catalog(tenant).await?;
        let now = self.clock.instant();
        let is_due = |last: Option<Instant>, every: Duration| {
            last.is_none_or(|last| now.saturating_duration_since(last) >= every)
        };
        let state = self.tenants.entry(tenant.clone()).or_default();
        let all = is_due(state.looked_at_all, ALL_EVERY);
        let list = is_due(state.listed, LIST_EVERY);
        if all {
            state.looked_at_all = Some(now);
        }
        if list {
            state.listed = Some(now);
        }
        let is_trusted = self.trust.of(&*self.clock);
        if let (Some(keep), true, true) = (self.config.retention, all, is_trusted) {
            self.expire(&catalog, keep).await?;
        }
        self.compact(&catalog, all).await?;
        if is_trusted {
            self.sweep(&catalog, list).await?;
        }
        Ok(())
    }

    /// Does the jobs that are due, one after the other.
    async fn compact(&self, catalog: &Arc<Catalog>, all: bool) -> Result<(), StorageError> {
        let compactor = Compactor {
            store: Arc::clone(self.stored.store()),
            prefix: self.stored.prefix().clone(),
            catalog: Arc::clone(catalog),
            random: Arc::clone(&self.random),
            max_block_bytes: self.config.max_block_bytes,
            workers: self.workers.clone(),
        };
        let now_ns = self.clock.now_ns();
        let times = match all {
            true => Times::ALL.spans,
            false => now_ns.saturating_sub(RECENT_NS)..=i64::MAX,
        };
        let (jobs, blocks) = compactor.due(&times, now_ns).await?;
        let tenant = catalog.tenant();
        for (left, job) in (0..jobs.len()).rev().zip(jobs) {
            self.metrics
                .waiting
                .set(i64::try_from(left).unwrap_or(i64::MAX));
            let (reason, started) = (job.reason.name(), self.clock.instant());
            let done = compactor.run(job, &blocks).await;
            let took = self.clock.instant() - started;
            self.metrics.seconds.observe(took.as_secs_f64());
            let result = match done {
                Ok(Some(compacted)) => {
                    self.tell(tenant, &compacted, took);
                    "ok"
                }
                Ok(None) => "overtaken",
                Err(error) => {
                    let error = &error as &(dyn std::error::Error + 'static);
                    tracing::error!(%tenant, reason, error, "cannot merge blocks; they stay as they are");
                    "failed"
                }
            };
            self.metrics.jobs.with_label_values(&[reason, result]).inc();
        }
        Ok(())
    }

    fn tell(&self, tenant: &TenantId, compacted: &Compacted, took: Duration) {
        let Compacted { job, rewritten } = compacted;
        let files = rewritten
            .outputs
            .iter()
            .filter_map(|block| block.file.as_ref());
        let written: u64 = files.map(|file| file.size_bytes).sum();
        self.metrics.spans.inc_by(rewritten.spans_out);
        self.metrics.repeated.inc_by(rewritten.duplicates_dropped());
        self.metrics.bytes_read.inc_by(job.bytes);
        self.metrics.bytes_written.inc_by(written);
        tracing::info!(
            %tenant,
            reason = job.reason.name(),
            window_s = job.window.start_s,
            inputs = job.inputs.len(),
            outputs = rewritten.outputs.len(),
            spans = rewritten.spans_out,
            repeated = rewritten.duplicates_dropped(),
            bytes_read = job.bytes,
            bytes_written = written,
            took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            "blocks were merged"
        );
    }

    /// Takes blocks that are too old out of the catalog.
    async fn expire(&self, catalog: &Catalog, keep: Duration) -> Result<(), StorageError> {
        let root = catalog.newest().await?;
        let keep_ns = i64::try_from(keep.as_nanos()).unwrap_or(i64::MAX);
        let times = i64::MIN..=self.clock.now_ns().saturating_sub(keep_ns);
        let blocks = catalog.blocks(&root, &times).await?;
        let old = retention::expired(&blocks, self.clock.now_ns(), keep);
        if old.is_empty() {
            return Ok(());
        }
        let spans: u64 = old.iter().map(|block| block.row_count).sum();
        let count = old.len();
        catalog
            .commit(Edit::replace(old, Vec::new(), &self.random))
            .await?;
        self.metrics
            .expired
            .inc_by(u64::try_from(count).unwrap_or(0));
        let tenant = catalog.tenant();
        tracing::info!(%tenant, blocks = count, spans, "deleted blocks that are too old");
        Ok(())
    }

    /// Removes what nothing names any more.
    async fn sweep(&mut self, catalog: &Catalog, list: bool) -> Result<(), StorageError> {
        let (store, prefix) = (self.stored.store(), self.stored.prefix());
        let state = self.tenants.entry(catalog.tenant().clone()).or_default();
        let now_ms = u64::try_from(self.clock.now_ns() / 1_000_000).unwrap_or_default();
        let (mut swept, until) =
            sweep::removed(store, prefix, catalog, now_ms, state.swept).await?;
        state.swept = until;
        if list {
            let unnamed = sweep::unnamed(store, prefix, catalog).await?;
            let old = state.unnamed.long_there(unnamed, self.clock.instant());
            swept.add(sweep::remove_all(store, &old).await?);
        }
        if swept != Swept::default() {
            self.metrics.swept.inc_by(swept.objects);
            let tenant = catalog.tenant();
            tracing::info!(%tenant, objects = swept.objects, versions = swept.versions, "removed what nothing names any more");
        }
        Ok(())
    }
}

/// Whether the wall clock can be believed. What is deleted by a clock that somebody set a year ahead is gone.
#[derive(Debug)]
struct Trust {
    last: (i64, Instant),
    mistrusted: Option<Instant>,
}

impl Trust {
    fn new(clock: &dyn Clock) -> Self {
        Self {
            last: (clock.now_ns(), clock.instant()),
            mistrusted: None,
        }
    }

    fn of(&mut self, clock: &dyn Clock) -> bool {
        let (wall_ns, instant) = (clock.now_ns(), clock.instant());
        let moved_ns = i128::from(wall_ns) - i128::from(self.last.0);
        let passed = instant.saturating_duration_since(self.last.1);
        let passed_ns = i128::try_from(passed.as_nanos()).unwrap_or(i128::MAX);
        let jump_ns = i128::try_from(JUMP.as_nanos()).unwrap_or(i128::MAX);
        self.last = (wall_ns, instant);
        if (moved_ns - passed_ns).abs() > jump_ns {
            self.mistrusted = Some(instant);
            let jumped_s =
                i64::try_from((moved_ns - passed_ns) / 1_000_000_000).unwrap_or_default();
            tracing::warn!(jumped_s, "the clock was set; nothing is deleted for a day");
        }
        self.mistrusted
            .is_none_or(|since| instant.saturating_duration_since(since) >= MISTRUST)
    }
}
