//! One trace out of a block.
//!
//! A trace is a run of rows, so finding it costs one read of the column `trace:id`, and having it one
//! read of the pages in which its rows are. Both go row group by row group, because a trace is never
//! in two of them.

use std::ops::Range;

use arrow::array::FixedSizeBinaryArray;

use super::decode::{Decoder, is_derived};
use super::file::BlockFile;
use super::rows;
use super::trace_index::{TraceIndex, trace_ids};
use super::trace_spans::TraceSpans;
use crate::block::MemoryBlock;
use crate::error::StorageError;
use crate::ids::TraceId;
use crate::schema::names;

/// Rows per batch of the trace itself: after each the size is looked at.
const DECODE_ROWS: usize = 1_024;

/// The spans of a trace in a stored block, up to a size. If the block's filter lets the trace through,
/// reads the column of trace ids of each row group up to the one that has it, and the trace's pages of
/// that one.
///
/// # Errors
///
/// If the store fails, or the block is damaged.
pub async fn read_trace(
    mut file: BlockFile,
    trace_id: TraceId,
    max_bytes: u64,
) -> Result<TraceSpans, StorageError> {
    let mut spans = TraceSpans::new(max_bytes);
    if !file.trace_id_filter().await?.contains(trace_id) {
        return Ok(spans);
    }
    let footer = file.footer().await?;
    for row_group in 0..footer.metadata().num_row_groups() {
        let ids = TraceIndex::open(&mut file, row_group).await?;
        let Some(rows) = ids.find(trace_id)? else {
            continue;
        };
        let wanted = |name: &str| !is_derived(name);
        let rows = (row_group, std::slice::from_ref(&rows));
        let how = (DECODE_ROWS, true);
        let mut batches = rows::read(&mut file, rows, &wanted, how).await?;
        let mut decoder = Decoder::new(file.meta());
        while spans.is_complete()
            && let Some(batch) = batches.next().transpose()?
        {
            spans.decode(&mut decoder, &batch)?;
        }
        break;
    }
    Ok(spans)
}

/// The spans of a trace in a block in memory, up to a size.
///
/// # Errors
///
/// If the batches do not have the columns of a block.
pub fn live_trace(
    block: &MemoryBlock,
    trace_id: TraceId,
    max_bytes: u64,
) -> Result<TraceSpans, StorageError> {
    let mut spans = TraceSpans::new(max_bytes);
    let mut decoder = Decoder::new(&block.meta);
    let mut scan = TraceScan::new(trace_id);
    for batch in &block.batches {
        let rows = scan.scan(trace_ids(
            batch.column_by_name(names::TRACE_ID),
            &block.meta,
        )?);
        let rows = batch.slice(rows.start, rows.len());
        spans.decode(&mut decoder, &rows)?;
        if scan.is_over || !spans.is_complete() {
            break;
        }
    }
    Ok(spans)
}

/// Looks for one run of equal trace ids in arrays that follow each other.
struct TraceScan {
    id: [u8; 16],
    has_begun: bool,
    /// The run has ended before the end of the array.
    is_over: bool,
}

impl TraceScan {
    fn new(id: TraceId) -> Self {
        Self {
            id: id.0,
            has_begun: false,
            is_over: false,
        }
    }

    /// The rows of this array that are in the run.
    fn scan(&mut self, ids: &FixedSizeBinaryArray) -> Range<usize> {
        let values = ids.value_data();
        let rows = values.chunks_exact(self.id.len());
        let count = rows.len();
        let start = if self.has_begun {
            0
        } else {
            let found = rows.clone().position(|id| id == self.id);
            found.unwrap_or(count)
        };
        let length = rows.skip(start).take_while(|id| *id == self.id).count();
        self.has_begun |= length > 0;
        self.is_over = self.has_begun && start + length < count;
        start..start + length
    }
}
