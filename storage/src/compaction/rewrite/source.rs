//! Where rows come from: the blocks that are rewritten, and blocks in memory of joined traces.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::RecordBatch;

use crate::block::meta::BlockMeta;
use crate::block::{BlockFile, MemoryBlock, read_batches};
use crate::error::StorageError;

/// Rows of all sources together that are decoded at a time.
const ROWS_AT_ONCE: usize = 65_536;
/// Fewer rows of one source are not worth a batch.
const MIN_BATCH_ROWS: usize = 1_024;

/// Rows of each of so many sources that are decoded at a time.
pub(super) fn batch_rows(sources: usize) -> usize {
    (ROWS_AT_ONCE / sources.max(1)).max(MIN_BATCH_ROWS)
}

/// A row group of an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) input: u16,
    pub(super) row_group: u16,
}

impl Place {
    /// # Errors
    /// If there are more inputs, or more row groups in one, than a job is made of.
    pub(super) fn new(input: usize, row_group: usize) -> Result<Self, StorageError> {
        let number = |count: usize, what| {
            u16::try_from(count).map_err(|_| StorageError::BlockTooLarge {
                what,
                count: count as u64,
                limit: u16::MAX.into(),
            })
        };
        Ok(Self {
            input: number(input, "blocks to be compacted at once")?,
            row_group: number(row_group, "row groups")?,
        })
    }
}

/// A row group, and rows in it.
pub(super) type RowsOfGroup = (usize, Vec<Range<usize>>);

/// Rows of one block, in the order in which they are wanted: all of them are.
#[derive(Debug)]
pub(super) enum Source {
    /// Rows of a stored block, by row group: ascending and apart in each.
    Stored(BlockFile, Vec<RowsOfGroup>),
    /// All rows of a block in memory.
    Memory(MemoryBlock),
}

/// Batches of a source.
pub(super) type Batches = Box<dyn Iterator<Item = Result<RecordBatch, StorageError>> + Send>;

impl Source {
    pub(super) fn meta(&self) -> &Arc<BlockMeta> {
        match self {
            Self::Stored(file, _) => file.meta(),
            Self::Memory(block) => &block.meta,
        }
    }

    /// What the source is called in errors.
    pub(super) fn object(&self) -> String {
        match self {
            Self::Stored(file, _) => file.path().to_string(),
            Self::Memory(block) => block.meta.block_id.to_string(),
        }
    }

    /// Whether the block has a column.
    pub(super) fn has(&self, column: &str) -> bool {
        let mut columns = self.meta().columns.iter();
        columns.any(|of_block| &*of_block.name == column)
    }

    /// Some columns of all rows of the source. What is not in memory is fetched now, and decoded when it is
    /// asked for.
    ///
    /// # Errors
    /// If the store fails, or the block is damaged.
    pub(super) async fn columns(
        &self,
        wanted: &(dyn Fn(&str) -> bool + Sync),
        batch_rows: usize,
    ) -> Result<Batches, StorageError> {
        match self {
            Self::Stored(file, row_groups) => {
                let mut file = file.clone();
                let mut batches: Batches = Box::new(std::iter::empty());
                for (row_group, rows) in row_groups {
                    let place = (*row_group, &rows[..]);
                    let next = read_batches(&mut file, place, wanted, (batch_rows, false)).await?;
                    batches = Box::new(batches.chain(next));
                }
                Ok(batches)
            }
            Self::Memory(block) => {
                let fields = block.schema.fields().iter().enumerate();
                let places: Vec<usize> = fields
                    .filter(|(_, field)| wanted(field.name()))
                    .map(|(place, _)| place)
                    .collect();
                let project = move |batch: RecordBatch| {
                    let projected = batch.project(&places);
                    projected.map_err(|error| StorageError::arrow("choosing columns", error))
                };
                Ok(Box::new(block.batches.clone().into_iter().map(project)))
            }
        }
    }
}
