//! Which traces a block has, and the spans of some of them.
//!
//! Where [`super::trace_by_id`] finds one trace, this finds many at once: one pass over the column
//! `trace:id`, then one over the pages in which their rows are.

use std::ops::Range;

use arrow::array::{FixedSizeBinaryArray, RecordBatch};
use hashbrown::HashSet;
use parquet::arrow::arrow_reader::RowSelector;

use crate::block::MemoryBlock;
use crate::block::read::decode::{Decoder, is_derived};
use crate::block::read::file::BlockFile;
use crate::block::read::groups::Groups;
use crate::block::read::rows;
use crate::block::read::trace_index::{TraceIndex, trace_id, trace_ids};
use crate::error::StorageError;
use crate::ids::TraceId;
use crate::model::SpanGroup;
use crate::schema::names;

/// Rows per batch.
const BATCH_ROWS: usize = 65_536;

/// The ids of the traces in some row groups of a stored block, each once, in block order.
///
/// # Errors
///
/// If the store fails, or the block is damaged.
pub async fn read_trace_ids(
    mut file: BlockFile,
    row_groups: &[usize],
) -> Result<Vec<TraceId>, StorageError> {
    let mut found = Vec::new();
    for &row_group in row_groups {
        let traces = TraceIndex::open(&mut file, row_group).await?;
        traces.each(|id, _| found.push(id))?;
    }
    Ok(found)
}

/// The ids of the traces of a block in memory, each once, in block order.
///
/// # Errors
///
/// If the batches do not have the columns of a block.
pub fn live_trace_ids(block: &MemoryBlock) -> Result<Vec<TraceId>, StorageError> {
    let mut found = Vec::new();
    for batch in &block.batches {
        let column = batch.column_by_name(names::TRACE_ID);
        distinct(trace_ids(column, &block.meta)?, &mut found);
    }
    Ok(found)
}

/// Some columns of some traces in a row group of a stored block, batch by batch, in block order. The
/// columns come in no certain order.
///
/// # Errors
///
/// If the store fails, or the block is damaged.
pub async fn read_columns(
    file: &mut BlockFile,
    row_group: usize,
    traces: &HashSet<TraceId>,
    wanted: &(dyn Fn(&str) -> bool + Sync),
) -> Result<impl Iterator<Item = Result<RecordBatch, StorageError>> + use<>, StorageError> {
    let mut rows: Vec<Range<usize>> = Vec::new();
    let ids = TraceIndex::open(file, row_group).await?;
    ids.each(|id, of_trace| match rows.last_mut() {
        _ if !traces.contains(&id) => {}
        Some(last) if last.end == of_trace.start => last.end = of_trace.end,
        _ => rows.push(of_trace),
    })?;
    let batches = if rows.is_empty() {
        None
    } else {
        let rows = (row_group, &rows[..]);
        Some(rows::read(file, rows, wanted, (BATCH_ROWS, false)).await?)
    };
    Ok(batches.into_iter().flatten())
}

/// The spans of some traces in a stored block.
///
/// # Errors
///
/// If the store fails, or the block is damaged.
pub async fn read_traces(
    mut file: BlockFile,
    wanted: &HashSet<TraceId>,
) -> Result<Vec<SpanGroup>, StorageError> {
    let footer = file.footer().await?;
    let mut groups = Groups::default();
    let columns = |name: &str| !is_derived(name);
    for row_group in 0..footer.metadata().num_row_groups() {
        let batches = read_columns(&mut file, row_group, wanted, &columns).await?;
        let mut decoder = Decoder::new(file.meta());
        for batch in batches {
            decoder.decode(&batch?, |resource, scope, span| {
                groups.push(resource, scope, span);
            })?;
        }
    }
    Ok(groups.into_groups())
}

/// The spans of some traces in a block in memory.
///
/// # Errors
///
/// If the batches do not have the columns of a block.
pub fn live_traces(
    block: &MemoryBlock,
    wanted: &HashSet<TraceId>,
) -> Result<Vec<SpanGroup>, StorageError> {
    let mut groups = Groups::default();
    let mut decoder = Decoder::new(&block.meta);
    for batch in &block.batches {
        let mut rows = Vec::new();
        let column = batch.column_by_name(names::TRACE_ID);
        select(trace_ids(column, &block.meta)?, wanted, &mut rows);
        let mut start = 0;
        for run in rows {
            if !run.skip {
                let batch = batch.slice(start, run.row_count);
                decoder.decode(&batch, |resource, scope, span| {
                    groups.push(resource, scope, span);
                })?;
            }
            start += run.row_count;
        }
    }
    Ok(groups.into_groups())
}

fn rows(ids: &FixedSizeBinaryArray) -> impl Iterator<Item = TraceId> {
    ids.value_data().chunks_exact(16).map(trace_id)
}

/// Appends the ids that follow, without those that equal the one before.
fn distinct(ids: &FixedSizeBinaryArray, found: &mut Vec<TraceId>) {
    for id in rows(ids) {
        if found.last() != Some(&id) {
            found.push(id);
        }
    }
}

/// Appends which of the rows that follow are of a wanted trace.
fn select(ids: &FixedSizeBinaryArray, wanted: &HashSet<TraceId>, runs: &mut Vec<RowSelector>) {
    let mut last: Option<(TraceId, bool)> = None;
    for id in rows(ids) {
        let skip = match last {
            Some((before, skip)) if before == id => skip,
            _ => !wanted.contains(&id),
        };
        last = Some((id, skip));
        match runs.last_mut() {
            Some(run) if run.skip == skip => run.row_count += 1,
            _ if skip => runs.push(RowSelector::skip(1)),
            _ => runs.push(RowSelector::select(1)),
        }
    }
}
