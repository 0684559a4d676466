//! The file of a block as a source for Parquet readers, with every byte checked before it is used.
//!
//! The footer is checked against its checksum in the catalog when it is loaded. Of a column chunk
//! the whole is fetched and checked when any part of it is first wanted; from then on, as long as
//! the footer stays in the cache, only what is wanted.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::{BoxFuture, try_join_all};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::file::metadata::ParquetMetaData;

use crate::block::footer::{BlockFooter, Chunk};
use crate::block::meta::{BlockMeta, FORMAT_VERSION};
use crate::block::read::cache::{BlockCache, ReadCounters};
use crate::error::StorageError;
use crate::layout;

/// Ranges closer together than this are fetched by one request: at object store latencies the
/// bytes between cost less than another request.
const COALESCE_BYTES: u64 = 256 << 10;
/// How much of the end of a file of unknown footer size is fetched at first.
const TAIL_BYTES: u64 = 512 << 10;

/// The file of a block. Cheap to clone; clones share the footer and the counters.
#[derive(Debug, Clone)]
pub struct BlockFile {
    store: Arc<dyn ObjectStore>,
    path: Path,
    meta: Arc<BlockMeta>,
    cache: Arc<BlockCache>,
    counters: Arc<ReadCounters>,
    /// Held here too, so that a running query keeps its footer whatever the cache does.
    footer: Option<Arc<BlockFooter>>,
}

impl BlockFile {
    /// The file of a block that a manifest names. Does no I/O.
    ///
    /// # Errors
    ///
    /// If the block has a newer format than this build reads.
    pub fn new(
        store: Arc<dyn ObjectStore>,
        prefix: &Path,
        meta: Arc<BlockMeta>,
        cache: Arc<BlockCache>,
        counters: Arc<ReadCounters>,
    ) -> Result<Self, StorageError> {
        let path = layout::spans_file(prefix, &meta);
        if meta.format_version > FORMAT_VERSION {
            return Err(StorageError::NewerFormat {
                object: path.to_string(),
                found: meta.format_version,
                supported: FORMAT_VERSION,
            });
        }
        Ok(Self {
            store,
            path,
            meta,
            cache,
            counters,
            footer: None,
        })
    }

    /// A file that no manifest names: what can be known of it comes from its own footer, which
    /// nothing vouches for but its own checksums.
    ///
    /// # Errors
    ///
    /// If the file is no block, of a newer format, or damaged.
    pub async fn open_bare(store: Arc<dyn ObjectStore>, path: Path) -> Result<Self, StorageError> {
        let object = path.to_string();
        let fail = |error| StorageError::from_store("read", &object, error);
        let size = store.head(&path).await.map_err(fail)?.size;
        let mut tail_length = TAIL_BYTES.min(size);
        let footer = loop {
            let tail = store
                .get_range(&path, size - tail_length..size)
                .await
                .map_err(fail)?;
            match BlockFooter::parse(&object, &tail, size) {
                Err(StorageError::Parquet { source, .. }) if tail_length < size => {
                    let wanted = match &*source {
                        parquet::errors::ParquetError::NeedMoreData(wanted) => *wanted as u64,
                        _ => return Err(StorageError::Parquet { object, source }),
                    };
                    // At least double, so that this ends soon whatever the file asks for.
                    tail_length = wanted.max(tail_length * 2).min(size);
                }
                other => break other?,
            }
        };
        let meta = Arc::new(footer.block_meta(&object)?);
        let cache = Arc::new(BlockCache::new(0, 0));
        let footer = Some(Arc::new(footer));
        Ok(Self {
            store,
            path,
            meta,
            cache,
            counters: Arc::default(),
            footer,
        })
    }

    /// What is known of the block.
    #[must_use]
    pub fn meta(&self) -> &Arc<BlockMeta> {
        &self.meta
    }

    /// Where the file is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The store that the file is in.
    pub(super) fn store(&self) -> &Arc<dyn ObjectStore> {
        &self.store
    }

    /// The cache that the file shares with those of other blocks.
    pub(super) fn cache(&self) -> &Arc<BlockCache> {
        &self.cache
    }

    /// The counters given on creation.
    #[must_use]
    pub fn counters(&self) -> &Arc<ReadCounters> {
        &self.counters
    }

    /// The footer, from the cache or the store; one request at most, and that for all who wait for it.
    ///
    /// # Errors
    ///
    /// If the store fails, or the footer is damaged.
    pub async fn footer(&mut self) -> Result<Arc<BlockFooter>, StorageError> {
        if let Some(footer) = &self.footer {
            return Ok(Arc::clone(footer));
        }
        let load = || self.load_footer().boxed();
        let footer = self.cache.footer(self.meta.block_id, load).await?;
        self.footer = Some(Arc::clone(&footer));
        Ok(footer)
    }

    /// The metadata as the library's Arrow readers want it.
    pub(super) async fn arrow(&mut self) -> Result<ArrowReaderMetadata, StorageError> {
        let footer = self.footer().await?;
        let arrow = footer.arrow();
        arrow
            .cloned()
            .map_err(|error| StorageError::from_parquet(self.path.as_ref(), error))
    }

    async fn load_footer(&self) -> Result<BlockFooter, StorageError> {
        let object = self.path.to_string();
        let file = self.meta.file.as_ref().ok_or_else(|| {
            StorageError::Internal(format!("block {} has no file", self.meta.block_id))
        })?;
        let tail = self.fetch(file.footer_offset..file.size_bytes).await?;
        let observed = crc32c::crc32c(&tail);
        if observed != file.footer_crc32c {
            return Err(corrupt(
                &object,
                "CRC-32C of the footer",
                file.footer_crc32c,
                observed,
            ));
        }
        let footer = BlockFooter::parse(&object, &tail, file.size_bytes)?;
        let rows = u64::try_from(footer.metadata().file_metadata().num_rows()).unwrap_or(0);
        if rows != self.meta.row_count {
            return Err(StorageError::Corrupt {
                object,
                what: "number of rows".to_owned(),
                expected: self.meta.row_count.to_string(),
                observed: rows.to_string(),
            });
        }
        Ok(footer)
    }

    async fn fetch(&self, range: Range<u64>) -> Result<Bytes, StorageError> {
        let length = range.end.saturating_sub(range.start);
        let got = self.store.get_range(&self.path, range).await;
        let bytes =
            got.map_err(|error| StorageError::from_store("read", self.path.as_ref(), error))?;
        self.counters.add(bytes.len() as u64);
        if bytes.len() as u64 == length {
            return Ok(bytes);
        }
        // Some stores give what there is where a range reaches past the end.
        Err(StorageError::Corrupt {
            object: self.path.to_string(),
            what: "length of a range".to_owned(),
            expected: length.to_string(),
            observed: bytes.len().to_string(),
        })
    }

    async fn read(&mut self, wanted: &[Range<u64>]) -> Result<Vec<Bytes>, StorageError> {
        let footer = self.footer().await?;
        let mut to_check: Vec<&Chunk> = Vec::new();
        let mut fetches: Vec<Range<u64>> = Vec::new();
        for range in wanted {
            let chunks = footer.overlapping(range);
            let mut covered = false;
            for chunk in chunks.iter().filter(|chunk| !chunk.is_verified()) {
                covered |= chunk.range.start <= range.start && range.end <= chunk.range.end;
                to_check.push(chunk);
                fetches.push(chunk.range.clone());
            }
            if !covered {
                fetches.push(range.clone());
            }
        }
        let merged = merge(fetches);
        let parts = try_join_all(merged.iter().map(|range| self.fetch(range.clone()))).await?;
        let slice = |range: &Range<u64>| {
            let at = merged.partition_point(|part| part.end < range.end);
            let (part, bytes) = merged.get(at).zip(parts.get(at))?;
            let from = usize::try_from(range.start.checked_sub(part.start)?).ok()?;
            let to = usize::try_from(range.end.checked_sub(part.start)?).ok()?;
            (from <= to && to <= bytes.len()).then(|| bytes.slice(from..to))
        };
        let lost = || StorageError::Internal("a fetched range is not where it was put".to_owned());
        for chunk in to_check {
            let observed = crc32c::crc32c(&slice(&chunk.range).ok_or_else(lost)?);
            if observed != chunk.crc32c {
                let what = format!(
                    "CRC-32C of row group {} column {}",
                    chunk.row_group, chunk.leaf
                );
                return Err(corrupt(self.path.as_ref(), &what, chunk.crc32c, observed));
            }
            chunk.set_verified();
        }
        wanted
            .iter()
            .map(|range| slice(range).ok_or_else(lost))
            .collect()
    }
}

impl AsyncFileReader for BlockFile {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, parquet::errors::Result<Bytes>> {
        async move {
            let mut bytes = self.read(&[range]).await?;
            Ok(bytes.pop().unwrap_or_default())
        }
        .boxed()
    }

    fn get_byte_ranges(
        &mut self,
        ranges: Vec<Range<u64>>,
    ) -> BoxFuture<'_, parquet::errors::Result<Vec<Bytes>>> {
        async move { Ok(self.read(&ranges).await?) }.boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        _options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, parquet::errors::Result<Arc<ParquetMetaData>>> {
        async move { Ok(Arc::clone(self.footer().await?.metadata())) }.boxed()
    }
}

pub(crate) fn corrupt(object: &str, what: &str, expected: u32, observed: u32) -> StorageError {
    StorageError::Corrupt {
        object: object.to_owned(),
        what: what.to_owned(),
        expected: format!("{expected:08x}"),
        observed: format!("{observed:08x}"),
    }
}

/// Sorts ranges and joins those that overlap or nearly touch.
fn merge(mut ranges: Vec<Range<u64>>) -> Vec<Range<u64>> {
    ranges.sort_by_key(|range| (range.start, range.end));
    let mut out: Vec<Range<u64>> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match out.last_mut() {
            Some(last) if range.start <= last.end.saturating_add(COALESCE_BYTES) => {
                last.end = last.end.max(range.end);
            }
            _ => out.push(range),
        }
    }
    out
}
