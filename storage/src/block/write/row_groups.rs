//! Rows cut into row groups, none of which ends inside a trace.

use std::ops::Range;

use arrow::array::{Array as _, AsArray as _, FixedSizeBinaryArray, Int64Array, RecordBatch};
use arrow::datatypes::Int64Type;
use parquet::errors::ParquetError;

use crate::block::MemoryBlock;
use crate::block::meta::RowGroupMeta;
use crate::error::StorageError;
use crate::ids::TraceId;
use crate::schema::names;

/// Trace id of every row.
pub(super) fn trace_ids(block: &MemoryBlock) -> Result<Vec<TraceId>, ParquetError> {
    let mut ids = Vec::with_capacity(block.row_count());
    for batch in &block.batches {
        let column = batch
            .column_by_name(names::TRACE_ID)
            .and_then(|column| column.as_any().downcast_ref::<FixedSizeBinaryArray>())
            .filter(|column| column.value_length() == 16)
            .ok_or_else(|| ParquetError::General("no column of trace ids".to_owned()))?;
        let id = |row| {
            <[u8; 16]>::try_from(column.value(row))
                .map(TraceId)
                .unwrap_or_default()
        };
        ids.extend((0..column.len()).map(id));
    }
    if ids.is_empty() {
        return Err(StorageError::EmptyBlock.into());
    }
    Ok(ids)
}

/// Rows of each row group: about equal in size, none ending inside a trace.
pub(super) fn cut(trace_ids: &[TraceId], row_group_rows: usize) -> Vec<Range<usize>> {
    let count = trace_ids.len().div_ceil(row_group_rows.max(1));
    let target = trace_ids.len().div_ceil(count.max(1));
    let mut out = Vec::with_capacity(count);
    let mut start = 0;
    for end in 1..=trace_ids.len() {
        let trace_ends = trace_ids.get(end) != Some(&trace_ids[end - 1]);
        if trace_ends && (end - start >= target || end == trace_ids.len()) {
            out.push(start..end);
            start = end;
        }
    }
    out
}

pub(super) fn distinct(trace_ids: &[TraceId]) -> Vec<TraceId> {
    let mut out = trace_ids.to_vec();
    out.dedup();
    out
}

/// The rows of a range, as slices of the batches.
pub(super) fn slices(batches: &[RecordBatch], rows: &Range<usize>) -> Vec<RecordBatch> {
    let mut out = Vec::new();
    let mut first = 0;
    for batch in batches {
        let from = rows.start.max(first);
        let to = rows.end.min(first + batch.num_rows());
        if from < to {
            out.push(batch.slice(from - first, to - from));
        }
        first += batch.num_rows();
    }
    out
}

pub(super) fn row_group_meta(slices: &[RecordBatch]) -> Result<RowGroupMeta, ParquetError> {
    let starts: Vec<&Int64Array> = slices
        .iter()
        .filter_map(|slice| {
            slice
                .column_by_name(names::START_NS)?
                .as_primitive_opt::<Int64Type>()
        })
        .collect();
    if starts.len() != slices.len() {
        return Err(ParquetError::General("no column of start times".to_owned()));
    }
    let all = || {
        starts
            .iter()
            .flat_map(|array| array.values().iter().copied())
    };
    Ok(RowGroupMeta {
        row_count: slices.iter().map(|slice| slice.num_rows() as u64).sum(),
        min_start_ns: all().min().unwrap_or(0),
        max_start_ns: all().max().unwrap_or(0),
    })
}
