//! The values that rows have, found by looking at each row.

use std::ops::RangeInclusive;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, RecordBatch};
use arrow::datatypes::{DataType, Float64Type, Int32Type, Int64Type};
use futures::TryStreamExt;
use parquet::arrow::{ParquetRecordBatchStreamBuilder, ProjectionMask};

use super::place::{Place, items};
use super::set::{Value, ValueSet};
use crate::block::read::entries::Entries;
use crate::block::read::file::BlockFile;
use crate::error::StorageError;
use crate::otlp::KeyInterner;
use crate::schema::names;

/// Rows per batch.
const BATCH_ROWS: usize = 16_384;

/// Adds the values of a place in a row group; only of rows that start in a range, if one is given.
pub(super) async fn row_group(
    mut file: BlockFile,
    row_group: usize,
    place: &Place,
    mut leaves: Vec<usize>,
    starts: Option<RangeInclusive<i64>>,
    set: &mut ValueSet,
) -> Result<(), StorageError> {
    let object = file.path().to_string();
    let fail = |error| StorageError::from_parquet(&object, error);
    let metadata = file.arrow().await?;
    let schema = metadata.parquet_schema();
    if starts.is_some() {
        let time = Place::Column(names::START_NS.to_owned());
        leaves.extend(time.leaves(schema));
    }
    let columns = ProjectionMask::leaves(schema, leaves);
    let mut stream = ParquetRecordBatchStreamBuilder::new_with_metadata(file, metadata)
        .with_row_groups(vec![row_group])
        .with_projection(columns)
        .with_batch_size(BATCH_ROWS)
        .build()
        .map_err(fail)?;
    while !set.is_full()
        && let Some(rows) = stream.try_next().await.map_err(fail)?
    {
        batch(&rows, place, starts.as_ref(), &object, set)?;
    }
    Ok(())
}

/// Adds the values of a place in a batch; only of rows that start in a range, if one is given.
pub(super) fn batch(
    batch: &RecordBatch,
    place: &Place,
    starts: Option<&RangeInclusive<i64>>,
    object: &str,
    set: &mut ValueSet,
) -> Result<(), StorageError> {
    let column = |name: &str| {
        let found = batch.column_by_name(name);
        found.ok_or_else(|| StorageError::malformed(object, name))
    };
    let rows: Vec<usize> = match starts {
        None => (0..batch.num_rows()).collect(),
        Some(starts) => {
            let times = column(names::START_NS)?.as_primitive_opt::<Int64Type>();
            let times = times.ok_or_else(|| StorageError::malformed(object, names::START_NS))?;
            let times = times.values().iter().enumerate();
            let inside = times.filter(|(_, start)| starts.contains(start));
            inside.map(|(row, _)| row).collect()
        }
    };
    match place {
        Place::Column(name) => {
            flat(column(name)?, &rows, set).ok_or_else(|| StorageError::malformed(object, name))
        }
        Place::EventName => {
            let found = event_names(column(names::EVENTS)?, &rows, set);
            found.ok_or_else(|| StorageError::malformed(object, names::EVENTS))
        }
        Place::Entries(scope, key) => match names::residual(*scope) {
            Some(name) => {
                let entries = Entries::new(column(name)?);
                let entries = entries.ok_or_else(|| StorageError::malformed(object, name))?;
                values_of(&entries, key, rows.into_iter(), object, set)
            }
            None => {
                let name = items(*scope);
                let found = item_entries(column(name)?, &rows);
                let (entries, rows) = found.ok_or_else(|| StorageError::malformed(object, name))?;
                values_of(&entries, key, rows.into_iter(), object, set)
            }
        },
    }
}

/// Values of a column. `None` if it is of a type that columns do not have.
fn flat(column: &ArrayRef, rows: &[usize], set: &mut ValueSet) -> Option<()> {
    let rows = rows.iter().copied().filter(|row| column.is_valid(*row));
    match column.data_type() {
        DataType::Dictionary(..) => {
            let dictionary = column.as_dictionary_opt::<Int32Type>()?;
            let texts = dictionary.values().as_string_opt::<i32>()?;
            // Codes first: many rows share few texts.
            let mut seen = vec![false; texts.len()];
            for row in rows {
                let code = usize::try_from(dictionary.keys().value(row)).ok()?;
                *seen.get_mut(code)? = true;
            }
            let seen = seen.into_iter().enumerate().filter(|(_, seen)| *seen);
            seen.for_each(|(code, _)| set.insert(Value::String(texts.value(code).to_owned())));
        }
        DataType::Utf8 => {
            let texts = column.as_string_opt::<i32>()?;
            rows.for_each(|row| set.insert(Value::String(texts.value(row).to_owned())));
        }
        DataType::Int64 => {
            let numbers = column.as_primitive_opt::<Int64Type>()?;
            rows.for_each(|row| set.insert(Value::Int(numbers.value(row))));
        }
        DataType::Int32 => {
            let numbers = column.as_primitive_opt::<Int32Type>()?;
            rows.for_each(|row| set.insert(Value::Int(numbers.value(row).into())));
        }
        DataType::Float64 => {
            let numbers = column.as_primitive_opt::<Float64Type>()?;
            rows.for_each(|row| set.insert(Value::Double(numbers.value(row))));
        }
        DataType::Boolean => {
            let flags = column.as_boolean_opt()?;
            rows.for_each(|row| set.insert(Value::Bool(flags.value(row))));
        }
        _ => return None,
    }
    Some(())
}

fn event_names(events: &ArrayRef, rows: &[usize], set: &mut ValueSet) -> Option<()> {
    let lists = events.as_list_opt::<i32>()?;
    let texts = lists
        .values()
        .as_struct_opt()?
        .column_by_name(names::EVENT_NAME)?;
    let texts = texts.as_string_opt::<i32>()?;
    for at in elements(lists, rows) {
        set.insert(Value::String(texts.value(at).to_owned()));
    }
    Some(())
}

/// The attributes of events or links, and which of these are in the rows.
fn item_entries<'a>(items: &'a ArrayRef, rows: &[usize]) -> Option<(Entries<'a>, Vec<usize>)> {
    let lists = items.as_list_opt::<i32>()?;
    let attributes = lists
        .values()
        .as_struct_opt()?
        .column_by_name(names::ITEM_ATTRIBUTES)?;
    let items = elements(lists, rows).collect();
    Some((Entries::new(attributes)?, items))
}

/// Indexes of the elements of the lists in some rows.
fn elements(lists: &ListArray, rows: &[usize]) -> impl Iterator<Item = usize> {
    let offset = |at: usize| usize::try_from(lists.value_offsets()[at]).unwrap_or(0);
    rows.iter()
        .flat_map(move |row| offset(*row)..offset(row + 1))
}

fn values_of(
    entries: &Entries<'_>,
    key: &str,
    rows: impl Iterator<Item = usize>,
    object: &str,
    set: &mut ValueSet,
) -> Result<(), StorageError> {
    let mut keys = KeyInterner::default();
    for row in rows {
        for at in entries.of_row(row).filter(|at| entries.key(*at) == key) {
            let value = entries.decoded(at, &mut keys, object)?;
            Value::of(value, &mut |value| set.insert(value));
        }
    }
    Ok(())
}
