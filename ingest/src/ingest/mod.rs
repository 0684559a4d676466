//! The receive path without its transports: from the bytes of a request to an acknowledgement.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use bytes::Bytes;
use object_store::ObjectStore;
use object_store::path::Path;
use storage::ids::{BlockId, TenantId};
use storage::{Snapshot, SnapshotSource, StorageError, StoredBlocks};
use tokio::sync::{Mutex, Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use crate::budget::{Budget, Share};
use crate::config::IngestConfig;
use crate::decompress::Encoding;
use crate::disk::Disk;
use crate::error::{AppendError, FlushError, OpenError, PushError};
use crate::flush::Flusher;
use crate::head::Head;
use crate::metrics::Metrics;
use crate::prepare::{Format, Prepared, Received, Refused, Rules, prepare};
use crate::rates::Rates;
use crate::retries::{Admission, RetryWindow};
use crate::wal::replay::{self, Replay};
use crate::wal::writer::{Append, Log, Seal};

/// How often generations are looked at for their age.
const TICK: Duration = Duration::from_millis(250);
/// How long a sender is kept waiting at most before it is told that memory for spans that are not yet
/// stored is used up. Storing some takes less, unless storage is slow; and it is far less than senders
/// wait for an answer.
const WAIT_FOR_ROOM: Duration = Duration::from_secs(1);
/// Requests in protobuf up to this size are checked and packed where they arrive, which takes some 150 µs
/// at most if they are plain: handing them to another thread and back would cost a good part of that.
const INLINE_BYTES: usize = 128 << 10;
/// As [`INLINE_BYTES`], in JSON, which takes several times as long.
const INLINE_JSON_BYTES: usize = 16 << 10;

/// What became of an accepted request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PushOutcome {
    /// Spans that are durable and visible now.
    pub accepted: u64,
    /// Spans turned away, for good.
    pub rejected: u64,
    /// Whether the same request had been accepted before; its spans are stored once.
    pub duplicate: bool,
    /// What the sender should know; empty if all is well.
    pub message: String,
}

/// What was left at shutdown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShutdownReport {
    /// Blocks that could not be stored. Their spans are in the log and come back at the next start.
    pub blocks_left_in_log: usize,
}

/// The receive path of a process.
pub struct Ingest {
    config: IngestConfig,
    rules: Arc<Rules>,
    head: Arc<Head>,
    log: Log,
    retries: Arc<RetryWindow>,
    stored: Arc<StoredBlocks>,
    budget: Budget,
    metrics: Metrics,
    closing: AtomicBool,
    stop: watch::Sender<bool>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

impl fmt::Debug for Ingest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ingest")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl Ingest {
    /// Reads the log back and starts to work. Spans from the log are visible once this returns.
    ///
    /// `disk` holds the log; `store` and `prefix` say where blocks go.
    pub async fn open(
        config: IngestConfig,
        disk: Arc<dyn Disk>,
        store: Arc<dyn ObjectStore>,
        prefix: Path,
        metrics: Metrics,
    ) -> Result<Arc<Self>, OpenError> {
        let (sealed, to_flush) = mpsc::unbounded_channel();
        let head = Arc::new(Head::new(Arc::clone(&disk), metrics.clone(), sealed));
        let retries = Arc::new(RetryWindow::new(
            config.ingest.retry_window_requests,
            config.ingest.retry_window,
        ));
        let stored = Arc::new(StoredBlocks::new(Arc::clone(&store), prefix.clone()));
        let (stop, stopping) = watch::channel(false);
        let flusher = Arc::new(Flusher {
            head: Arc::clone(&head),
            store,
            prefix,
            stored: Arc::clone(&stored),
            metrics: metrics.clone(),
            permits: Arc::new(Semaphore::new(config.live_store.flush_concurrency.max(1))),
            stopping,
        });
        let flushing = tokio::spawn(flusher.run(to_flush));

        let mut numbering = BTreeMap::new();
        for tenant in replay::tenants(&*disk)? {
            let catalog = stored
                .catalog(&tenant)
                .await
                .map_err(|error| OpenError::Catalog(Box::new(error)))?;
            let blocks: HashSet<BlockId> = catalog
                .current()
                .blocks
                .iter()
                .map(|block| block.block_id)
                .collect();
            let (disk, head, retries, metrics) = (
                Arc::clone(&disk),
                Arc::clone(&head),
                Arc::clone(&retries),
                metrics.clone(),
            );
            let max_bytes = config.live_store.max_unflushed_bytes;
            let name = tenant.clone();
            let replayed = tokio::task::spawn_blocking(move || {
                let replay = Replay {
                    disk: &*disk,
                    head: &head,
                    retries: &retries,
                    metrics: &metrics,
                };
                // A log of any size is read with bounded memory: what was read is stored first.
                replay.tenant(&name, &blocks, || {
                    while head.bytes() > max_bytes {
                        std::thread::sleep(Duration::from_millis(20));
                    }
                })
            });
            let replayed = replayed
                .await
                .map_err(|error| OpenError::Thread(std::io::Error::other(error)))??;
            numbering.insert(tenant, replayed);
        }

        let log = Log::start(
            &config,
            disk,
            Arc::clone(&head),
            Arc::clone(&retries),
            metrics.clone(),
            numbering,
        )?;
        let ingest = Arc::new(Self {
            budget: Budget::new(config.ingest.max_decode_memory_bytes),
            rules: Arc::new(Rules {
                limits: config.ingest.clone(),
                rates: Rates::new(&config.rates),
            }),
            config,
            head,
            log,
            retries,
            stored,
            metrics,
            closing: AtomicBool::new(false),
            stop,
            tasks: Mutex::new(vec![flushing]),
        });
        let ticking = tokio::spawn(tick(Arc::downgrade(&ingest)));
        ingest.tasks.lock().await.push(ticking);
        Ok(ingest)
    }

    /// Accepts the spans of an `ExportTraceServiceRequest` in protobuf. When this returns without
    /// error they are durable, and visible to every snapshot taken from then on. The bytes stay in
    /// memory until then and longer, with all of the memory that they may be a small part of.
    ///
    /// Dropping the future does not undo anything: the request may be accepted or not.
    pub async fn push(&self, tenant: &TenantId, request: Bytes) -> Result<PushOutcome, PushError> {
        let mut memory = self.budget.share();
        memory.grow(request.len())?;
        let received = Received {
            body: request,
            encoding: Encoding::Identity,
            format: Format::Protobuf,
            memory,
        };
        self.receive(tenant, received).await
    }

    /// Whether requests can be accepted, and if not, why.
    pub fn readiness(&self) -> Result<(), PushError> {
        if self.closing.load(Ordering::Relaxed) {
            Err(PushError::ShuttingDown)
        } else if let Some(trouble) = self.log.health.trouble() {
            Err(self.push_error(trouble))
        } else if self.head.bytes() >= self.config.live_store.max_unflushed_bytes {
            Err(PushError::Overloaded {
                resource: "the memory for spans not yet stored",
                key: "live_store.max_unflushed_bytes",
            })
        } else {
            Ok(())
        }
    }

    /// Cuts all generations and waits until those that exist now are stored, however long the store
    /// takes.
    pub async fn flush(&self) {
        let before: BTreeSet<BlockId> = self.head.ids().into_iter().collect();
        self.log.seal(Seal::All).await;
        loop {
            let left = self.head.left.notified();
            if !self.head.ids().iter().any(|id| before.contains(id)) {
                return;
            }
            left.await;
        }
    }

    /// Refuses new requests, finishes those under way, and tries once to store what is in memory.
    /// What cannot be stored stays in the log.
    pub async fn shutdown(&self) -> ShutdownReport {
        self.closing.store(true, Ordering::Relaxed);
        self.log.seal(Seal::All).await;
        self.log.stop().await;
        // The receivers of this live as long as the tasks below.
        let _ = self.stop.send(true);
        for task in self.tasks.lock().await.drain(..) {
            if let Err(error) = task.await {
                tracing::error!(%error, "a background task of the receive path failed");
            }
        }
        ShutdownReport {
            blocks_left_in_log: self.head.ids().len(),
        }
    }

    /// Tenants with spans that are not yet in a stored block.
    #[must_use]
    pub fn live_tenants(&self) -> Vec<TenantId> {
        self.head.tenants()
    }

    pub(crate) fn config(&self) -> &IngestConfig {
        &self.config
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// A share of the memory for requests.
    pub(crate) fn memory(&self) -> Share {
        self.budget.share()
    }

    /// Accepts a request as it came over a transport.
    pub(crate) async fn receive(
        &self,
        tenant: &TenantId,
        received: Received,
    ) -> Result<PushOutcome, PushError> {
        let result = self.accept(tenant, received).await;
        match &result {
            Ok(outcome) => {
                let requests = if outcome.duplicate {
                    "duplicate"
                } else if outcome.rejected > 0 {
                    "partial"
                } else {
                    "ok"
                };
                self.metrics.requests.with_label_values(&[requests]).inc();
                self.metrics.count_spans(
                    if outcome.duplicate {
                        "duplicate"
                    } else {
                        "stored"
                    },
                    outcome.accepted,
                );
                self.metrics.count_spans("rejected", outcome.rejected);
            }
            Err(Refused { error, spans }) => self.count_refused(error, *spans),
        }
        result.map_err(|refused| refused.error)
    }

    /// Waits a little while spans that are not yet stored take up all the memory they may. Asked before a
    /// body is read, so that it waits with its sender, and need not be sent again.
    pub(crate) async fn room(&self) -> Result<(), PushError> {
        let deadline = tokio::time::Instant::now() + WAIT_FOR_ROOM;
        loop {
            // Whoever leaves after this is noticed.
            let left = self.head.left.notified();
            let Err(error @ PushError::Overloaded { .. }) = self.readiness() else {
                return Ok(());
            };
            if tokio::time::timeout_at(deadline, left).await.is_err() {
                self.count_refused(&error, 0);
                return Err(error);
            }
        }
    }

    fn count_refused(&self, error: &PushError, spans: u64) {
        self.metrics.requests.with_label_values(&["refused"]).inc();
        self.metrics
            .limit_hits
            .with_label_values(&[error.code()])
            .inc();
        self.metrics.count_spans("refused", spans);
    }

    async fn accept(&self, tenant: &TenantId, received: Received) -> Result<PushOutcome, Refused> {
        match self.readiness() {
            // A failed log may be writable again, and only writing can tell.
            Ok(())
            | Err(PushError::WalUnavailable | PushError::DiskFull | PushError::DiskLow { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        let prepared = self.prepare(tenant, received).await?;
        let Prepared {
            spans,
            report,
            request_hash,
            packed,
            request_len,
            memory,
        } = prepared;
        let accepted = spans.span_count() as u64;
        for (code, count) in report.reasons() {
            self.metrics
                .limit_hits
                .with_label_values(&[code])
                .inc_by(count);
        }
        let mut outcome = PushOutcome {
            accepted,
            rejected: report.rejected(),
            duplicate: false,
            message: report.message(),
        };
        if accepted == 0 {
            return Ok(outcome);
        }
        let refused = |error| Refused {
            error,
            spans: accepted + outcome.rejected,
        };
        let appended = match self.retries.admit(request_hash) {
            Admission::Durable => {
                outcome.duplicate = true;
                return Ok(outcome);
            }
            Admission::InFlight(other) => {
                outcome.duplicate = true;
                other.await
            }
            Admission::New => {
                let (reply, wait) = oneshot::channel();
                let tenant = tenant.clone();
                let append = Append {
                    tenant,
                    request_hash,
                    packed,
                    request_len,
                    spans,
                    memory,
                    reply,
                };
                if let Err(error) = self.log.append(Box::new(append)) {
                    self.retries.complete(request_hash, &Err(error));
                    return Err(refused(self.push_error(error)));
                }
                wait.await
            }
        };
        match appended.unwrap_or(Err(AppendError::Unavailable)) {
            Ok(()) => {
                if !outcome.duplicate {
                    self.metrics.request_bytes.inc_by(u64::from(request_len));
                }
                Ok(outcome)
            }
            Err(error) => Err(refused(self.push_error(error))),
        }
    }

    async fn prepare(&self, tenant: &TenantId, received: Received) -> Result<Prepared, Refused> {
        let now_ns = now_ns();
        let longest = match received.format {
            Format::Protobuf => INLINE_BYTES,
            Format::Json => INLINE_JSON_BYTES,
        };
        if received.encoding == Encoding::Identity && received.body.len() <= longest {
            return prepare(tenant, received, &self.rules, now_ns);
        }
        let (rules, tenant) = (Arc::clone(&self.rules), tenant.clone());
        let prepared =
            tokio::task::spawn_blocking(move || prepare(&tenant, received, &rules, now_ns));
        prepared.await.unwrap_or_else(|_| {
            self.metrics.panics.inc();
            Err(PushError::Internal.into())
        })
    }

    fn push_error(&self, error: AppendError) -> PushError {
        match error {
            AppendError::DiskLow => PushError::DiskLow {
                limit: self.config.wal.low_water_bytes,
            },
            AppendError::DiskFull => PushError::DiskFull,
            AppendError::Unavailable if self.closing.load(Ordering::Relaxed) => {
                PushError::ShuttingDown
            }
            AppendError::Unavailable => PushError::WalUnavailable,
        }
    }
}

#[async_trait]
impl SnapshotSource for Ingest {
    async fn snapshot(&self, tenant: &TenantId) -> Result<Snapshot, StorageError> {
        loop {
            // First the head, then the catalog: a generation leaves the head only after its block is
            // in the catalog, so nothing is missed, and what is in both is left out below.
            let generations = self.head.live(tenant);
            let mut live = Vec::with_capacity(generations.len());
            for generation in &generations {
                live.push(generation.encoded().await.map_err(live_error)?);
            }
            let manifest = self.stored.snapshot(tenant).await?.manifest;
            // A generation that has left, but whose block is not in this catalog, may by now be part
            // of a compacted block that is.
            let still_there: HashSet<BlockId> =
                self.head.live(tenant).iter().map(|g| g.id()).collect();
            let settled = live.iter().all(|block| {
                let id = block.meta.block_id;
                manifest.block(id).is_some() || still_there.contains(&id)
            });
            if settled {
                live.retain(|block| manifest.block(block.meta.block_id).is_none());
                return Ok(Snapshot { manifest, live });
            }
        }
    }
}

fn live_error(error: FlushError) -> StorageError {
    StorageError::Internal(format!("cannot encode unstored spans: {error}"))
}

/// Cuts generations that are due, until the receive path is gone or stops.
async fn tick(ingest: std::sync::Weak<Ingest>) {
    let Some(mut stopping) = ingest.upgrade().map(|ingest| ingest.stop.subscribe()) else {
        return;
    };
    loop {
        if tokio::time::timeout(TICK, stopping.wait_for(|stopping| *stopping))
            .await
            .is_ok()
        {
            return;
        }
        let Some(ingest) = ingest.upgrade() else {
            return;
        };
        ingest.log.seal(Seal::Due).await;
    }
}

fn now_ns() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
