//! Putting the receive path together, and reading the log back.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Weak};
use std::time::Duration;

use storage::block::BlockCache;
use storage::ids::TenantId;
use storage::{Clock, Random, StoredBlocks};
use tokio::sync::{Mutex, Semaphore, mpsc, watch};

use super::Ingest;
use crate::budget::Budget;
use crate::config::IngestConfig;
use crate::disk::Disk;
use crate::error::OpenError;
use crate::flush::Flusher;
use crate::head::Head;
use crate::metrics::Metrics;
use crate::prepare::Rules;
use crate::rates::Rates;
use crate::retries::RetryWindow;
use crate::wal::{self, Log, LogParts, Numbering, Replay, Seal};

/// Footers and filters of blocks that are held while repeated spans are looked for.
const CACHE_BYTES: u64 = 64 << 20;
/// How often generations are looked at for their age.
const TICK: Duration = Duration::from_millis(250);
/// How often the start looks whether memory has become free for the next segment of the log.
const DRAIN_POLL: Duration = Duration::from_millis(20);

/// What the receive path is put together from.
#[derive(Debug)]
pub struct IngestParts {
    /// The settings of the receive path.
    pub config: IngestConfig,
    /// Holds the write-ahead log.
    pub disk: Arc<dyn Disk>,
    /// Where blocks go.
    pub stored: Arc<StoredBlocks>,
    /// Counts what happens.
    pub metrics: Metrics,
    /// Says what time it is.
    pub clock: Arc<dyn Clock>,
    /// Makes up ids of blocks and nonces of commits.
    pub random: Arc<Random>,
}

impl Ingest {
    /// Reads the log back and starts to work. Spans from the log are visible once this returns.
    ///
    /// # Errors
    /// The log cannot be read, listed or removed from, or a newer version wrote it; the catalog of a
    /// tenant with a log cannot be read; or a thread cannot be started.
    pub async fn open(parts: IngestParts) -> Result<Arc<Self>, OpenError> {
        let IngestParts {
            config,
            disk,
            stored,
            metrics,
            clock,
            random,
        } = parts;
        let config = Arc::new(config);
        let (sealed, to_flush) = mpsc::unbounded_channel();
        let head = Arc::new(Head::new(
            Arc::clone(&disk),
            metrics.clone(),
            Arc::clone(&clock),
            sealed,
        ));
        let retries = Arc::new(RetryWindow::new(
            config.ingest.retry_window_requests,
            config.ingest.retry_window,
            Arc::clone(&clock),
        ));
        let (stop, stopping) = watch::channel(false);
        let flusher = Arc::new(Flusher {
            head: Arc::clone(&head),
            stored: Arc::clone(&stored),
            metrics: metrics.clone(),
            clock: Arc::clone(&clock),
            cache: Arc::new(BlockCache::new(CACHE_BYTES, 0)),
            permits: Arc::new(Semaphore::new(config.live_store.flush_concurrency.max(1))),
            stopping,
        });
        let flushing = tokio::spawn(flusher.run(to_flush));

        let log_parts = LogParts {
            config: Arc::clone(&config),
            disk,
            head: Arc::clone(&head),
            retries: Arc::clone(&retries),
            metrics: metrics.clone(),
            clock: Arc::clone(&clock),
            random,
        };
        let mut numbering = BTreeMap::new();
        for tenant in wal::tenants(&*log_parts.disk)? {
            let replayed = read_back(&log_parts, &tenant, &stored).await?;
            numbering.insert(tenant, replayed);
        }
        let log = Log::start(log_parts, numbering)?;
        let ingest = Arc::new(Self {
            budget: Budget::new(config.ingest.max_decode_memory_bytes),
            rules: Arc::new(Rules {
                limits: config.ingest.clone(),
                rates: Rates::new(&config.rates, Arc::clone(&clock)),
            }),
            config,
            head,
            log,
            retries,
            stored,
            metrics,
            clock,
            closing: AtomicBool::new(false),
            stop,
            tasks: Mutex::new(vec![flushing]),
        });
        let ticking = tokio::spawn(tick(Arc::downgrade(&ingest)));
        ingest.tasks.lock().await.push(ticking);
        Ok(ingest)
    }
}

/// Brings the spans of a tenant's log back into the head; says how far its records are numbered.
async fn read_back(
    parts: &LogParts,
    tenant: &TenantId,
    stored: &StoredBlocks,
) -> Result<Numbering, OpenError> {
    let segments = wal::segments(&*parts.disk, tenant)?;
    let blocks = async {
        let catalog = stored.catalog(tenant).await?;
        catalog.stored_among(&catalog.current(), &segments).await
    };
    let blocks = blocks
        .await
        .map_err(|error| OpenError::Catalog(Box::new(error)))?;
    let (parts, tenant) = (parts.clone(), tenant.clone());
    let replayed = tokio::task::spawn_blocking(move || {
        let replay = Replay { parts: &parts };
        let max_bytes = parts.config.live_store.max_unflushed_bytes;
        // A log of any size is read with bounded memory: what was read is stored first.
        replay.tenant(&tenant, &blocks, || {
            while parts.head.bytes() > max_bytes {
                std::thread::sleep(DRAIN_POLL);
            }
        })
    });
    replayed
        .await
        .map_err(|error| OpenError::Thread(std::io::Error::other(error)))?
}

/// Cuts generations that are due, until the receive path is gone or stops.
async fn tick(ingest: Weak<Ingest>) {
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
