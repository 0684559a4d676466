//! What was fetched of a row group, as a source for the library's reader: of each column the pages that
//! have the wanted rows, and the dictionary.

use std::ops::Range;

use parquet::arrow::async_reader::AsyncFileReader;
use parquet::bloom_filter::Sbbf;
use parquet::column::page::PageReader;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{
    ColumnChunkMetaData, FileMetaData, ParquetMetaData, RowGroupMetaData,
};
use parquet::file::page_index::offset_index::PageLocation;
use parquet::file::reader::{FileReader, RowGroupReader};
use parquet::record::reader::RowIter;
use parquet::schema::types::Type as SchemaType;

use crate::block::footer::chunk_range;
use crate::block::read::file::BlockFile;
use crate::block::read::page_reader::{ColumnPages, FetchedBytes, damaged, locations};

/// What was fetched of a row group.
pub(super) struct FetchedRowGroup {
    metadata: ParquetMetaData,
    /// By leaf column, ascending.
    columns: Vec<Column>,
}

struct Column {
    leaf: usize,
    locations: Vec<PageLocation>,
    fetched: FetchedBytes,
}

impl FetchedRowGroup {
    /// Fetches what some leaf columns, in ascending order, have of some rows; in as few requests as
    /// make sense.
    ///
    /// # Errors
    ///
    /// If the store fails, or the block is damaged.
    pub(super) async fn fetch(
        file: &mut BlockFile,
        metadata: &ParquetMetaData,
        (row_group, rows): (usize, &[Range<usize>]),
        leaves: impl Iterator<Item = usize>,
    ) -> Result<Self> {
        let mut columns = Vec::new();
        let mut wanted = Vec::new();
        for leaf in leaves {
            let chunk = metadata.row_group(row_group).column(leaf);
            let locations = locations(metadata, row_group, leaf)?.clone();
            let parts = parts(chunk, &locations, rows)?;
            wanted.extend(parts.into_iter().map(|part| (columns.len(), part)));
            columns.push(Column {
                leaf,
                locations,
                fetched: FetchedBytes::default(),
            });
        }
        let ranges = wanted.iter().map(|(_, range)| range.clone()).collect();
        let bytes = file.get_byte_ranges(ranges).await?;
        for ((column, range), bytes) in wanted.into_iter().zip(bytes) {
            columns[column].fetched.0.push((range.start, bytes));
        }
        Ok(Self {
            metadata: with_one_group(metadata, row_group),
            columns,
        })
    }
}

/// To the library it is a file of one row group.
impl FileReader for FetchedRowGroup {
    fn metadata(&self) -> &ParquetMetaData {
        &self.metadata
    }

    fn num_row_groups(&self) -> usize {
        1
    }

    fn get_row_group(&self, _: usize) -> Result<Box<dyn RowGroupReader + '_>> {
        Ok(Box::new(self))
    }

    fn get_row_iter(&self, _: Option<SchemaType>) -> Result<RowIter<'_>> {
        Err(not_by_row())
    }
}

impl RowGroupReader for &FetchedRowGroup {
    fn metadata(&self) -> &RowGroupMetaData {
        self.metadata.row_group(0)
    }

    fn num_columns(&self) -> usize {
        self.metadata.row_group(0).num_columns()
    }

    fn get_column_page_reader(&self, leaf: usize) -> Result<Box<dyn PageReader>> {
        let at = self
            .columns
            .binary_search_by_key(&leaf, |column| column.leaf);
        let at = at.map_err(|_| damaged(&format!("column {leaf} is not read")))?;
        let Column {
            fetched, locations, ..
        } = &self.columns[at];
        let group = self.metadata.row_group(0);
        let rows = usize::try_from(group.num_rows())?;
        let chunk = group.column(leaf);
        let pages = ColumnPages::new(fetched.clone(), chunk, rows, locations.clone())?;
        Ok(Box::new(pages))
    }

    fn get_column_bloom_filter(&self, _: usize) -> Option<&Sbbf> {
        None
    }

    fn get_row_iter(&self, _: Option<SchemaType>) -> Result<RowIter<'_>> {
        Err(not_by_row())
    }
}

fn not_by_row() -> ParquetError {
    ParquetError::NYI("rows are read in batches".to_owned())
}

/// Metadata of a file that has nothing but one of the row groups.
fn with_one_group(metadata: &ParquetMetaData, row_group: usize) -> ParquetMetaData {
    let group = metadata.row_group(row_group).clone();
    let file = metadata.file_metadata();
    // Key-values, which may be long, are of no use here.
    let file = FileMetaData::new(
        file.version(),
        group.num_rows(),
        None,
        None,
        file.schema_descr_ptr(),
        file.column_orders().cloned(),
    );
    ParquetMetaData::new(file, vec![group])
}

/// Whether some rows, ascending, have one of a page's.
pub(super) fn overlap(rows: &[Range<usize>], page: &Range<usize>) -> bool {
    let next = rows.partition_point(|rows| rows.end <= page.start);
    rows.get(next).is_some_and(|rows| rows.start < page.end)
}

/// Where the dictionary and the pages with some rows are.
fn parts(
    chunk: &ColumnChunkMetaData,
    pages: &[PageLocation],
    rows: &[Range<usize>],
) -> Result<Vec<Range<u64>>> {
    let outside = || damaged("a page outside its column chunk");
    let chunk = chunk_range(chunk).ok_or_else(outside)?;
    let mut parts = Vec::new();
    let mut push = |start: u64, end: u64| {
        if start < chunk.start || start > end || end > chunk.end {
            return Err(outside());
        }
        match parts.last_mut() {
            _ if start == end => {}
            Some(Range { end: last, .. }) if *last == start => *last = end,
            _ => parts.push(start..end),
        }
        Ok(())
    };
    if let Some(first) = pages.first() {
        push(chunk.start, u64::try_from(first.offset)?)?;
    }
    for (place, page) in pages.iter().enumerate() {
        let first = usize::try_from(page.first_row_index)?;
        let next = pages.get(place + 1);
        let next = next.map(|next| usize::try_from(next.first_row_index));
        let next = next.transpose()?.unwrap_or(usize::MAX);
        if overlap(rows, &(first..next)) {
            let start = u64::try_from(page.offset)?;
            push(start, start + u64::try_from(page.compressed_page_size)?)?;
        }
    }
    Ok(parts)
}
