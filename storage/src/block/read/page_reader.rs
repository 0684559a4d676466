//! The pages of a column chunk, from what was fetched of its bytes.
//!
//! The library's reader makes a compressor and a decompressor for each column chunk it opens, which
//! costs more than a few rows of it. So it is told that pages are not compressed, and they are
//! decompressed here, by one decompressor for each thread.

use std::cell::RefCell;
use std::sync::Arc;

use bytes::{Buf, Bytes, buf};
use parquet::basic::Compression;
use parquet::column::page::{Page, PageMetadata, PageReader};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use parquet::file::page_index::offset_index::PageLocation;
use parquet::file::reader::{ChunkReader, Length};
use parquet::file::serialized_reader::SerializedPageReader;
use zstd::bulk::Decompressor;
use zstd::zstd_safe::get_frame_content_size;

thread_local! {
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// Parts of the bytes of a column chunk, each with its place in the file.
#[derive(Debug, Clone, Default)]
pub(super) struct FetchedBytes(pub(super) Vec<(u64, Bytes)>);

/// Reads the pages of a column chunk that were fetched, and passes over the others.
pub(super) struct ColumnPages {
    pages: SerializedPageReader<FetchedBytes>,
    /// If pages are decompressed here: the most bytes that one may have then.
    zstd_max_bytes: Option<usize>,
}

impl ColumnPages {
    /// The pages of a chunk in a row group of so many rows, at their locations in the file.
    ///
    /// # Errors
    ///
    /// If the chunk's description makes no sense.
    pub(super) fn new(
        fetched: FetchedBytes,
        chunk: &ColumnChunkMetaData,
        rows: usize,
        locations: Vec<PageLocation>,
    ) -> Result<Self> {
        let fetched = Arc::new(fetched);
        let (pages, zstd_max_bytes) = if matches!(chunk.compression(), Compression::ZSTD(_)) {
            let max_bytes = usize::try_from(chunk.uncompressed_size())?;
            let plain = chunk.clone().into_builder();
            let plain = plain.set_compression(Compression::UNCOMPRESSED).build()?;
            let pages = SerializedPageReader::new(fetched, &plain, rows, Some(locations))?;
            (pages, Some(max_bytes))
        } else {
            let pages = SerializedPageReader::new(fetched, chunk, rows, Some(locations))?;
            (pages, None)
        };
        Ok(Self {
            pages,
            zstd_max_bytes,
        })
    }
}

impl PageReader for ColumnPages {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        let mut page = self.pages.get_next_page()?;
        let (Some(next), Some(max_bytes)) = (&mut page, self.zstd_max_bytes) else {
            return Ok(page);
        };
        match next {
            Page::DictionaryPage { buf, .. } | Page::DataPage { buf, .. } => {
                *buf = decompress(buf, 0, max_bytes)?;
            }
            Page::DataPageV2 {
                buf,
                def_levels_byte_len,
                rep_levels_byte_len,
                is_compressed: true,
                ..
            } => {
                let levels = u64::from(*def_levels_byte_len) + u64::from(*rep_levels_byte_len);
                *buf = decompress(buf, usize::try_from(levels)?, max_bytes)?;
            }
            Page::DataPageV2 { .. } => {}
        }
        Ok(page)
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        self.pages.peek_next_page()
    }

    fn skip_next_page(&mut self) -> Result<()> {
        self.pages.skip_next_page()
    }

    fn at_record_boundary(&mut self) -> Result<bool> {
        self.pages.at_record_boundary()
    }
}

impl Iterator for ColumnPages {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

/// Decompresses what stands behind the first `plain` bytes, which are kept.
fn decompress(bytes: &Bytes, plain: usize, max_bytes: usize) -> Result<Bytes> {
    if plain > bytes.len() {
        return Err(damaged("levels longer than their page"));
    }
    let (levels, compressed) = bytes.split_at(plain);
    // Without values there is nothing to compress.
    if compressed.is_empty() {
        return Ok(bytes.clone());
    }
    let size = get_frame_content_size(compressed).ok().flatten();
    let size = size.and_then(|size| usize::try_from(size).ok()?.checked_add(plain));
    let size = size
        .filter(|size| *size <= max_bytes)
        .ok_or_else(|| damaged("a page of another size than its column chunk has room for"))?;
    let mut out = Vec::with_capacity(size);
    out.extend_from_slice(levels);
    let mut out = std::io::Cursor::new(out);
    out.set_position(plain as u64);
    DECOMPRESSOR.with_borrow_mut(|kept| {
        let decompressor = match kept {
            Some(decompressor) => decompressor,
            None => kept.insert(Decompressor::new()?),
        };
        decompressor.decompress_to_buffer(compressed, &mut out)
    })?;
    let out = out.into_inner();
    if out.len() == size {
        Ok(out.into())
    } else {
        Err(damaged("a page that ends early"))
    }
}

impl FetchedBytes {
    /// The bytes from a place on, up to the end of the part that it is in.
    fn from(&self, start: u64) -> Result<Bytes> {
        let within = |(from, bytes): &(u64, Bytes)| {
            let at = usize::try_from(start.checked_sub(*from)?).ok()?;
            (at < bytes.len()).then(|| bytes.slice(at..))
        };
        self.0.iter().find_map(within).ok_or_else(|| {
            ParquetError::EOF(format!("byte {start} is not of the pages that are read"))
        })
    }
}

impl Length for FetchedBytes {
    fn len(&self) -> u64 {
        let ends = self.0.iter().map(|(from, bytes)| from + bytes.len() as u64);
        ends.max().unwrap_or_default()
    }
}

impl ChunkReader for FetchedBytes {
    type T = buf::Reader<Bytes>;

    fn get_read(&self, start: u64) -> Result<Self::T> {
        Ok(self.from(start)?.reader())
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        let bytes = self.from(start)?;
        if length > bytes.len() {
            return Err(ParquetError::EOF(format!(
                "{length} bytes from byte {start} reach past the pages that are read"
            )));
        }
        Ok(bytes.slice(..length))
    }
}

/// Where the pages of a column chunk are.
///
/// # Errors
///
/// If the file has no index of them.
pub(super) fn locations(
    metadata: &ParquetMetaData,
    row_group: usize,
    leaf: usize,
) -> Result<&Vec<PageLocation>> {
    let index = metadata.offset_index();
    let index = index.and_then(|groups| groups.get(row_group)?.get(leaf));
    let without = || damaged("a column chunk without an index of its pages");
    Ok(index.ok_or_else(without)?.page_locations())
}

pub(super) fn damaged(what: &str) -> ParquetError {
    ParquetError::General(what.to_owned())
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
    use parquet::arrow::ArrowWriter;
    use parquet::basic::ZstdLevel;
    use parquet::file::metadata::{PageIndexPolicy, ParquetMetaDataReader};
    use parquet::file::properties::{WriterProperties, WriterVersion};

    use super::*;

    fn file(version: WriterVersion) -> (Bytes, ParquetMetaData) {
        let texts = (0..1_000).map(|i| (i % 3 != 0).then(|| format!("text {}", i % 7)));
        let numbers = (0..1_000).map(|i| (i < 500).then_some(i * i));
        let batch = RecordBatch::try_from_iter_with_nullable([
            (
                "text",
                Arc::new(texts.collect::<StringArray>()) as ArrayRef,
                true,
            ),
            ("number", Arc::new(numbers.collect::<Int64Array>()), true),
        ])
        .expect("a batch");
        let properties = WriterProperties::builder()
            .set_writer_version(version)
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_data_page_row_count_limit(300)
            .set_write_batch_size(100)
            .build();
        let mut writer =
            ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).expect("a writer");
        writer.write(&batch).expect("in memory");
        let bytes = Bytes::from(writer.into_inner().expect("in memory"));
        let metadata = ParquetMetaDataReader::new()
            .with_page_index_policy(PageIndexPolicy::Required)
            .parse_and_finish(&bytes)
            .expect("a file");
        (bytes, metadata)
    }

    #[test]
    fn pages_are_what_the_library_makes_of_them() {
        for version in [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0] {
            let (bytes, metadata) = file(version);
            for (column, chunk) in metadata.row_group(0).columns().iter().enumerate() {
                let locations = locations(&metadata, 0, column).expect("is written").clone();
                let fetched = FetchedBytes(vec![(0, bytes.clone())]);
                let pages = ColumnPages::new(fetched, chunk, 1_000, locations.clone());
                let bytes = Arc::new(bytes.clone());
                let expected = SerializedPageReader::new(bytes, chunk, 1_000, Some(locations));
                let (mut pages, mut expected) = (pages.expect("right"), expected.expect("right"));
                let mut count = 0;
                while let Some(expected) = expected.get_next_page().expect("right") {
                    let page = pages.get_next_page().expect("right").expect("a page");
                    assert_eq!(page.buffer(), expected.buffer(), "{version:?} {column}");
                    assert_eq!(page.page_type(), expected.page_type());
                    assert_eq!(page.num_values(), expected.num_values());
                    count += 1;
                }
                assert!(count > 3, "{count}");
                assert!(pages.get_next_page().expect("right").is_none());
            }
        }
    }

    #[test]
    fn what_was_not_fetched_can_be_skipped_only() {
        let (bytes, metadata) = file(WriterVersion::PARQUET_1_0);
        let chunk = metadata.row_group(0).column(1);
        let locations = locations(&metadata, 0, 1).expect("is written");
        let second = usize::try_from(locations[1].offset).expect("small");
        let fetched = FetchedBytes(vec![(second as u64, bytes.slice(second..))]);
        let reader = |fetched| ColumnPages::new(fetched, chunk, 1_000, locations.clone());
        let mut pages = reader(fetched).expect("right");
        if chunk.dictionary_page_offset().is_some() {
            pages.skip_next_page().expect("the dictionary");
        }
        pages.skip_next_page().expect("the first page");
        let page = pages.get_next_page().expect("right").expect("a page");
        assert_eq!(page.num_values(), 300);
        let mut pages = reader(FetchedBytes::default()).expect("right");
        assert!(pages.get_next_page().is_err());
    }

    #[test]
    fn a_page_has_no_more_bytes_than_its_chunk() {
        let page = Bytes::from(zstd::bulk::compress(&[7; 1_000], 1).expect("in memory"));
        assert_eq!(decompress(&page, 0, 1_000).expect("right"), vec![7; 1_000]);
        assert!(decompress(&page, 0, 999).is_err());
        assert!(decompress(&page.slice(..page.len() - 1), 0, 1_000).is_err());
        assert!(decompress(&page, page.len() + 1, 10_000).is_err());
    }
}
