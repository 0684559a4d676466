//! What readers share: footers, trace id filters and column chunks, bounded by memory, and counters of what was read.

use std::fmt;
use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::future::BoxFuture;
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};

use crate::block::footer::BlockFooter;
use crate::block::read::encoded::ColumnChunk;
use crate::block::trace_filter::TraceIdFilter;
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

/// Filters are smaller than footers, and only look-ups by id want them.
const FILTERS_TO_FOOTERS: u64 = 4;
/// A chunk larger than this share of the cache is not kept: it would drive out too many others.
const LARGEST_SHARE: u64 = 8;

/// Footers and trace id filters of blocks, and column chunks with what was decoded of them. Blocks never change, so what is
/// here stays true; what was not used for long goes first.
///
/// However many readers want a footer at the same time, one of them loads it. With a footer goes the
/// knowledge of which column chunks were found unharmed; a chunk is checked again when its footer comes
/// back after having been dropped.
pub struct BlockCache {
    footers: Cache<BlockId, Arc<BlockFooter>, ByMemory>,
    filters: Cache<BlockId, TraceIdFilter, ByMemory>,
    chunks: Cache<ChunkKey, KeptChunk, ByMemory>,
}

/// A chunk, and what it took when it was put here: it grows while it is read.
#[derive(Clone)]
struct KeptChunk {
    chunk: Arc<ColumnChunk>,
    bytes: u64,
}

/// A column chunk: its block, its row group and its leaf column. No two blocks ever have one id, of
/// whatever tenant.
pub(crate) type ChunkKey = (BlockId, usize, usize);

impl fmt::Debug for BlockCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockCache")
            .field("footer_bytes", &self.footers.weight())
            .field("filter_bytes", &self.filters.weight())
            .field("column_bytes", &self.chunks.weight())
            .finish_non_exhaustive()
    }
}

impl BlockCache {
    /// A cache that holds about so many bytes of footers, a quarter as many of trace id filters, and at
    /// most so many of columns.
    #[must_use]
    pub fn new(footer_bytes: u64, column_bytes: u64) -> Self {
        Self {
            footers: cache(footer_bytes),
            filters: cache(footer_bytes / FILTERS_TO_FOOTERS),
            chunks: cache(column_bytes),
        }
    }

    /// Bytes held now.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        self.footers.weight() + self.filters.weight() + self.chunks.weight()
    }

    /// The footer of a block: the one that is kept, or the one that `load` gives, to whoever wants it
    /// now. Where `load` fails or is dropped, the next who waits calls their own.
    ///
    /// # Errors
    ///
    /// If `load` fails.
    pub(crate) async fn footer<'a>(
        &self,
        block: BlockId,
        load: impl FnOnce() -> BoxFuture<'a, Result<BlockFooter, StorageError>>,
    ) -> Result<Arc<BlockFooter>, StorageError> {
        // Boxed, because every read of a block holds this future and few ever load.
        let load = async { Ok(Arc::new(load().await?)) };
        self.footers.get_or_insert_async(&block, load).await
    }

    /// The trace id filter of a block, as [`footer`](Self::footer) gives the footer.
    ///
    /// # Errors
    ///
    /// If `load` fails.
    pub(crate) async fn filter<'a>(
        &self,
        block: BlockId,
        load: impl FnOnce() -> BoxFuture<'a, Result<TraceIdFilter, StorageError>>,
    ) -> Result<TraceIdFilter, StorageError> {
        let load = async { load().await };
        self.filters.get_or_insert_async(&block, load).await
    }

    /// A column chunk, if it is kept.
    pub(crate) fn chunk(&self, key: &ChunkKey) -> Option<Arc<ColumnChunk>> {
        Some(self.chunks.get(key)?.chunk)
    }

    /// Whether a column chunk of so many bytes may be kept.
    pub(crate) fn has_room_for(&self, bytes: u64) -> bool {
        bytes <= self.chunks.capacity() / LARGEST_SHARE
    }

    /// Keeps a column chunk. Said again of one that has grown, to be weighed again.
    pub(crate) fn keep(&self, key: ChunkKey, chunk: &Arc<ColumnChunk>) {
        let kept = KeptChunk {
            chunk: Arc::clone(chunk),
            bytes: chunk.memory_bytes(),
        };
        self.chunks.insert(key, kept);
    }
}

/// Weighs what is kept by the memory that it takes.
#[derive(Debug, Clone)]
struct ByMemory;

impl Weighter<BlockId, Arc<BlockFooter>> for ByMemory {
    fn weight(&self, _: &BlockId, footer: &Arc<BlockFooter>) -> u64 {
        footer.memory_bytes() as u64
    }
}

impl Weighter<BlockId, TraceIdFilter> for ByMemory {
    fn weight(&self, _: &BlockId, filter: &TraceIdFilter) -> u64 {
        filter.bits().len() as u64
    }
}

impl Weighter<ChunkKey, KeptChunk> for ByMemory {
    fn weight(&self, _: &ChunkKey, kept: &KeptChunk) -> u64 {
        kept.bytes
    }
}

#[expect(clippy::expect_used, reason = "nothing that can be missing is")]
fn cache<Key: Eq + Hash, Value: Clone>(bytes: u64) -> Cache<Key, Value, ByMemory>
where
    ByMemory: Weighter<Key, Value>,
{
    /// About what one of either takes.
    const ITEM_BYTES: u64 = 256 << 10;
    // What is kept is large and asked for once in thousands of rows: one lock is no hindrance, and
    // shards would each have to hold the largest.
    let options = OptionsBuilder::new()
        .shards(1)
        .estimated_items_capacity(usize::try_from(bytes / ITEM_BYTES).unwrap_or(usize::MAX))
        .weight_capacity(bytes)
        .build()
        .expect("both capacities are given");
    Cache::with_options(
        options,
        ByMemory,
        DefaultHashBuilder::default(),
        DefaultLifecycle::default(),
    )
}
