//! A column chunk, page by page.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, UInt32Array, new_empty_array, new_null_array};
use arrow::compute::{concat, take};
use arrow::datatypes::DataType;
use bytes::Bytes;
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::basic::Encoding;
use parquet::column::page::{Page, PageReader};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};

use super::page::{Codes, Loaded};
use super::row_codes::RowCodes;
use super::values::{self, is_known};
use crate::block::footer::chunk_range;
use crate::block::hybrid::Hybrid;
use crate::block::pages::{ColumnPages, Fetched, damaged, locations};
use crate::block::reader::BlockFile;
use crate::error::StorageError;

/// A column of one row group, read forwards.
///
/// At any row there are [`values`](Self::values), and every row has the code of one of them: its
/// place among them. They change from page to page, unless a dictionary holds them.
pub struct EncodedColumn {
    object: Arc<str>,
    pages: ColumnPages,
    /// First row of each page, then the number of rows.
    bounds: Vec<usize>,
    /// The page that the reader gives next.
    next_page: usize,
    data_type: DataType,
    optional: bool,
    /// With a null at the end where rows may have none of the values.
    dictionary: Option<ArrayRef>,
    page: Loaded,
}

impl std::fmt::Debug for EncodedColumn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EncodedColumn")
            .field("object", &self.object)
            .field("data_type", &self.data_type)
            .finish_non_exhaustive()
    }
}

/// Whether a column chunk has a form that [`EncodedColumn`] reads: flat, of simple values.
#[must_use]
pub fn can_read(
    metadata: &ParquetMetaData,
    row_group: usize,
    leaf: usize,
    data_type: &DataType,
) -> bool {
    let groups = metadata.row_groups();
    let Some(chunk) = groups.get(row_group).and_then(|g| g.columns().get(leaf)) else {
        return false;
    };
    let column = chunk.column_descr();
    let encodings = chunk.encodings();
    column.max_rep_level() == 0
        && column.max_def_level() <= 1
        && is_known(column.physical_type(), data_type)
        && page_bounds(metadata, row_group, leaf).is_some()
        && encodings.into_iter().all(|encoding| match encoding {
            Encoding::PLAIN
            | Encoding::PLAIN_DICTIONARY
            | Encoding::RLE_DICTIONARY
            | Encoding::RLE => true,
            Encoding::BYTE_STREAM_SPLIT => !matches!(data_type, DataType::Boolean | DataType::Utf8),
            _ => false,
        })
}

/// First row of each page, then the number of rows; `None` if they make no sense.
fn page_bounds(metadata: &ParquetMetaData, row_group: usize, leaf: usize) -> Option<Vec<usize>> {
    let rows = usize::try_from(metadata.row_groups().get(row_group)?.num_rows()).ok()?;
    let pages = locations(metadata, row_group, leaf).ok()?.iter();
    let first_rows = pages.map(|page| page.first_row_index);
    let bounds: Vec<usize> = first_rows
        .map(|row| usize::try_from(row).ok())
        .chain([Some(rows)])
        .collect::<Option<_>>()?;
    (bounds.len() > 1 && bounds[0] == 0 && bounds.is_sorted_by(|a, b| a < b)).then_some(bounds)
}

impl EncodedColumn {
    /// Reads the chunks of some leaf columns of a row group, in one go.
    ///
    /// # Errors
    ///
    /// If the store fails, the block is damaged, or a chunk is none that [`can_read`] agrees to.
    pub async fn open(
        file: &mut BlockFile,
        row_group: usize,
        leaves: &[(usize, DataType)],
    ) -> std::result::Result<Vec<Self>, StorageError> {
        let object: Arc<str> = file.path().to_string().into();
        let footer = file.footer().await?;
        let metadata = footer.metadata();
        let fail = |error| StorageError::from_parquet(&object, error);
        let mut chunks = Vec::with_capacity(leaves.len());
        for (leaf, data_type) in leaves {
            if !can_read(metadata, row_group, *leaf, data_type) {
                let what = format!("encoding of row group {row_group} column {leaf}");
                return Err(fail(ParquetError::NYI(what)));
            }
            chunks.push(&metadata.row_group(row_group).columns()[*leaf]);
        }
        let range = |chunk: &&ColumnChunkMetaData| {
            let outside = || ParquetError::General("a column chunk outside the file".to_owned());
            chunk_range(chunk).ok_or_else(outside)
        };
        let ranges: Vec<_> = chunks
            .iter()
            .map(range)
            .collect::<Result<_>>()
            .map_err(fail)?;
        let parts = file.get_byte_ranges(ranges.clone()).await.map_err(fail)?;
        let mut columns = Vec::with_capacity(leaves.len());
        for (((leaf, data_type), chunk), (range, bytes)) in
            leaves.iter().zip(chunks).zip(ranges.iter().zip(parts))
        {
            let bytes = Fetched(vec![(range.start, bytes)]);
            let column = Self::new(
                Arc::clone(&object),
                metadata,
                (row_group, *leaf),
                (chunk, bytes),
                data_type,
            );
            columns.push(column.map_err(fail)?);
        }
        Ok(columns)
    }

    fn new(
        object: Arc<str>,
        metadata: &ParquetMetaData,
        (row_group, leaf): (usize, usize),
        (chunk, bytes): (&ColumnChunkMetaData, Fetched),
        data_type: &DataType,
    ) -> Result<Self> {
        let locations = locations(metadata, row_group, leaf)?.clone();
        let disordered = || damaged("an index of pages that are not in order");
        let bounds = page_bounds(metadata, row_group, leaf).ok_or_else(disordered)?;
        let rows = bounds.last().copied().unwrap_or_default();
        Ok(Self {
            object,
            pages: ColumnPages::new(bytes, chunk, rows, locations)?,
            bounds,
            next_page: 0,
            data_type: data_type.clone(),
            optional: chunk.column_descr().max_def_level() > 0,
            dictionary: None,
            page: Loaded {
                rows: 0..0,
                row: 0,
                values: new_empty_array(value_type(data_type)),
                generation: 0,
                codes: Codes::Place,
            },
        })
    }

    /// Where the page of a row ends.
    #[must_use]
    pub fn page_end(&self, row: usize) -> usize {
        let page = self.bounds.partition_point(|bound| *bound <= row);
        self.bounds.get(page).copied().unwrap_or(row)
    }

    /// Goes forwards to a row.
    ///
    /// # Errors
    ///
    /// If the page is damaged, or the row was read already.
    pub fn seek(&mut self, row: usize) -> std::result::Result<(), StorageError> {
        self.try_seek(row).map_err(|error| self.fail(error))
    }

    /// What rows of this page have; the last may stand for none at all. Dictionaries are not values:
    /// these are texts.
    #[must_use]
    pub fn values(&self) -> &ArrayRef {
        &self.page.values
    }

    /// A number that is another one for other [`values`](Self::values).
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.page.generation
    }

    /// The code that rows without a value have; `None` if every row has one.
    #[must_use]
    pub fn null(&self) -> Option<u32> {
        let null = || self.page.null().ok();
        self.optional.then(null).flatten()
    }

    /// The code of the next row, where codes just count the rows of the page.
    #[must_use]
    pub fn place(&self) -> Option<usize> {
        match self.page.codes {
            Codes::Place => Some(self.page.row - self.page.rows.start),
            Codes::Coded { .. } => None,
        }
    }

    /// The code that the next rows all have, if that can be seen without reading theirs.
    ///
    /// # Errors
    ///
    /// If the page is damaged.
    pub fn repeated(&mut self, rows: usize) -> std::result::Result<Option<u32>, StorageError> {
        let repeated = self.page.repeated(rows);
        repeated.map_err(|error| self.fail(error))
    }

    /// Reads the codes of the next rows, as many as there is room for, all of this page. Each is the
    /// place of one of [`values`](Self::values).
    ///
    /// # Errors
    ///
    /// If the page is damaged, or does not have so many rows.
    pub fn read(&mut self, codes: &mut [u32]) -> std::result::Result<(), StorageError> {
        let read = self.page.read(codes);
        read.map_err(|error| self.fail(error))
    }

    /// Reads the codes of so many next rows, all of this page, except of those that have no value.
    /// Where codes are [places](Self::place) every row has one, and what it stands for may be null.
    ///
    /// # Errors
    ///
    /// If the page is damaged, or does not have so many rows.
    pub fn read_rows(
        &mut self,
        rows: usize,
        codes: &mut RowCodes,
    ) -> std::result::Result<(), StorageError> {
        let read = self.page.read_rows(rows, codes);
        read.map_err(|error| self.fail(error))
    }

    fn fail(&self, error: ParquetError) -> StorageError {
        StorageError::from_parquet(&self.object, error)
    }

    fn try_seek(&mut self, row: usize) -> Result<()> {
        while !self.page.rows.contains(&row) {
            let wanted = self.bounds.partition_point(|bound| *bound <= row);
            if row < self.page.rows.end || wanted == 0 || wanted >= self.bounds.len() {
                return Err(damaged("rows are read in order"));
            }
            // The dictionary is given before the first page, whichever is wanted.
            while self.dictionary_is_next() {
                self.read_dictionary()?;
            }
            while self.next_page + 1 < wanted {
                self.pages.skip_next_page()?;
                self.next_page += 1;
            }
            let page = self.pages.get_next_page()?;
            let page = page.ok_or_else(|| damaged("a column chunk has too few pages"))?;
            let rows = self.bounds[self.next_page]..self.bounds[self.next_page + 1];
            self.next_page += 1;
            self.page = self.load(page, rows)?;
        }
        self.page.skip_to(row)
    }

    fn dictionary_is_next(&mut self) -> bool {
        let next = self.pages.peek_next_page();
        matches!(next, Ok(Some(page)) if page.is_dict)
    }

    fn read_dictionary(&mut self) -> Result<()> {
        let Some(Page::DictionaryPage {
            buf, num_values, ..
        }) = self.pages.get_next_page()?
        else {
            return Err(damaged("a dictionary is expected"));
        };
        let count = usize::try_from(num_values)?;
        let values = values::decode(&buf, Encoding::PLAIN, count, &self.data_type)?;
        let values = if self.optional {
            concat(&[&values, &new_null_array(values.data_type(), 1)])?
        } else {
            values
        };
        self.dictionary = Some(values);
        Ok(())
    }

    fn load(&self, page: Page, rows: Range<usize>) -> Result<Loaded> {
        let (bytes, count, encoding, levels) = match page {
            Page::DataPage {
                buf,
                num_values,
                encoding,
                ..
            } => {
                let (levels, bytes) = if self.optional {
                    let (length, behind) = buf.split_first_chunk().ok_or_else(page_too_short)?;
                    let length = usize::try_from(u32::from_le_bytes(*length))?;
                    if length > behind.len() {
                        return Err(page_too_short());
                    }
                    (Some(buf.slice(4..4 + length)), buf.slice(4 + length..))
                } else {
                    (None, buf)
                };
                (bytes, num_values, encoding, levels)
            }
            Page::DataPageV2 {
                buf,
                num_values,
                encoding,
                def_levels_byte_len,
                rep_levels_byte_len,
                ..
            } => {
                let from = usize::try_from(rep_levels_byte_len)?;
                let to = from.saturating_add(usize::try_from(def_levels_byte_len)?);
                if to > buf.len() {
                    return Err(page_too_short());
                }
                let levels = self.optional.then(|| buf.slice(from..to));
                (buf.slice(to..), num_values, encoding, levels)
            }
            Page::DictionaryPage { .. } => return Err(damaged("a second dictionary")),
        };
        if usize::try_from(count)? != rows.len() {
            return Err(damaged(
                "a page has another number of rows than its index says",
            ));
        }
        let present = levels.map(|levels| Hybrid::new(levels, 1)).transpose()?;
        let (values, codes) = match encoding {
            Encoding::RLE_DICTIONARY | Encoding::PLAIN_DICTIONARY => {
                let missing = || damaged("a dictionary is missing");
                let values = self.dictionary.clone().ok_or_else(missing)?;
                let codes = match bytes.split_first() {
                    Some((width, _)) => Hybrid::new(bytes.slice(1..), u32::from(*width))?,
                    // No row has a value.
                    None => Hybrid::constant(0),
                };
                (values, Codes::Coded { codes, present })
            }
            _ => (
                self.plain(&bytes, encoding, rows.len(), present)?,
                Codes::Place,
            ),
        };
        Ok(Loaded {
            row: rows.start,
            rows,
            generation: match codes {
                Codes::Coded { .. } => 1,
                Codes::Place => u64::try_from(self.next_page)? + 1,
            },
            values,
            codes,
        })
    }

    /// The value of each row of a page.
    fn plain(
        &self,
        bytes: &Bytes,
        encoding: Encoding,
        rows: usize,
        present: Option<Hybrid>,
    ) -> Result<ArrayRef> {
        let decode = |count| {
            if encoding == Encoding::RLE {
                return booleans(bytes, count);
            }
            values::decode(bytes, encoding, count, &self.data_type)
        };
        let Some(mut present) = present else {
            return decode(rows);
        };
        let mut levels = vec![0; rows];
        present.read(&mut levels)?;
        let count = levels.iter().filter(|level| **level != 0).count();
        let values = decode(count)?;
        if count == rows {
            return Ok(values);
        }
        let mut next = 0_u32;
        let places = levels.into_iter().map(|level| {
            let place = (level != 0).then_some(next);
            next += u32::from(level != 0);
            place
        });
        Ok(take(&values, &places.collect::<UInt32Array>(), None)?)
    }
}

/// Booleans as runs, behind their length in bytes.
fn booleans(bytes: &Bytes, count: usize) -> Result<ArrayRef> {
    let from = bytes.len().min(4);
    let mut bits = vec![0; count];
    Hybrid::new(bytes.slice(from..), 1)?.read(&mut bits)?;
    let bits = bits.into_iter().map(|bit| Some(bit != 0));
    Ok(Arc::new(bits.collect::<arrow::array::BooleanArray>()))
}

/// What the values of a column of this type are.
fn value_type(data_type: &DataType) -> &DataType {
    match data_type {
        DataType::Dictionary(_, values) => values,
        other => other,
    }
}

pub(super) fn page_too_short() -> ParquetError {
    ParquetError::EOF("a page ends inside its definition levels".to_owned())
}
