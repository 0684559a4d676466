//! A column of a row group, read forwards as codes and values, page by page.

use std::sync::Arc;

use arrow::array::{ArrayRef, new_empty_array};
use arrow::datatypes::DataType;
use bytes::Bytes;
use parquet::basic::Encoding;
use parquet::column::page::PageReader;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::ParquetMetaData;

use super::chunk::page_bounds;
use super::decode::PageDecoder;
use super::page::{Loaded, PageCodes, PageContent};
use super::peaks::Peak;
use super::row_codes::RowCodes;
use super::shared::SharedChunk;
use super::values::is_known;
use crate::block::footer::BlockFooter;
use crate::block::read::file::BlockFile;
use crate::block::read::page_reader::{ColumnPages, damaged};
use crate::error::StorageError;

/// A column of one row group, read forwards.
///
/// At any row there are [`values`](Self::values), and every row has the code of one of them: its
/// place among them. They change from page to page, unless a dictionary holds them.
pub struct EncodedColumn {
    object: Arc<str>,
    footer: Arc<BlockFooter>,
    row_group: usize,
    leaf: usize,
    decoder: PageDecoder,
    chunk: SharedChunk,
    /// Gives the pages that nobody has decoded, and which one is next.
    reader: Option<(ColumnPages, usize)>,
    page: Loaded,
}

impl std::fmt::Debug for EncodedColumn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EncodedColumn")
            .field("object", &self.object)
            .field("decoder", &self.decoder)
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
            Encoding::BYTE_STREAM_SPLIT => !matches!(
                data_type,
                DataType::Boolean | DataType::Utf8 | DataType::FixedSizeBinary(_)
            ),
            _ => false,
        })
}

impl EncodedColumn {
    /// Opens the chunks of some leaf columns of a row group. Those that nobody has read lately are
    /// fetched, in one go.
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
        for (leaf, data_type) in leaves {
            if !can_read(metadata, row_group, *leaf, data_type) {
                let what = format!("encoding of row group {row_group} column {leaf}");
                return Err(fail(ParquetError::NYI(what)));
            }
        }
        let wanted = leaves.iter().map(|(leaf, _)| *leaf);
        let chunks = SharedChunk::open(file, metadata, row_group, wanted);
        let chunks = chunks.await.map_err(fail)?;
        let columns = leaves.iter().zip(chunks);
        let column = |((leaf, data_type), chunk): (&(usize, DataType), _)| Self {
            object: Arc::clone(&object),
            footer: Arc::clone(&footer),
            row_group,
            leaf: *leaf,
            decoder: PageDecoder {
                data_type: data_type.clone(),
                optional: metadata
                    .row_group(row_group)
                    .column(*leaf)
                    .column_descr()
                    .max_def_level()
                    > 0,
            },
            chunk,
            reader: None,
            page: Loaded {
                rows: 0..0,
                row: 0,
                values: new_empty_array(value_type(data_type)),
                generation: 0,
                codes: PageCodes::Place,
                peaks: Arc::default(),
            },
        };
        Ok(columns.map(column).collect())
    }

    /// Where the page of a row ends.
    #[must_use]
    pub fn page_end(&self, row: usize) -> usize {
        let bounds = &self.chunk.bounds;
        let page = bounds.partition_point(|bound| *bound <= row);
        bounds.get(page).copied().unwrap_or(row)
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
        self.decoder.optional.then(null).flatten()
    }

    /// The code of the next row, where codes just count the rows of the page.
    #[must_use]
    pub fn place(&self) -> Option<usize> {
        match self.page.codes {
            PageCodes::Place => Some(self.page.row - self.page.rows.start),
            PageCodes::Coded { .. } => None,
        }
    }

    /// The largest numbers of this page, one for each zone of its rows, in order; none where rows do not
    /// have a number each, in codes that are [places](Self::place).
    #[must_use]
    pub fn peaks(&self) -> &[Peak] {
        self.page.peaks()
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

    /// Reads the codes of so many next rows, all of this page, if they fit into bytes and every row has a
    /// value; nothing is read where not.
    ///
    /// # Errors
    ///
    /// If the page is damaged, or does not have so many rows.
    pub fn read_narrow(&mut self, rows: usize) -> std::result::Result<Option<Bytes>, StorageError> {
        let read = self.page.read_narrow(rows);
        read.map_err(|error| self.fail(error))
    }

    /// Goes over so many next rows, all of this page, and reads the codes of those at some `places` among
    /// them, ascending, if every row has a value and a code; nothing is read where not.
    ///
    /// # Errors
    ///
    /// If the page is damaged, or does not have so many rows.
    pub fn pick(
        &mut self,
        rows: usize,
        places: &[u32],
    ) -> std::result::Result<Option<Vec<u32>>, StorageError> {
        let picked = self.page.pick(rows, places);
        picked.map_err(|error| self.fail(error))
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
        if !self.page.rows.contains(&row) {
            let bounds = &self.chunk.bounds;
            let next = bounds.partition_point(|bound| *bound <= row);
            if row < self.page.rows.end || next == 0 || next >= bounds.len() {
                return Err(damaged("rows are read in order"));
            }
            let (page, rows) = (next - 1, bounds[next - 1]..bounds[next]);
            let content = match self.chunk.page(page) {
                Some(kept) => kept.clone(),
                None => self.decode(page, rows.len())?,
            };
            self.page = Loaded {
                row: rows.start,
                rows,
                generation: if content.is_own {
                    u64::try_from(next)? + 1
                } else {
                    1
                },
                values: content.values,
                codes: content.codes,
                peaks: content.peaks,
            };
        }
        self.page.skip_to(row)
    }

    /// Decodes a page of so many rows, for everyone who reads this chunk.
    fn decode(&mut self, page: usize, rows: usize) -> Result<PageContent> {
        let (mut pages, mut next) = match self.reader.take() {
            Some(reader) => reader,
            None => {
                let place = (self.row_group, self.leaf);
                (self.chunk.pages(self.footer.metadata(), place)?, 0)
            }
        };
        // The dictionary is given before the first page, whichever is wanted.
        while matches!(pages.peek_next_page(), Ok(Some(page)) if page.is_dict) {
            match self.chunk.dictionary() {
                Some(_) => pages.skip_next_page()?,
                None => {
                    let dictionary = pages.get_next_page()?;
                    let dictionary = self.decoder.dictionary(dictionary)?;
                    self.chunk.keep_dictionary(dictionary);
                }
            }
        }
        while next < page {
            pages.skip_next_page()?;
            next += 1;
        }
        let too_few = || damaged("a column chunk has too few pages");
        let read = pages.get_next_page()?.ok_or_else(too_few)?;
        let content = self.decoder.page(read, rows, self.chunk.dictionary())?;
        self.reader = Some((pages, next + 1));
        self.chunk.keep_page(page, &content);
        Ok(content)
    }
}

/// What the values of a column of this type are.
fn value_type(data_type: &DataType) -> &DataType {
    match data_type {
        DataType::Dictionary(_, values) => values,
        other => other,
    }
}
