//! What readers share: parsed footers, bounded by memory, and counters of what was read.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::block::footer::BlockFooter;
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

/// Footers of blocks, the least recently used dropped first.
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

    pub(crate) fn get(&self, block: BlockId) -> Option<Arc<BlockFooter>> {
        let mut state = self.state();
        state.clock += 1;
        let now = state.clock;
        let entry = state.entries.get_mut(&block)?;
        entry.last_used = now;
        Some(Arc::clone(&entry.footer))
    }

    /// Keeps a footer, and gives back the one to use: where two readers loaded the same one at the
    /// same time, both go on with the first.
    pub(crate) fn insert(&self, block: BlockId, footer: BlockFooter) -> Arc<BlockFooter> {
        let mut state = self.state();
        state.clock += 1;
        let last_used = state.clock;
        if let Some(present) = state.entries.get(&block) {
            return Arc::clone(&present.footer);
        }
        let bytes = footer.memory_bytes();
        let footer = Arc::new(footer);
        state.bytes += bytes;
        let entry = Entry {
            footer: Arc::clone(&footer),
            bytes,
            last_used,
        };
        state.entries.insert(block, entry);
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
