//! The live head: spans that are durable in the log and not yet in a stored block.
//!
//! A *generation* is one segment of the log, and becomes one block of the same id. It is appended
//! to, then sealed, and stays here, and visible, until its block is in the catalog.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use storage::Clock;
use storage::block::{EncodeOptions, MemoryBlock, encode_requests};
use storage::ids::{BlockId, TenantId};
use storage::otlp::PlainRequest;
use tokio::sync::{Notify, OnceCell, mpsc};

use crate::disk::Disk;
use crate::error::FlushError;
use crate::metrics::{Metrics, gauge_value};

/// All generations of all tenants.
#[derive(Debug)]
pub(crate) struct Head {
    live: RwLock<HashMap<TenantId, Vec<Arc<Generation>>>>,
    /// Bytes of OTLP in all generations.
    bytes: AtomicU64,
    log_bytes: AtomicU64,
    /// Takes sealed generations to the flusher.
    sealed: mpsc::UnboundedSender<Arc<Generation>>,
    disk: Arc<dyn Disk>,
    metrics: Metrics,
    clock: Arc<dyn Clock>,
    /// Files that could not be removed yet.
    leftovers: Mutex<Vec<PathBuf>>,
    /// Told whenever a generation leaves.
    pub(crate) left: Notify,
}

/// Spans of one segment of the log.
#[derive(Debug)]
pub(crate) struct Generation {
    id: BlockId,
    tenant: TenantId,
    opened: Instant,
    content: Mutex<Content>,
}

#[derive(Debug)]
struct Content {
    /// Empty again once a sealed generation is encoded.
    requests: Vec<PlainRequest>,
    /// Requests ever appended: the position.
    appended: usize,
    sealed: bool,
    bytes: u64,
    last_append: Instant,
    log_path: PathBuf,
    log_bytes: u64,
    encoded: Encoded,
}

/// The block of the first `position` requests, made once for all who ask.
#[derive(Debug, Clone, Default)]
struct Encoded {
    position: usize,
    block: Arc<OnceCell<Arc<MemoryBlock>>>,
}

/// What decides whether a generation is due.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ages {
    /// Time since the generation was opened.
    pub(crate) opened: Duration,
    /// Time since the last append.
    pub(crate) appended: Duration,
}

impl Head {
    pub(crate) fn new(
        disk: Arc<dyn Disk>,
        metrics: Metrics,
        clock: Arc<dyn Clock>,
        sealed: mpsc::UnboundedSender<Arc<Generation>>,
    ) -> Self {
        Self {
            live: RwLock::default(),
            bytes: AtomicU64::new(0),
            log_bytes: AtomicU64::new(0),
            sealed,
            disk,
            metrics,
            clock,
            leftovers: Mutex::default(),
            left: Notify::new(),
        }
    }

    /// Adds an empty generation of a tenant, whose segment of the log lies at this path.
    pub(crate) fn open(
        &self,
        tenant: &TenantId,
        id: BlockId,
        log_path: PathBuf,
    ) -> Arc<Generation> {
        let now = self.clock.instant();
        let generation = Arc::new(Generation {
            id,
            tenant: tenant.clone(),
            opened: now,
            content: Mutex::new(Content {
                requests: Vec::new(),
                appended: 0,
                sealed: false,
                bytes: 0,
                last_append: now,
                log_path,
                log_bytes: 0,
                encoded: Encoded::default(),
            }),
        });
        let mut live = self.live.write().unwrap_or_else(PoisonError::into_inner);
        live.entry(tenant.clone())
            .or_default()
            .push(Arc::clone(&generation));
        generation
    }

    /// Shows the spans of a request, which must be durable.
    pub(crate) fn append(&self, generation: &Generation, spans: PlainRequest, bytes: u64) {
        let mut content = generation.lock();
        content.requests.push(spans);
        content.appended += 1;
        content.bytes += bytes;
        content.last_append = self.clock.instant();
        drop(content);
        self.add_bytes(bytes);
    }

    /// Notes that the segment of a generation has grown by so many bytes.
    pub(crate) fn log_grew(&self, generation: &Generation, bytes: u64) {
        generation.lock().log_bytes += bytes;
        let total = self.log_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        self.metrics.wal_bytes.set(gauge_value(total));
    }

    /// Ends a generation. Nothing may be appended to it from now on.
    pub(crate) fn seal(&self, generation: &Arc<Generation>) {
        let empty = {
            let mut content = generation.lock();
            content.sealed = true;
            content.appended == 0
        };
        if empty {
            self.remove(generation);
        } else {
            // Without a flusher, at shutdown, it stays in the log.
            let _unsent = self.sealed.send(Arc::clone(generation));
        }
    }

    /// Forgets a generation and its segment of the log: its block is in the catalog, or it is empty.
    pub(crate) fn remove(&self, generation: &Generation) {
        let mut live = self.live.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(generations) = live.get_mut(&generation.tenant) {
            generations.retain(|other| other.id != generation.id);
            if generations.is_empty() {
                live.remove(&generation.tenant);
            }
        }
        drop(live);
        let (bytes, log_bytes, log_path) = {
            let content = generation.lock();
            (content.bytes, content.log_bytes, content.log_path.clone())
        };
        let left = self.bytes.fetch_sub(bytes, Ordering::Relaxed) - bytes;
        self.metrics.unflushed_bytes.set(gauge_value(left));
        let left = self.log_bytes.fetch_sub(log_bytes, Ordering::Relaxed) - log_bytes;
        self.metrics.wal_bytes.set(gauge_value(left));
        self.remove_file(&log_path);
        self.left.notify_waiters();
    }

    /// A tenant's generations that have spans, oldest first.
    pub(crate) fn live(&self, tenant: &TenantId) -> Vec<Arc<Generation>> {
        let live = self.live.read().unwrap_or_else(PoisonError::into_inner);
        let generations = live.get(tenant).map(Vec::as_slice).unwrap_or_default();
        generations
            .iter()
            .filter(|generation| generation.lock().appended > 0)
            .cloned()
            .collect()
    }

    /// Tenants with spans here, ordered.
    pub(crate) fn tenants(&self) -> Vec<TenantId> {
        let live = self.live.read().unwrap_or_else(PoisonError::into_inner);
        let mut tenants: Vec<TenantId> = live.keys().cloned().collect();
        tenants.sort();
        tenants
    }

    /// Ids of all generations of all tenants.
    pub(crate) fn ids(&self) -> Vec<BlockId> {
        let live = self.live.read().unwrap_or_else(PoisonError::into_inner);
        let mut ids: Vec<BlockId> = live
            .values()
            .flatten()
            .map(|generation| generation.id)
            .collect();
        ids.sort();
        ids
    }

    /// Bytes of OTLP in all generations.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Removes a file, now or, if that fails, later.
    pub(crate) fn remove_file(&self, path: &Path) {
        if let Err(error) = self.disk.remove(path)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(path = %path.display(), %error, "cannot remove a file of the write-ahead log yet");
            self.leftovers
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(path.to_owned());
        }
    }

    /// Tries again to remove what could not be removed.
    pub(crate) fn retry_removals(&self) {
        let paths = std::mem::take(
            &mut *self
                .leftovers
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        );
        for path in paths {
            self.remove_file(&path);
        }
    }

    fn add_bytes(&self, bytes: u64) {
        let total = self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        self.metrics.unflushed_bytes.set(gauge_value(total));
    }
}

impl Generation {
    pub(crate) fn id(&self) -> BlockId {
        self.id
    }

    pub(crate) fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    pub(crate) fn log_path(&self) -> PathBuf {
        self.lock().log_path.clone()
    }

    pub(crate) fn set_log_path(&self, path: PathBuf) {
        self.lock().log_path = path;
    }

    /// Bytes of OTLP that were appended.
    pub(crate) fn bytes(&self) -> u64 {
        self.lock().bytes
    }

    /// How long ago the generation was opened, and how long ago it was last appended to.
    pub(crate) fn ages(&self, now: Instant) -> Ages {
        Ages {
            opened: now.duration_since(self.opened),
            appended: now.duration_since(self.lock().last_append),
        }
    }

    /// All spans of this generation so far as a block. Made on another thread, once for all who ask
    /// between two appends.
    pub(crate) async fn encoded(&self) -> Result<Arc<MemoryBlock>, FlushError> {
        let (cell, requests) = {
            let mut content = self.lock();
            if content.encoded.position != content.appended {
                content.encoded = Encoded {
                    position: content.appended,
                    block: Arc::default(),
                };
            }
            (Arc::clone(&content.encoded.block), content.requests.clone())
        };
        let block = cell.get_or_try_init(|| async {
            let options = EncodeOptions::new(self.tenant.clone(), self.id);
            let encoded =
                tokio::task::spawn_blocking(move || encode_requests(&requests, 0, &options));
            let block = encoded
                .await
                .map_err(|_| FlushError::Panicked { block: self.id })?;
            block.map(Arc::new).map_err(|error| FlushError::Store {
                block: self.id,
                source: Box::new(error),
            })
        });
        let block = block.await.cloned()?;
        self.release();
        Ok(block)
    }

    /// Gives the requests up if the block says all there will ever be to say. It is smaller.
    fn release(&self) {
        let mut content = self.lock();
        let complete =
            content.encoded.position == content.appended && content.encoded.block.initialized();
        if content.sealed && complete {
            content.requests = Vec::new();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Content> {
        // Nothing between lock and unlock panics half-way through a change.
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
