//! One column chunk: its pages, their indexes and its statistics.

use std::sync::Arc;

use arrow::buffer::BooleanBuffer;
use bytes::Bytes;
use parquet::basic::{Compression, Encoding, PageType, ZstdLevel};
use parquet::column::page::{CompressedPage, Page, PageWriteSpec, PageWriter};
use parquet::column::writer::ColumnCloseResult;
use parquet::data_type::AsBytes as _;
use parquet::errors::ParquetError;
use parquet::file::metadata::{
    ColumnChunkMetaData, ColumnIndexBuilder, OffsetIndexBuilder, PageEncodingStats,
};
use parquet::file::statistics::ValueStatistics;
use parquet::file::writer::{SerializedPageWriter, TrackedWrite};
use parquet::schema::types::ColumnDescPtr;

use super::compressor::Compressor;
use super::presence::{PageRows, Presence};
use super::value::WithStatistics;
use crate::block::hybrid;
use crate::block::write::row_number::row_number;

/// A column chunk as it goes into the file.
pub(crate) struct OwnChunk {
    pub(in crate::block::write) bytes: Bytes,
    pub(in crate::block::write) close: ColumnCloseResult,
}

/// How chunks are cut and compressed.
#[derive(Debug, Clone, Copy)]
pub(in crate::block::write) struct ChunkOptions {
    pub(in crate::block::write) page_rows: usize,
    pub(in crate::block::write) zstd: ZstdLevel,
}

/// The bytes of a page before they are compressed.
#[derive(Default)]
pub(super) struct Raw {
    pub(super) bytes: Vec<u8>,
    /// Where bytes of another kind begin, which the compressor had better not see as one with those before.
    cuts: Vec<usize>,
}

impl Raw {
    /// What comes next has nothing to do with what is there.
    pub(super) fn cut(&mut self) {
        self.cuts.push(self.bytes.len());
    }
}

/// Pages of one column chunk.
pub(super) struct ChunkWriter<'a> {
    column: &'a ColumnDescPtr,
    encoding: Encoding,
    options: ChunkOptions,
    compressor: Compressor,
    sink: TrackedWrite<Vec<u8>>,
    uncompressed_size: usize,
    has_dictionary: bool,
    data_page_offset: Option<u64>,
    page_count: i32,
    column_index: ColumnIndexBuilder,
    offset_index: OffsetIndexBuilder,
    /// The page that was written last, kept for its memory.
    raw: Raw,
}

impl<'a> ChunkWriter<'a> {
    pub(super) fn new(
        column: &'a ColumnDescPtr,
        encoding: Encoding,
        options: ChunkOptions,
    ) -> Result<Self, ParquetError> {
        Ok(Self {
            column,
            encoding,
            options,
            compressor: Compressor::new(options.zstd, encoding)?,
            sink: TrackedWrite::new(Vec::new()),
            uncompressed_size: 0,
            has_dictionary: false,
            data_page_offset: None,
            page_count: 0,
            column_index: ColumnIndexBuilder::new(column.physical_type()),
            offset_index: OffsetIndexBuilder::new(),
            raw: Raw::default(),
        })
    }

    fn write(&mut self, page: Page, raw_len: usize) -> Result<PageWriteSpec, ParquetError> {
        let page = CompressedPage::new(page, raw_len);
        let written = SerializedPageWriter::new(&mut self.sink).write_page(page)?;
        self.uncompressed_size += written.uncompressed_size;
        Ok(written)
    }

    pub(super) fn dictionary(
        &mut self,
        plain: &[u8],
        item_count: usize,
    ) -> Result<(), ParquetError> {
        let page = Page::DictionaryPage {
            buf: self.compressor.compress(plain, &[])?,
            num_values: row_number(item_count),
            encoding: Encoding::PLAIN,
            is_sorted: false,
        };
        self.write(page, plain.len())?;
        self.has_dictionary = true;
        Ok(())
    }

    /// A page of rows whose values are between `bounds`, as far as they have an order; `body` appends
    /// the encoded values.
    pub(super) fn page<T: WithStatistics>(
        &mut self,
        rows: &PageRows,
        bounds: Option<(T, T)>,
        body: impl FnOnce(&mut Raw),
    ) -> Result<(), ParquetError> {
        let raw = &mut self.raw;
        raw.bytes.clear();
        raw.cuts.clear();
        if self.column.max_def_level() > 0 {
            raw.bytes.extend_from_slice(&[0; 4]);
            match &rows.valid {
                Some(valid) => hybrid::encode_bits(valid, &mut raw.bytes),
                None => {
                    hybrid::encode_bits(&BooleanBuffer::new_set(rows.row_count), &mut raw.bytes)
                }
            }
            let len = row_number(raw.bytes.len() - 4);
            raw.bytes[..4].copy_from_slice(&len.to_le_bytes());
        }
        body(raw);
        let page = Page::DataPage {
            buf: self.compressor.compress(&raw.bytes, &raw.cuts)?,
            num_values: row_number(rows.row_count),
            encoding: self.encoding,
            def_level_encoding: Encoding::RLE,
            rep_level_encoding: Encoding::RLE,
            statistics: None,
        };
        let raw_len = raw.bytes.len();
        let written = self.write(page, raw_len)?;
        self.data_page_offset.get_or_insert(written.offset);
        self.page_count += 1;
        let size = i32::try_from(written.compressed_size)
            .map_err(|_| ParquetError::General("a page beyond 2 GiB".to_owned()))?;
        self.offset_index.append_row_count(signed(rows.row_count));
        self.offset_index
            .append_offset_and_size(i64::try_from(written.offset).unwrap_or(i64::MAX), size);
        let nulls = signed(rows.row_count - rows.values.len());
        match bounds {
            Some((min, max)) => self.column_index.append(
                false,
                min.lower().0.as_bytes().to_vec(),
                max.upper().0.as_bytes().to_vec(),
                nulls,
            ),
            None if rows.values.is_empty() => {
                self.column_index
                    .append(true, Vec::new(), Vec::new(), nulls);
            }
            // Values, but none that has an order.
            None => self.column_index.to_invalid(),
        }
        Ok(())
    }

    /// The chunk, whose values are between `bounds`, as far as they have an order.
    pub(super) fn finish<T: WithStatistics>(
        self,
        presence: &Presence,
        bounds: Option<(T, T)>,
    ) -> Result<OwnChunk, ParquetError> {
        let bytes = Bytes::from(self.sink.into_inner()?);
        let data_page_offset = self.data_page_offset.unwrap_or(0);
        let (min, max) = bounds.map(|(min, max)| (min.lower(), max.upper())).unzip();
        let exact = |bound: &Option<(T::Bound, bool)>| bound.as_ref().is_some_and(|bound| bound.1);
        let (min_exact, max_exact) = (exact(&min), exact(&max));
        let nulls = (presence.row_count - presence.value_count) as u64;
        let statistics =
            ValueStatistics::new(min.map(|b| b.0), max.map(|b| b.0), None, Some(nulls), false)
                .with_min_is_exact(min_exact)
                .with_max_is_exact(max_exact)
                .with_backwards_compatible_min_max(self.column.sort_order().is_signed());
        let mut encodings = vec![Encoding::RLE, self.encoding];
        let mut page_stats = vec![PageEncodingStats {
            page_type: PageType::DATA_PAGE,
            encoding: self.encoding,
            count: self.page_count,
        }];
        if self.has_dictionary {
            encodings.insert(0, Encoding::PLAIN);
            page_stats.insert(
                0,
                PageEncodingStats {
                    page_type: PageType::DICTIONARY_PAGE,
                    encoding: Encoding::PLAIN,
                    count: 1,
                },
            );
        }
        let metadata = ColumnChunkMetaData::builder(Arc::clone(self.column))
            .set_compression(Compression::ZSTD(self.options.zstd))
            .set_encodings(encodings)
            .set_page_encoding_stats(page_stats)
            .set_total_compressed_size(signed(bytes.len()))
            .set_total_uncompressed_size(signed(self.uncompressed_size))
            .set_num_values(signed(presence.row_count))
            .set_dictionary_page_offset(self.has_dictionary.then_some(0))
            .set_data_page_offset(i64::try_from(data_page_offset).unwrap_or(i64::MAX))
            .set_statistics(T::statistics(statistics))
            .build()?;
        let column_index = if self.column_index.valid() {
            Some(self.column_index.build()?)
        } else {
            None
        };
        Ok(OwnChunk {
            close: ColumnCloseResult {
                bytes_written: bytes.len() as u64,
                rows_written: presence.row_count as u64,
                metadata,
                bloom_filter: None,
                column_index,
                offset_index: Some(self.offset_index.build()),
            },
            bytes,
        })
    }
}

fn signed(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
