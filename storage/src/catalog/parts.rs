//! The parts of a tenant's catalog: written once, read when a query needs them, and kept.

use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _, PutPayload};
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};

use super::descriptions;
use super::root::{PartRef, Root};
use crate::block::meta::BlockMeta;
use crate::error::StorageError;
use crate::ids::{PartId, TenantId};
use crate::layout;
use crate::random::Random;

/// Memory for the parts that are kept, of all tenants together.
const KEPT_BYTES: u64 = 64 << 20;
/// Parts that are fetched at once.
const FETCHED_AT_ONCE: usize = 8;

/// The descriptions in a part, by the time of their latest span.
pub(super) type Part = Arc<[Arc<BlockMeta>]>;

/// Parts that were read or written, as many as there is memory for; what was not used for long goes
/// first. A part never changes, and no two tenants have parts of one id.
pub struct PartCache(Cache<PartId, Part, ByMemory>);

impl fmt::Debug for PartCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PartCache")
            .field("bytes", &self.0.weight())
            .finish_non_exhaustive()
    }
}

/// Weighs parts by the memory that they take.
#[derive(Debug, Clone)]
struct ByMemory;

impl Weighter<PartId, Part> for ByMemory {
    fn weight(&self, _: &PartId, part: &Part) -> u64 {
        part.iter().map(|block| block.memory_bytes() as u64).sum()
    }
}

impl Default for PartCache {
    fn default() -> Self {
        Self::new(KEPT_BYTES)
    }
}

impl PartCache {
    /// A cache of about so many bytes.
    #[must_use]
    #[expect(clippy::expect_used, reason = "nothing that can be missing is")]
    pub fn new(bytes: u64) -> Self {
        /// About what a part takes.
        const PART_BYTES: u64 = 4 << 20;
        let options = OptionsBuilder::new()
            .shards(1)
            .estimated_items_capacity(usize::try_from(bytes / PART_BYTES).unwrap_or(usize::MAX))
            .weight_capacity(bytes)
            .build()
            .expect("both capacities are given");
        let hash = DefaultHashBuilder::default();
        Self(Cache::with_options(
            options,
            ByMemory,
            hash,
            DefaultLifecycle::default(),
        ))
    }

    /// Bytes held now.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        self.0.weight()
    }
}

/// Where the parts of one tenant are.
pub(super) struct Parts {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
    tenant: TenantId,
    cache: Arc<PartCache>,
}

impl Parts {
    pub(super) fn new(
        store: Arc<dyn ObjectStore>,
        prefix: Path,
        tenant: TenantId,
        cache: Arc<PartCache>,
    ) -> Self {
        Self {
            store,
            prefix,
            tenant,
            cache,
        }
    }

    /// The descriptions of the blocks that have spans at some of these times, ns since the epoch, ordered
    /// by block id.
    ///
    /// # Errors
    ///
    /// If the store fails, or a part is damaged.
    pub(super) async fn blocks(
        &self,
        root: &Root,
        times: &RangeInclusive<i64>,
    ) -> Result<Vec<Arc<BlockMeta>>, StorageError> {
        let parts: Vec<PartRef> = root.parts_at(times).cloned().collect();
        let parts = stream::iter(parts).map(|part| async move { self.get(&part).await });
        let parts: Vec<Part> = parts.buffered(FETCHED_AT_ONCE).try_collect().await?;
        let in_parts = parts.iter().flat_map(|part| part.iter());
        let all = in_parts.chain(&root.recent);
        let all = all.filter(|block| block.is_at(times));
        let mut blocks: Vec<Arc<BlockMeta>> = all.map(Arc::clone).collect();
        blocks.sort_unstable_by_key(|block| block.block_id);
        Ok(blocks)
    }

    /// The descriptions in a part; one request at most, and that for all who wait for it.
    ///
    /// # Errors
    ///
    /// If the store fails, or the part is damaged.
    pub(super) async fn get(&self, part: &PartRef) -> Result<Part, StorageError> {
        let load = async { self.load(part).await };
        self.cache.0.get_or_insert_async(&part.id, load).await
    }

    async fn load(&self, part: &PartRef) -> Result<Part, StorageError> {
        let path = layout::part_file(&self.prefix, &self.tenant, part.id);
        let got = async { self.store.get(&path).await?.bytes().await };
        let bytes = got
            .await
            .map_err(|error| StorageError::from_store("read", path.as_ref(), error))?;
        let corrupt = |what: &str, expected: String, observed: String| StorageError::Corrupt {
            object: path.to_string(),
            what: what.to_owned(),
            expected,
            observed,
        };
        let observed = crc32c::crc32c(&bytes);
        if (observed, bytes.len() as u64) != (part.crc32c, part.size_bytes) {
            return Err(corrupt(
                "CRC-32C and length of a part of the catalog",
                format!("{:08x} {}", part.crc32c, part.size_bytes),
                format!("{observed:08x} {}", bytes.len()),
            ));
        }
        let blocks = descriptions::decode(path.as_ref(), &self.tenant, &bytes)?;
        if blocks.len() as u64 != part.block_count {
            let (expected, observed) = (part.block_count.to_string(), blocks.len().to_string());
            return Err(corrupt("number of blocks in a part", expected, observed));
        }
        Ok(blocks.into())
    }

    /// Stores descriptions, which are ordered by time, as a new part.
    ///
    /// # Errors
    ///
    /// If the store fails.
    pub(super) async fn create(
        &self,
        blocks: Vec<Arc<BlockMeta>>,
        random: &Random,
    ) -> Result<PartRef, StorageError> {
        let bytes = descriptions::encode(&blocks)?;
        let sum = |of: fn(&BlockMeta) -> u64| blocks.iter().map(|block| of(block)).sum();
        let least = |of: fn(&BlockMeta) -> i64| blocks.iter().map(|block| of(block)).min();
        let greatest = |of: fn(&BlockMeta) -> i64| blocks.iter().map(|block| of(block)).max();
        let part = PartRef {
            id: PartId(random.ulid()),
            size_bytes: bytes.len() as u64,
            crc32c: crc32c::crc32c(&bytes),
            block_count: blocks.len() as u64,
            span_count: sum(|block| block.row_count),
            block_bytes: sum(|block| block.file.as_ref().map_or(0, |file| file.size_bytes)),
            first_ns: least(|block| block.max_start_ns).unwrap_or_default(),
            last_ns: greatest(|block| block.max_start_ns).unwrap_or_default(),
            min_start_ns: least(|block| block.min_start_ns).unwrap_or_default(),
            max_end_ns: greatest(BlockMeta::end_ns).unwrap_or_default(),
        };
        let path = layout::part_file(&self.prefix, &self.tenant, part.id);
        self.store
            .put(&path, PutPayload::from(Bytes::from(bytes)))
            .await
            .map_err(|error| StorageError::from_store("write", path.as_ref(), error))?;
        self.cache.0.insert(part.id, blocks.into());
        Ok(part)
    }

    /// Removes parts that no root names. Nothing depends on it, so a failure is only logged.
    pub(super) async fn discard(&self, parts: &[PartId]) {
        for part in parts {
            let path = layout::part_file(&self.prefix, &self.tenant, *part);
            self.cache.0.remove(part);
            match self.store.delete(&path).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => {
                    tracing::warn!(%error, tenant = %self.tenant, %part, "cannot delete a part of the catalog that nothing names");
                }
            }
        }
    }
}
