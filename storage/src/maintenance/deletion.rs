//! Deleting traces: the blocks that have them are written anew without them.
//!
//! What is deleted is gone from all answers with the version of the catalog that the deletion makes, and its
//! bytes with the objects of the old blocks, once nobody reads an older version any more
//! ([`super::sweep`]). Traces go as a whole, as far as they are stored.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use hashbrown::HashSet;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::compactor::Compactor;
use crate::block::meta::BlockMeta;
use crate::block::{BlockCache, BlockFile, ReadBack, TraceIndex, WriteOptions};
use crate::catalog::Edit;
use crate::compaction::policy::HOUR_S;
use crate::compaction::rewrite::Rewrite;
use crate::error::StorageError;
use crate::ids::{BlockId, TenantId, TraceId};

/// How often it is tried again when compaction was faster with one of the blocks.
const ATTEMPTS: usize = 8;
/// Footers and filters that are held.
const CACHE_BYTES: u64 = 64 << 20;

/// What was deleted, or would be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Receipt {
    /// Whose spans.
    pub tenant: TenantId,
    /// The version of the catalog from which on they are gone; none if nothing was deleted.
    pub catalog_version: Option<u64>,
    /// Traces that were found.
    pub traces: u64,
    /// Their spans.
    pub spans: u64,
    /// Blocks that had some of them.
    pub blocks: u64,
    /// SHA-256 of the ids of the traces that were found, 16 bytes each, in order; in hex.
    pub trace_ids_sha256: String,
}

/// A block, and which of the traces it has.
#[derive(Debug)]
struct Holding {
    block: Arc<BlockMeta>,
    traces: Vec<TraceId>,
    spans: u64,
}

impl Compactor {
    /// What [`delete`](Self::delete) would delete.
    ///
    /// # Errors
    /// If the store fails, or a block is damaged.
    pub async fn would_delete(&self, traces: &HashSet<TraceId>) -> Result<Receipt, StorageError> {
        Ok(self.receipt(&self.holdings(traces).await?, None))
    }

    /// Deletes traces from all stored blocks, in one version of the catalog. `tell` hears of each block that is
    /// done, and of how many there are. Doing it again does no harm. If it fails, or is dropped, nothing is
    /// deleted.
    ///
    /// # Errors
    /// If the store fails, a block is damaged, or compaction is faster with a block again and again.
    pub async fn delete(
        &self,
        traces: &Arc<HashSet<TraceId>>,
        tell: impl Fn(usize, usize) + Send + Sync,
    ) -> Result<Receipt, StorageError> {
        // What was written stays good as long as its block is live.
        let mut written: BTreeMap<BlockId, Vec<Arc<BlockMeta>>> = BTreeMap::new();
        let mut attempt = 0;
        loop {
            attempt += 1;
            let holdings = self.holdings(traces).await?;
            if holdings.is_empty() {
                return Ok(self.receipt(&holdings, None));
            }
            for (done, holding) in holdings.iter().enumerate() {
                tell(done, holdings.len());
                if let Entry::Vacant(place) = written.entry(holding.block.block_id) {
                    place.insert(self.without(&holding.block, traces).await?);
                }
            }
            tell(holdings.len(), holdings.len());
            let old = holdings.iter().map(|holding| Arc::clone(&holding.block));
            let new = holdings
                .iter()
                .filter_map(|holding| written.get(&holding.block.block_id));
            let new = new.flatten().map(Arc::clone).collect();
            let edit = Edit::replace(old.collect(), new, &self.random);
            match self.catalog.commit(edit).await {
                Ok(root) => return Ok(self.receipt(&holdings, Some(root.version))),
                Err(StorageError::BlockNotLive { .. }) if attempt < ATTEMPTS => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Writes a block anew without some traces.
    async fn without(
        &self,
        block: &Arc<BlockMeta>,
        traces: &Arc<HashSet<TraceId>>,
    ) -> Result<Vec<Arc<BlockMeta>>, StorageError> {
        let partition = block.partition;
        let rewrite = Rewrite {
            inputs: std::slice::from_ref(block),
            window_length_s: partition.map_or(HOUR_S, |it| it.window.length_s),
            piece_bits: partition.map_or(0, |it| it.piece.bits),
            without: Arc::clone(traces),
            options: WriteOptions::default(),
            read_back: ReadBack::Verify,
            workers: &self.workers,
        };
        let rewritten = rewrite.run(&self.store, &self.prefix, &self.random).await?;
        Ok(rewritten.outputs)
    }

    /// The live blocks that have some of the traces.
    async fn holdings(&self, traces: &HashSet<TraceId>) -> Result<Vec<Holding>, StorageError> {
        let root = self.catalog.newest().await?;
        let blocks = self.catalog.blocks(&root, &(i64::MIN..=i64::MAX)).await?;
        let cache = Arc::new(BlockCache::new(CACHE_BYTES, 0));
        let mut holdings = Vec::new();
        for block in blocks {
            let mut file = BlockFile::new(
                Arc::clone(&self.store),
                &self.prefix,
                Arc::clone(&block),
                Arc::clone(&cache),
                Arc::default(),
            )?;
            let filter = file.trace_id_filter().await?;
            if !traces.iter().any(|trace| filter.contains(*trace)) {
                continue;
            }
            let mut holding = Holding {
                block,
                traces: Vec::new(),
                spans: 0,
            };
            for row_group in 0..file.footer().await?.metadata().num_row_groups() {
                let index = TraceIndex::open(&mut file, row_group).await?;
                index.each(|trace, rows| {
                    if traces.contains(&trace) {
                        holding.traces.push(trace);
                        holding.spans += rows.len() as u64;
                    }
                })?;
            }
            if !holding.traces.is_empty() {
                holdings.push(holding);
            }
        }
        Ok(holdings)
    }

    fn receipt(&self, holdings: &[Holding], catalog_version: Option<u64>) -> Receipt {
        let found = holdings.iter().flat_map(|holding| &holding.traces);
        let mut found: Vec<TraceId> = found.copied().collect();
        found.sort_unstable();
        found.dedup();
        let mut sha256 = Sha256::new();
        found.iter().for_each(|trace| sha256.update(trace.0));
        Receipt {
            tenant: self.catalog.tenant().clone(),
            catalog_version,
            traces: found.len() as u64,
            spans: holdings.iter().map(|holding| holding.spans).sum(),
            blocks: holdings.len() as u64,
            trace_ids_sha256: hex::encode(sha256.finalize()),
        }
    }
}
