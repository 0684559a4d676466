//! Some rows of a row group, from as few columns as have something to say about them.
//!
//! Opening a column costs more than a few rows of it are worth: a dictionary, a page of twenty thousand
//! rows. The page index knows of many columns that their rows there have no value, or
//! all the same number; these are made up instead of read.

mod fetched;

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError, mpsc};

use arrow::array::{
    ArrayRef, ListArray, RecordBatch, UInt32Array, new_empty_array, new_null_array,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use arrow::error::ArrowError;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, RowSelection};
use parquet::arrow::{ProjectionMask, parquet_to_arrow_field_levels};
use parquet::file::metadata::ParquetMetaData;
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::reader::FileReader;
use tokio::runtime::Handle;

use crate::block::read::file::BlockFile;
use crate::error::StorageError;
use fetched::{FetchedRowGroup, overlap};

/// What the page index says of a column in some rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Content {
    /// No row has a value, or an element.
    Nothing,
    /// All rows have this number.
    Number(u32),
}

/// The columns that are `wanted`, in some rows of a row group, batch by batch; in no certain order. The
/// rows are ascending, apart, and not none.
///
/// With `help` another thread decodes half of them, if there is one that has nothing else to do.
///
/// # Errors
///
/// If the store fails, or the block is damaged.
pub(crate) async fn read(
    file: &mut BlockFile,
    (row_group, rows): (usize, &[Range<usize>]),
    wanted: &(dyn Fn(&str) -> bool + Sync),
    (batch_rows, help): (usize, bool),
) -> Result<impl Iterator<Item = Result<RecordBatch, StorageError>> + use<>, StorageError> {
    let object = file.path().to_string();
    let fail = move |error| StorageError::from_parquet(&object, error);
    let arrow = file.arrow().await?;
    let (metadata, schema) = (arrow.metadata(), arrow.parquet_schema());
    let fields = arrow.schema().fields();
    let mut opened = Vec::new();
    let mut made_up = Vec::new();
    for (root, field) in fields.iter().enumerate() {
        if !wanted(field.name()) {
            continue;
        }
        match content(metadata, (row_group, rows), root, field) {
            Some(content) => made_up.push((Arc::clone(field), content)),
            None => opened.push(root),
        }
    }
    let is_opened = |leaf: &usize| {
        opened
            .binary_search(&schema.get_column_root_idx(*leaf))
            .is_ok()
    };
    let leaves = (0..schema.num_columns()).filter(is_opened);
    let pages = &pages_of(rows)[..];
    let window = FetchedRowGroup::fetch(file, metadata, (row_group, pages), leaves).await;
    let window: Arc<dyn FileReader> = Arc::new(window.map_err(&fail)?);
    let end = rows.last().map_or(0, |rows| rows.end);
    let selection = RowSelection::from_consecutive_ranges(rows.iter().cloned(), end);
    let reader = |roots: Vec<usize>| {
        let mask = ProjectionMask::roots(schema, roots);
        let levels = parquet_to_arrow_field_levels(schema, mask, Some(fields))?;
        ParquetRecordBatchReader::try_new_with_row_groups(
            &levels,
            &window,
            batch_rows,
            Some(selection.clone()),
        )
    };
    // What takes time is to open columns, and two threads open twice as many. Neighbours are alike, so
    // each thread gets every other one.
    let threads = if help { 2 } else { 1 };
    let part = |first| {
        opened
            .iter()
            .skip(first)
            .step_by(threads)
            .copied()
            .collect()
    };
    let mut one = reader(part(0)).map_err(&fail)?;
    let mut other = if help {
        Some(reader(part(1)).map_err(&fail)?)
    } else {
        None
    };
    let object = file.path().to_string();
    Ok(std::iter::from_fn(move || {
        let parts = if help {
            match next_of_both(&mut one, &mut other) {
                (Some(one), Some(other)) => one.and_then(|one| Ok(vec![one, other?])),
                (None, None) => return None,
                _ => Err(ArrowError::ParquetError(
                    "columns of different lengths".to_owned(),
                )),
            }
        } else {
            one.next()?.map(|one| vec![one])
        };
        let parts = parts.map_err(|error| StorageError::from_parquet(&object, error.into()));
        Some(parts.and_then(|parts| with_columns(&parts, &made_up)))
    }))
}

/// The rows whose pages the library's reader may look at when it is to read `rows`: where they are
/// many short runs it decodes what is between them, too.
fn pages_of(rows: &[Range<usize>]) -> Vec<Range<usize>> {
    /// Twice as many as for which the library goes over from runs to a mask.
    const ROWS_PER_RUN: usize = 128;
    match (rows.first(), rows.last()) {
        (Some(first), Some(last)) if rows.len().saturating_mul(ROWS_PER_RUN) > last.end => {
            std::iter::once(first.start..last.end).collect()
        }
        _ => rows.to_vec(),
    }
}

type Next = Option<Result<RecordBatch, ArrowError>>;

/// The next batch of both readers. The other one is read by another thread if there is one that comes
/// to it before this one is done: on a machine that is busy nobody waits for a turn.
fn next_of_both(
    one: &mut ParquetRecordBatchReader,
    other: &mut Option<ParquetRecordBatchReader>,
) -> (Next, Next) {
    let offered = Arc::new(Mutex::new(other.take()));
    let take = |from: &Mutex<Option<ParquetRecordBatchReader>>| {
        from.lock().unwrap_or_else(PoisonError::into_inner).take()
    };
    let (done, result) = mpsc::sync_channel(1);
    if let Ok(runtime) = Handle::try_current() {
        let offered = Arc::clone(&offered);
        runtime.spawn_blocking(move || {
            if let Some(mut reader) = take(&offered) {
                let next = reader.next();
                // Whoever asked may have gone.
                done.send((reader, next)).ok();
            }
        });
    }
    let first = one.next();
    let second = match take(&offered) {
        Some(mut reader) => {
            let next = reader.next();
            Some((reader, next))
        }
        None => result.recv().ok(),
    };
    match second {
        Some((reader, next)) => {
            *other = Some(reader);
            (first, next)
        }
        // The other thread has panicked, and said why.
        None => (first, None),
    }
}

/// What a column has in all of the rows, if that shows without reading it.
fn content(
    metadata: &ParquetMetaData,
    (row_group, rows): (usize, &[Range<usize>]),
    root: usize,
    field: &Field,
) -> Option<Content> {
    let is_list = matches!(field.data_type(), DataType::List(_));
    if !is_list && !field.is_nullable() && *field.data_type() != DataType::UInt32 {
        return None;
    }
    let schema = metadata.file_metadata().schema_descr();
    let indexes = metadata.column_index()?.get(row_group)?;
    let offsets = metadata.offset_index()?.get(row_group)?;
    let mut found = None;
    let leaves = (0..schema.num_columns()).filter(|leaf| schema.get_column_root_idx(*leaf) == root);
    for leaf in leaves {
        let (index, pages) = (indexes.get(leaf)?, offsets.get(leaf)?.page_locations());
        let starts = |page: usize| usize::try_from(pages.get(page)?.first_row_index).ok();
        let overlapping = (0..pages.len()).filter(|page| {
            let end = starts(page + 1).unwrap_or(usize::MAX);
            starts(*page).is_none_or(|start| overlap(rows, &(start..end)))
        });
        for page in overlapping {
            let of_page = content_of_page(index, page)?;
            if found.is_some_and(|found| found != of_page) {
                return None;
            }
            found = Some(of_page);
        }
    }
    match found? {
        Content::Number(_) if *field.data_type() != DataType::UInt32 => None,
        content => Some(content),
    }
}

fn content_of_page(index: &ColumnIndexMetaData, page: usize) -> Option<Content> {
    // Of what has no order, such as NaN, nothing is known.
    let is_known = !matches!(index, ColumnIndexMetaData::NONE);
    if !is_known || u64::try_from(page).ok()? >= index.num_pages() {
        return None;
    }
    if index.is_null_page(page) {
        return Some(Content::Nothing);
    }
    let ColumnIndexMetaData::INT32(numbers) = index else {
        return None;
    };
    let (least, most) = (numbers.min_value(page)?, numbers.max_value(page)?);
    let is_one = least == most && numbers.null_count(page) == Some(0);
    is_one.then(|| Content::Number(least.cast_unsigned()))
}

/// The columns of batches of the same rows, and those that were not read.
fn with_columns(
    parts: &[RecordBatch],
    made_up: &[(FieldRef, Content)],
) -> Result<RecordBatch, StorageError> {
    let rows = parts.first().map_or(0, RecordBatch::num_rows);
    let fields = parts.iter().flat_map(|part| part.schema_ref().fields());
    let mut fields: Vec<FieldRef> = fields.cloned().collect();
    let columns = parts.iter().flat_map(RecordBatch::columns);
    let mut columns: Vec<ArrayRef> = columns.cloned().collect();
    for (field, content) in made_up {
        let column: ArrayRef = match (content, field.data_type()) {
            (Content::Number(number), _) => Arc::new(UInt32Array::from_value(*number, rows)),
            (Content::Nothing, DataType::List(item)) if !field.is_nullable() => {
                let lengths = OffsetBuffer::new_zeroed(rows);
                let items = new_empty_array(item.data_type());
                Arc::new(ListArray::new(Arc::clone(item), lengths, items, None))
            }
            (Content::Nothing, data_type) => new_null_array(data_type, rows),
        };
        fields.push(Arc::clone(field));
        columns.push(column);
    }
    let schema: SchemaRef = Arc::new(Schema::new(fields));
    RecordBatch::try_new(schema, columns)
        .map_err(|error| StorageError::arrow("reading some rows of a block", error))
}
