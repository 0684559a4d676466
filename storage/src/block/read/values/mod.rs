//! Which values an attribute or a field of spans has in a block.
//!
//! A row group whose spans all start inside the time range has just the values that its dictionaries
//! list, and these are read without its rows. Elsewhere, at the ends of the range, in columns that
//! have no dictionary, and among attributes without a column of their own, rows are looked at.

mod dictionary;
mod place;
mod scan;
mod set;

use std::ops::RangeInclusive;
use std::sync::Arc;

use parquet::arrow::async_reader::AsyncFileReader;

use crate::block::MemoryBlock;
use crate::block::read::file::BlockFile;
use crate::error::StorageError;

pub use place::ValueSource;
pub use set::{Value, ValueLimits, ValueSet};

/// The values that the spans of a stored block have whose start lies in a range, ns since the epoch.
///
/// # Errors
///
/// If the store fails, or the block is damaged.
pub async fn read_values(
    mut file: BlockFile,
    source: &ValueSource,
    starts: RangeInclusive<i64>,
    limits: ValueLimits,
) -> Result<ValueSet, StorageError> {
    let mut set = ValueSet::new(limits);
    let meta = Arc::clone(file.meta());
    let places = source.places(&meta);
    if places.is_empty() {
        return Ok(set);
    }
    let metadata = Arc::clone(file.footer().await?.metadata());
    let schema = metadata.file_metadata().schema_descr();
    let (mut dictionaries, mut scans) = (Vec::new(), Vec::new());
    for (index, row_group) in meta.row_groups.iter().enumerate() {
        let (first, last) = (row_group.min_start_ns, row_group.max_start_ns);
        if last < *starts.start() || first > *starts.end() {
            continue;
        }
        let is_inside = starts.contains(&first) && starts.contains(&last);
        for place in &places {
            let leaves = place.leaves(schema);
            let dictionary = match leaves.as_slice() {
                [leaf] if is_inside => dictionary::range(&metadata, index, *leaf),
                _ => None,
            };
            match (dictionary, leaves.first()) {
                (Some(range), Some(leaf)) => dictionaries.push((index, *leaf, range)),
                _ => scans.push((index, place, leaves, !is_inside)),
            }
        }
    }
    let object = file.path().to_string();
    let ranges = dictionaries.iter().map(|(_, _, range)| range.clone());
    let pages = file.get_byte_ranges(ranges.collect()).await;
    let pages = pages.map_err(|error| StorageError::from_parquet(&object, error))?;
    for ((row_group, leaf, range), bytes) in dictionaries.into_iter().zip(pages) {
        if set.is_full() {
            return Ok(set);
        }
        let column = metadata.row_group(row_group).column(leaf);
        dictionary::decode(column, range.start, bytes, &mut set)
            .map_err(|error| StorageError::from_parquet(&object, error))?;
    }
    for (row_group, place, leaves, is_edge) in scans {
        if set.is_full() {
            return Ok(set);
        }
        let wanted = is_edge.then(|| starts.clone());
        scan::row_group(file.clone(), row_group, place, leaves, wanted, &mut set).await?;
    }
    Ok(set)
}

/// The values that the spans of a block in memory have whose start lies in a range.
///
/// # Errors
///
/// If the batches do not have the columns of a block.
pub fn live_values(
    block: &MemoryBlock,
    source: &ValueSource,
    starts: RangeInclusive<i64>,
    limits: ValueLimits,
) -> Result<ValueSet, StorageError> {
    let mut set = ValueSet::new(limits);
    let object = block.meta.block_id.to_string();
    for place in source.places(&block.meta) {
        for batch in &block.batches {
            if set.is_full() {
                return Ok(set);
            }
            scan::batch(batch, &place, Some(&starts), &object, &mut set)?;
        }
    }
    Ok(set)
}
