//! Which traces a block has, and the spans of some of them.
//!
//! Where [`super::trace`] finds one trace, this finds many at once: one pass over the column
//! `trace:id`, then one over the pages in which their rows are.

use arrow::array::FixedSizeBinaryArray;
use futures::TryStreamExt;
use hashbrown::HashSet;
use parquet::arrow::ParquetRecordBatchStreamBuilder;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, RowSelection, RowSelector};

use crate::block::MemoryBlock;
use crate::block::decode::Decoder;
use crate::block::groups::Groups;
use crate::block::reader::BlockFile;
use crate::block::trace::{columns, is_derived, trace_ids};
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
    let metadata = file.arrow().await?;
    let mut found = Vec::new();
    for &row_group in row_groups {
        each_ids(&file, &metadata, row_group, |ids| distinct(ids, &mut found)).await?;
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

/// The spans of some traces in a stored block.
///
/// # Errors
///
/// If the store fails, or the block is damaged.
pub async fn read_traces(
    mut file: BlockFile,
    wanted: &HashSet<TraceId>,
) -> Result<Vec<SpanGroup>, StorageError> {
    let metadata = file.arrow().await?;
    let object = file.path().to_string();
    let fail = |error| StorageError::from_parquet(&object, error);
    let mut groups = Groups::default();
    for row_group in 0..metadata.metadata().num_row_groups() {
        let mut rows = Vec::new();
        each_ids(&file, &metadata, row_group, |ids| {
            select(ids, wanted, &mut rows)
        })
        .await?;
        if rows.iter().all(|run| run.skip) {
            continue;
        }
        let mut stream =
            ParquetRecordBatchStreamBuilder::new_with_metadata(file.clone(), metadata.clone())
                .with_row_groups(vec![row_group])
                .with_projection(columns(&metadata, |name| !is_derived(name)))
                .with_row_selection(RowSelection::from(rows))
                .with_batch_size(BATCH_ROWS)
                .build()
                .map_err(fail)?;
        let mut decoder = Decoder::new(file.meta());
        while let Some(batch) = stream.try_next().await.map_err(fail)? {
            decoder.decode(&batch, |resource, scope, span| {
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

/// Hands over the trace ids of a row group, batch by batch.
async fn each_ids(
    file: &BlockFile,
    metadata: &ArrowReaderMetadata,
    row_group: usize,
    mut each: impl FnMut(&FixedSizeBinaryArray),
) -> Result<(), StorageError> {
    let object = file.path().to_string();
    let fail = |error| StorageError::from_parquet(&object, error);
    let mut stream =
        ParquetRecordBatchStreamBuilder::new_with_metadata(file.clone(), metadata.clone())
            .with_row_groups(vec![row_group])
            .with_projection(columns(metadata, |name| name == names::TRACE_ID))
            .with_batch_size(BATCH_ROWS)
            .build()
            .map_err(fail)?;
    while let Some(batch) = stream.try_next().await.map_err(fail)? {
        each(trace_ids(batch.columns().first(), file.meta())?);
    }
    Ok(())
}

fn rows(ids: &FixedSizeBinaryArray) -> impl Iterator<Item = TraceId> {
    ids.value_data().chunks_exact(16).map(|bytes| {
        let mut id = TraceId([0; 16]);
        id.0.copy_from_slice(bytes);
        id
    })
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
