//! A few rows of a block as one batch.
//!
//! Columns that lie flat are read as codes and values, which readers share: of a page that anyone has
//! decoded lately a row costs next to nothing. The others go the way of [`rows`].

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch, UInt32Array};
use arrow::compute::{cast, concat, concat_batches, take};
use arrow::datatypes::{DataType, FieldRef, Schema, UInt32Type};
use arrow::error::ArrowError;

use super::encoded::{EncodedColumn, can_read};
use super::file::BlockFile;
use super::rows;
use crate::block::MemoryBlock;
use crate::block::footer::BlockFooter;
use crate::error::StorageError;
use crate::schema::names;

/// The columns that are `wanted` in some rows of a row group, by their places in it: ascending, apart,
/// and not none.
///
/// # Errors
///
/// If the store fails, or the block is damaged.
pub async fn read_rows(
    file: &mut BlockFile,
    row_group: usize,
    rows: &[Range<usize>],
    wanted: &(dyn Fn(&str) -> bool + Sync),
) -> Result<RecordBatch, StorageError> {
    let object = file.path().to_string();
    let footer = file.footer().await?;
    let schema = footer.schema();
    let schema = schema.map_err(|error| StorageError::from_parquet(&object, error))?;
    let (mut flat, mut leaves, mut nested) = (Vec::new(), Vec::new(), Vec::new());
    for field in schema.fields().iter().filter(|field| wanted(field.name())) {
        match leaf(&footer, row_group, field) {
            Some(leaf) => {
                flat.push(Arc::clone(field));
                leaves.push((leaf, field.data_type().clone()));
            }
            None => nested.push(Arc::clone(field)),
        }
    }
    let opened = EncodedColumn::open(file, row_group, &leaves).await?;
    let mut columns = Vec::with_capacity(flat.len() + nested.len());
    for (field, mut column) in flat.iter().zip(opened) {
        columns.push(values(&mut column, rows, field)?);
    }
    if !nested.is_empty() {
        let is_nested = |name: &str| nested.iter().any(|field| field.name() == name);
        let count = rows.iter().map(ExactSizeIterator::len).sum();
        let batches = rows::read(file, (row_group, rows), &is_nested, (count, false)).await?;
        let batches = batches.collect::<Result<Vec<_>, _>>()?;
        for field in &nested {
            let of_batch = |batch: &RecordBatch| batch.column_by_name(field.name()).cloned();
            let parts: Vec<ArrayRef> = batches.iter().filter_map(of_batch).collect();
            columns.push(joined(&parts, field).map_err(reading)?);
        }
    }
    let fields: Vec<FieldRef> = flat.into_iter().chain(nested).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).map_err(reading)
}

/// Some rows of a block in memory, by their places in it: ascending and apart.
///
/// # Errors
///
/// If the batches have different columns.
pub fn live_rows(block: &MemoryBlock, rows: &[Range<usize>]) -> Result<RecordBatch, StorageError> {
    let mut parts = Vec::new();
    let mut first = 0;
    for batch in &block.batches {
        let end = first + batch.num_rows();
        for rows in rows {
            let (from, to) = (rows.start.max(first), rows.end.min(end));
            if from < to {
                parts.push(batch.slice(from - first, to - from));
            }
        }
        first = end;
    }
    concat_batches(&block.schema, &parts).map_err(reading)
}

/// The rows of the traces of which some rows of a row group are, by their places in it, ascending; those
/// of neighbouring traces in one. Unless they are to be `whole`, of each trace up to the last of the rows:
/// above each span are all spans that it is below.
///
/// # Errors
///
/// If the store fails, or the block is damaged.
pub async fn traces_of_rows(
    file: &mut BlockFile,
    row_group: usize,
    rows: &[usize],
    whole: bool,
) -> Result<Vec<Range<usize>>, StorageError> {
    let footer = file.footer().await?;
    let end = footer.metadata().row_group(row_group).num_rows();
    let end = usize::try_from(end).unwrap_or_default();
    let is_place = |name: &str| name == names::TRACE_ROW;
    let single: Vec<Range<usize>> = rows.iter().map(|&row| row..row + 1).collect();
    let places = read_rows(file, row_group, &single, &is_place).await?;
    let mut traces: Vec<Range<usize>> = Vec::new();
    for (&row, &place) in rows.iter().zip(places_of(&places)) {
        let start = row.saturating_sub(usize::try_from(place).unwrap_or(row));
        if traces.last().is_some_and(|last| last.contains(&row)) {
            continue;
        }
        let end = if whole {
            end_of_trace(file, row_group, row, end, &is_place).await?
        } else {
            row + 1
        };
        match traces.last_mut() {
            Some(last) if last.end >= start => last.end = end,
            _ => traces.push(start..end),
        }
    }
    Ok(traces)
}

/// The rows of a block in memory as [`traces_of_rows`] has them.
#[must_use]
pub fn live_traces_of_rows(block: &MemoryBlock, rows: &[usize]) -> Vec<Range<usize>> {
    let mut traces: Vec<Range<usize>> = Vec::new();
    let mut wanted = rows.iter().copied().peekable();
    let (mut row, mut start) = (0, 0);
    let mut close = |trace: Range<usize>| {
        let mut is_wanted = false;
        while wanted.next_if(|row| *row < trace.end).is_some() {
            is_wanted = true;
        }
        match traces.last_mut() {
            _ if !is_wanted => {}
            Some(last) if last.end == trace.start => last.end = trace.end,
            _ => traces.push(trace),
        }
    };
    for batch in &block.batches {
        for &place in places_of(batch) {
            if place == 0 && row > start {
                close(start..row);
                start = row;
            }
            row += 1;
        }
    }
    close(start..row);
    traces
}

/// Where the trace of a row ends.
async fn end_of_trace(
    file: &mut BlockFile,
    row_group: usize,
    row: usize,
    end: usize,
    is_place: &(dyn Fn(&str) -> bool + Sync),
) -> Result<usize, StorageError> {
    /// Most traces end sooner.
    const ROWS: usize = 64;
    let mut from = row + 1;
    let mut length = ROWS;
    while from < end {
        let to = end.min(from + length);
        let next = from..to;
        let next = std::slice::from_ref(&next);
        let places = read_rows(file, row_group, next, is_place).await?;
        let next = places_of(&places).iter().position(|place| *place == 0);
        if let Some(next) = next {
            return Ok(from + next);
        }
        from = to;
        length *= 2;
    }
    Ok(end)
}

/// The places of rows in their traces.
fn places_of(batch: &RecordBatch) -> &[u32] {
    let places = batch.column_by_name(names::TRACE_ROW);
    let places = places.and_then(|places| places.as_primitive_opt::<UInt32Type>());
    places.map_or(&[], |places| places.values())
}

/// The column of the file that has a field's values, where these can be read as they are encoded.
fn leaf(footer: &BlockFooter, row_group: usize, field: &FieldRef) -> Option<usize> {
    let leaf = footer.leaf(field.name())?;
    can_read(footer.metadata(), row_group, leaf, field.data_type()).then_some(leaf)
}

/// What a column has in some rows.
fn values(
    column: &mut EncodedColumn,
    rows: &[Range<usize>],
    field: &FieldRef,
) -> Result<ArrayRef, StorageError> {
    let mut parts: Vec<ArrayRef> = Vec::new();
    let mut codes = Vec::new();
    let mut page_end = 0;
    let mut next = rows.iter().cloned();
    let mut current = next.next();
    while let Some(rows) = current {
        column.seek(rows.start)?;
        page_end = page_end.max(column.page_end(rows.start));
        let end = rows.end.min(page_end);
        let first = codes.len();
        codes.resize(first + (end - rows.start), 0);
        column.read(&mut codes[first..])?;
        current = if end < rows.end {
            Some(end..rows.end)
        } else {
            next.next()
        };
        // The values may be of this page alone.
        if current.as_ref().is_none_or(|rows| rows.start >= page_end) {
            let codes = UInt32Array::from(std::mem::take(&mut codes));
            parts.push(take(column.values(), &codes, None).map_err(reading)?);
        }
    }
    joined(&parts, field).map_err(reading)
}

/// The parts of a column, one behind the other.
fn joined(parts: &[ArrayRef], field: &FieldRef) -> Result<ArrayRef, ArrowError> {
    let parts: Vec<_> = parts.iter().map(AsRef::as_ref).collect();
    let whole = concat(&parts)?;
    if whole.data_type() == field.data_type() {
        return Ok(whole);
    }
    match field.data_type() {
        // Values of dictionaries are read without these.
        DataType::Dictionary(..) => cast(&whole, field.data_type()),
        other => Err(ArrowError::SchemaError(format!(
            "column {} is {}, not {other}",
            field.name(),
            whole.data_type()
        ))),
    }
}

fn reading(error: ArrowError) -> StorageError {
    StorageError::arrow("reading a few rows of a block", error)
}
