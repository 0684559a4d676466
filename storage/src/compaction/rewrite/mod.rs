//! Rewriting blocks as others: traces of which several have a part are joined, repeated spans are dropped,
//! and all is cut anew by window and by trace id.
//!
//! Most traces lie in one of the inputs as a whole, and their rows are copied, column by column, without
//! making spans of them. [`parts`] finds which traces there are and where, and which block each goes into, by
//! [`windows`];
//! [`columns`] says what is written, [`texts`] in which form, by what is [`known`] of the inputs; [`source`] reads, and [`attributes`] moves what has a column in
//! one block and none in another; [`gather`] puts a column together, with [`coded`] for texts. Traces
//! of several parts are [`joined`]. [`output`] writes a block, row group by row group.
//!
//! **Memory** does not grow with the inputs but for 40 bytes a trace: a row group is written column by column,
//! and those of its traces that are joined are all that is in memory whole. Ids are looked at in slices of the
//! hash where there are many.
//!
//! The same inputs and ids give the same bytes.

mod attributes;
mod coded;
mod columns;
mod gather;
mod joined;
mod known;
mod output;
mod parts;
mod source;
mod texts;
mod windows;

use std::sync::Arc;

use hashbrown::HashSet;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _, PutPayload};

use super::workers::Workers;
use crate::block::meta::{BlockMeta, HashPiece};
use crate::block::{BlockCache, BlockFile, ReadBack, WriteOptions};
use crate::error::StorageError;
use crate::ids::TraceId;
use crate::layout;
use crate::random::Random;
use columns::Columns;
use output::Target;

/// Traces whose places are known at one time, about.
const TRACES_AT_ONCE: u64 = 2_000_000;
/// Footers that are held; a footer of a large block takes some hundred kilobytes.
const FOOTER_BYTES: u64 = 64 << 20;
/// Files up to this size are fetched as a whole: their columns are too short for a request each.
const SMALL_BYTES: u64 = 2 << 20;
/// So much of them is in memory at most.
const SMALL_FILES_BYTES: u64 = 32 << 20;

/// Blocks to be rewritten, and how.
#[derive(Debug, Clone)]
pub struct Rewrite<'a> {
    /// The blocks, of one tenant, and not none.
    pub inputs: &'a [Arc<BlockMeta>],
    /// Length of the windows into which traces go by when they start, in seconds.
    pub window_length_s: i64,
    /// Bits of the hash of the trace id by which each window is cut.
    pub piece_bits: u8,
    /// Traces that are left out.
    pub without: Arc<HashSet<TraceId>>,
    /// How the new blocks are written.
    pub options: WriteOptions,
    /// How they are checked.
    pub read_back: ReadBack,
    /// The threads that do it.
    pub workers: &'a Workers,
}

/// What became of some blocks.
#[derive(Debug, Clone, Default)]
pub struct Rewritten {
    /// The new blocks, stored, in the order of windows and pieces.
    pub outputs: Vec<Arc<BlockMeta>>,
    /// Spans that were read.
    pub spans_in: u64,
    /// Spans of traces that were left out.
    pub spans_left_out: u64,
    /// Spans that were written.
    pub spans_out: u64,
    /// Traces of which several blocks had a part.
    pub traces_joined: u64,
}

impl Rewritten {
    /// Spans that were there more than once.
    #[must_use]
    pub fn duplicates_dropped(&self) -> u64 {
        self.spans_in
            .saturating_sub(self.spans_left_out)
            .saturating_sub(self.spans_out)
    }
}

impl Rewrite<'_> {
    /// Writes the new blocks. Nothing is changed that anyone can see: if this fails, or is dropped, at most
    /// files are left that no catalog names.
    ///
    /// # Errors
    /// If the store fails, a block is damaged, or a new one would be larger than a block can be.
    pub async fn run(
        &self,
        store: &Arc<dyn ObjectStore>,
        prefix: &Path,
        random: &Random,
    ) -> Result<Rewritten, StorageError> {
        let Some(first) = self.inputs.first() else {
            return Err(StorageError::EmptyBlock);
        };
        let mut files = open(self.inputs, store, prefix).await?;
        let columns = Columns::choose(&mut files).await?;
        let mut out = Rewritten {
            spans_in: self.inputs.iter().map(|meta| meta.row_count).sum(),
            ..Rewritten::default()
        };
        let traces: u64 = self.inputs.iter().map(|meta| meta.trace_count).sum();
        let slices = traces.div_ceil(TRACES_AT_ONCE).next_power_of_two();
        // A block is of one slice.
        let slice_bits = u8::try_from(slices.ilog2())
            .unwrap_or(u8::MAX)
            .min(self.piece_bits);
        for index in 0..1u32 << slice_bits {
            let slice = HashPiece {
                bits: slice_bits,
                index,
            };
            let found = parts::find(&mut files, slice, &self.without, self.workers).await?;
            out.spans_left_out += found.rows_left_out;
            let mut parts = found.parts;
            let outputs = parts::arrange(&mut parts, self.window_length_s, self.piece_bits);
            for output in outputs {
                let target = Target {
                    store,
                    prefix,
                    tenant: &first.tenant,
                    block_id: random.block_id(),
                    options: &self.options,
                    read_back: self.read_back,
                    columns: &columns,
                    workers: self.workers,
                };
                let parts = parts.get(output.parts).unwrap_or_default();
                let written = target.write(&files, output.partition, parts).await?;
                out.traces_joined += written.traces_joined;
                out.spans_out += written.meta.row_count;
                out.outputs.push(written.meta);
            }
        }
        out.outputs.sort_by_key(|meta| meta.partition);
        Ok(out)
    }
}

/// The files of the inputs. Small ones are read now.
async fn open(
    inputs: &[Arc<BlockMeta>],
    store: &Arc<dyn ObjectStore>,
    prefix: &Path,
) -> Result<Vec<BlockFile>, StorageError> {
    let near: Arc<dyn ObjectStore> = Arc::new(object_store::memory::InMemory::new());
    let cache = Arc::new(BlockCache::new(FOOTER_BYTES, 0));
    let mut files = Vec::with_capacity(inputs.len());
    let mut near_bytes = 0;
    for meta in inputs {
        let path = layout::spans_file(prefix, meta);
        let size = meta.file.as_ref().map_or(0, |file| file.size_bytes);
        let store = if size <= SMALL_BYTES && near_bytes + size <= SMALL_FILES_BYTES {
            near_bytes += size;
            let fail = |error| StorageError::from_store("read", path.as_ref(), error);
            let file = store
                .get(&path)
                .await
                .map_err(fail)?
                .bytes()
                .await
                .map_err(fail)?;
            near.put(&path, PutPayload::from(file))
                .await
                .map_err(fail)?;
            &near
        } else {
            store
        };
        files.push(BlockFile::new(
            Arc::clone(store),
            prefix,
            Arc::clone(meta),
            Arc::clone(&cache),
            Arc::default(),
        )?);
    }
    Ok(files)
}
