//! The values that the dictionary of a column chunk lists.

use std::ops::Range;

use bytes::{Buf, Bytes};
use parquet::basic::{Encoding, Type};
use parquet::column::page::{Page, PageReader};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use parquet::file::page_index::offset_index::PageLocation;

use super::set::{Value, ValueSet};
use crate::block::read::page_reader::{ColumnPages, FetchedBytes};

/// Where the dictionary page is, if every value of the chunk is in it.
pub(super) fn range(
    metadata: &ParquetMetaData,
    row_group: usize,
    leaf: usize,
) -> Option<Range<u64>> {
    let column = metadata.row_group(row_group).column(leaf);
    let encodings = column.page_encoding_stats_mask()?;
    let only_codes = encodings.is_only(Encoding::RLE_DICTIONARY)
        || encodings.is_only(Encoding::PLAIN_DICTIONARY);
    if !only_codes {
        return None;
    }
    let start = u64::try_from(column.dictionary_page_offset()?).ok()?;
    let end = u64::try_from(column.data_page_offset()).ok()?;
    (start < end).then_some(start..end)
}

/// Adds the values of a dictionary page, whose bytes start at `start` in the file.
pub(super) fn decode(
    column: &ColumnChunkMetaData,
    start: u64,
    bytes: Bytes,
    set: &mut ValueSet,
) -> Result<()> {
    let first_data_page = PageLocation {
        offset: column.data_page_offset(),
        compressed_page_size: 0,
        first_row_index: 0,
    };
    let fetched = FetchedBytes(vec![(start, bytes)]);
    let mut pages = ColumnPages::new(fetched, column, 0, vec![first_data_page])?;
    let Some(Page::DictionaryPage {
        buf, num_values, ..
    }) = pages.get_next_page()?
    else {
        return Err(damaged());
    };
    let mut rest = buf;
    for _ in 0..num_values {
        let value = match column.column_type() {
            Type::BYTE_ARRAY => {
                let length = rest.try_get_u32_le().map_err(|_| damaged())?;
                let length = usize::try_from(length).map_err(|_| damaged())?;
                if length > rest.len() {
                    return Err(damaged());
                }
                let text = rest.split_to(length);
                Value::String(String::from_utf8(text.to_vec()).map_err(|_| damaged())?)
            }
            Type::INT64 => Value::Int(rest.try_get_i64_le().map_err(|_| damaged())?),
            Type::INT32 => Value::Int(rest.try_get_i32_le().map_err(|_| damaged())?.into()),
            Type::DOUBLE => Value::Double(rest.try_get_f64_le().map_err(|_| damaged())?),
            Type::BOOLEAN | Type::INT96 | Type::FLOAT | Type::FIXED_LEN_BYTE_ARRAY => {
                return Err(damaged());
            }
        };
        set.insert(value);
        if set.is_full() {
            break;
        }
    }
    Ok(())
}

fn damaged() -> ParquetError {
    ParquetError::General("a dictionary page is not as the format says".to_owned())
}
