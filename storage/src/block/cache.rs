//! What readers share: parsed footers, bounded by memory, and counters of what was read.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use futures::future::BoxFuture;
use tokio::sync::OnceCell;

use crate::block::footer::BlockFooter;
use crate::error::StorageError;
use crate::ids::BlockId;

/// How much was read from the store. Shared by all readers of whatever is to be counted together.
#[derive(Debug, Default)]
pub struct ReadCounters {
    bytes: AtomicU64,
    requests: AtomicU64,
}

impl ReadCounters {
    /// Bytes received.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Requests made.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    pub(crate) fn add(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.requests.fetch_add(1, Ordering::Relaxed);
    }
}

/// Footers of blocks, the least recently used dropped first. However many readers want one at the same
/// time, one of them loads it.
///
/// With a footer goes the knowledge of which column chunks were found unharmed; a chunk is checked
/// again when its footer comes back after having been dropped.
pub struct MetadataCache {
    capacity_bytes: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    entries: HashMap<BlockId, Entry>,
    /// Footers on their way, as long as someone waits for them.
    loading: HashMap<BlockId, Weak<OnceCell<Arc<BlockFooter>>>>,
    bytes: usize,
    clock: u64,
}

struct Entry {
    footer: Arc<BlockFooter>,
    bytes: usize,
    last_used: u64,
}

impl fmt::Debug for MetadataCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let capacity_bytes = self.capacity_bytes;
        f.debug_struct("MetadataCache")
            .field("capacity_bytes", &capacity_bytes)
            .finish_non_exhaustive()
    }
}

impl MetadataCache {
    /// A cache that holds about so many bytes.
    #[must_use]
    pub fn new(capacity_bytes: usize) -> Self {
        Self {
            capacity_bytes,
            state: Mutex::default(),
        }
    }

    /// Bytes held now.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.state().bytes
    }

    /// The footer of a block: the one that is kept, or the one that `load` gives, to whoever wants it
    /// now. Where `load` fails or is dropped, the next who waits calls their own.
    ///
    /// # Errors
    ///
    /// If `load` fails.
    pub(crate) async fn get_or_load<'a>(
        &self,
        block: BlockId,
        load: impl FnOnce() -> BoxFuture<'a, Result<BlockFooter, StorageError>>,
    ) -> Result<Arc<BlockFooter>, StorageError> {
        let cell = {
            let mut state = self.state();
            if let Some(kept) = state.get(block) {
                return Ok(kept);
            }
            match state.loading.get(&block).and_then(Weak::upgrade) {
                Some(cell) => cell,
                None => {
                    let cell = Arc::default();
                    state.loading.retain(|_, cell| cell.strong_count() > 0);
                    state.loading.insert(block, Arc::downgrade(&cell));
                    cell
                }
            }
        };
        // Boxed, because every read of a block holds this future and few ever load.
        let load = || async { Ok(self.keep(block, load().await?)) };
        cell.get_or_try_init(load).await.map(Arc::clone)
    }

    fn keep(&self, block: BlockId, footer: BlockFooter) -> Arc<BlockFooter> {
        let mut state = self.state();
        state.clock += 1;
        let last_used = state.clock;
        let bytes = footer.memory_bytes();
        let footer = Arc::new(footer);
        state.bytes += bytes;
        let entry = Entry {
            footer: Arc::clone(&footer),
            bytes,
            last_used,
        };
        if let Some(before) = state.entries.insert(block, entry) {
            state.bytes -= before.bytes;
        }
        while state.bytes > self.capacity_bytes {
            // Footers are few and large, so looking at all of them is cheap against loading one.
            let oldest = state
                .entries
                .iter()
                .min_by_key(|(_, entry)| entry.last_used);
            let Some(oldest) = oldest.map(|(id, _)| *id) else {
                break;
            };
            if let Some(entry) = state.entries.remove(&oldest) {
                state.bytes -= entry.bytes;
            }
        }
        footer
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn get(&mut self, block: BlockId) -> Option<Arc<BlockFooter>> {
        self.clock += 1;
        let entry = self.entries.get_mut(&block)?;
        entry.last_used = self.clock;
        Some(Arc::clone(&entry.footer))
    }
}
