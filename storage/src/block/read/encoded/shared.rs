//! Column chunks on their way from the store or the cache to a reader, and back to the cache.

use std::ops::Deref;
use std::sync::Arc;

use parquet::arrow::async_reader::AsyncFileReader as _;
use parquet::errors::Result;
use parquet::file::metadata::ParquetMetaData;

use super::chunk::{ColumnChunk, estimated_bytes, range};
use crate::block::read::cache::{BlockCache, ChunkKey};
use crate::block::read::file::BlockFile;

/// A chunk in the hands of a reader. What the reader has decoded by the time it lets go, the cache has.
pub(super) struct SharedChunk {
    chunk: Arc<ColumnChunk>,
    /// Where the chunk is kept, and what it took when it was put there; `None` if it is not to be.
    kept: Option<(Arc<BlockCache>, ChunkKey, u64)>,
}

impl SharedChunk {
    /// Chunks of some leaf columns of a row group: those that are kept, and the others from the store,
    /// in one go.
    ///
    /// # Errors
    ///
    /// If the store fails, or the block is damaged.
    pub(super) async fn open(
        file: &mut BlockFile,
        metadata: &ParquetMetaData,
        row_group: usize,
        leaves: impl Iterator<Item = usize>,
    ) -> Result<Vec<Self>> {
        let (block, cache) = (file.meta().block_id, Arc::clone(file.cache()));
        let columns = metadata.row_group(row_group).columns();
        let keyed = leaves.map(|leaf| {
            let key = (block, row_group, leaf);
            (key, cache.chunk(&key))
        });
        let keyed: Vec<_> = keyed.collect();
        let missing = keyed.iter().filter(|(_, chunk)| chunk.is_none());
        let ranges = missing.map(|((_, _, leaf), _)| range(&columns[*leaf]));
        let ranges = ranges.collect::<Result<Vec<_>>>()?;
        let mut fetched = file.get_byte_ranges(ranges).await?.into_iter();
        let mut open = |(key, chunk): (ChunkKey, Option<Arc<ColumnChunk>>)| {
            let (_, _, leaf) = key;
            let keep = cache.has_room_for(estimated_bytes(&columns[leaf]));
            let chunk = match chunk {
                Some(chunk) => chunk,
                None => {
                    let bytes = fetched.next().unwrap_or_default();
                    let chunk = ColumnChunk::new(metadata, (row_group, leaf), &bytes, keep)?;
                    let chunk = Arc::new(chunk);
                    if keep {
                        cache.keep(key, &chunk);
                    }
                    chunk
                }
            };
            let bytes = chunk.memory_bytes();
            let kept = keep.then(|| (Arc::clone(&cache), key, bytes));
            Ok(Self { chunk, kept })
        };
        keyed.into_iter().map(&mut open).collect()
    }
}

impl Deref for SharedChunk {
    type Target = ColumnChunk;

    fn deref(&self) -> &ColumnChunk {
        &self.chunk
    }
}

impl Drop for SharedChunk {
    fn drop(&mut self) {
        if let Some((cache, key, bytes)) = self.kept.take()
            && self.chunk.memory_bytes() != bytes
        {
            cache.keep(key, &self.chunk);
        }
    }
}
