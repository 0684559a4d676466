//! What the footer of a block's file says beyond Parquet: key-values, and the checksums in them.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use arrow::datatypes::{Schema, SchemaRef};
use bytes::Bytes;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::errors::ParquetError;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};
use serde::{Deserialize, Serialize};

use crate::block::meta::{BlockMeta, FORMAT_VERSION};
use crate::error::StorageError;

/// Key of the format version, a decimal number.
pub const KEY_FORMAT_VERSION: &str = "spandrel.format_version";
/// Key of the column roles, a JSON list of [`crate::schema::ColumnRole`].
pub const KEY_COLUMNS: &str = "spandrel.columns";
/// Key of the checksums, JSON of [`Checksums`].
pub const KEY_CHECKSUMS: &str = "spandrel.checksums";
/// Key of the sort order, text.
pub const KEY_SORT_ORDER: &str = "spandrel.sort_order";
/// Key of the block's description, JSON of [`BlockMeta`] without file and trace id filter.
pub const KEY_BLOCK: &str = "spandrel.block";

/// Checksums of column chunks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checksums {
    /// Name of the algorithm.
    pub algorithm: String,
    /// One list per row group, with one CRC-32C per leaf column, in file order.
    pub row_groups: Vec<Vec<u32>>,
}

/// Where a column chunk is, and how to tell that it is unharmed.
#[derive(Debug)]
pub(crate) struct Chunk {
    pub(crate) range: Range<u64>,
    pub(crate) crc32c: u32,
    pub(crate) row_group: usize,
    pub(crate) leaf: usize,
    /// Set once the bytes in the store were seen to match the checksum.
    verified: AtomicBool,
}

impl Chunk {
    pub(crate) fn is_verified(&self) -> bool {
        self.verified.load(Ordering::Acquire)
    }

    pub(crate) fn set_verified(&self) {
        self.verified.store(true, Ordering::Release);
    }
}

/// What the columns are in Arrow.
#[derive(Debug)]
struct Described {
    metadata: ArrowReaderMetadata,
    schema: SchemaRef,
}

/// The footer of a block's file, parsed and checked.
#[derive(Debug)]
pub struct BlockFooter {
    metadata: Arc<ParquetMetaData>,
    /// Made when first wanted: decoding it takes about as long as planning a query.
    arrow: OnceLock<Described>,
    /// Sorted by position.
    chunks: Vec<Chunk>,
}

impl BlockFooter {
    /// Parses the tail of a file, which must reach back to the page indexes at least.
    ///
    /// The bytes are taken as they are; whoever knows their checksum has compared it.
    pub(crate) fn parse(object: &str, tail: &Bytes, file_size: u64) -> Result<Self, StorageError> {
        let metadata = parse_parquet(object, tail, file_size)?;
        check_version(object, &metadata)?;
        let chunks = chunks(object, &metadata)?;
        Ok(Self {
            metadata: Arc::new(metadata),
            arrow: OnceLock::new(),
            chunks,
        })
    }

    /// The Arrow schema that the block was written with.
    ///
    /// # Errors
    ///
    /// If the file has none that fits its columns.
    pub fn schema(&self) -> Result<&SchemaRef, ParquetError> {
        Ok(&self.described()?.schema)
    }

    /// The metadata as the library's Arrow readers want it.
    ///
    /// # Errors
    ///
    /// If the file has no schema that fits its columns.
    pub(crate) fn arrow(&self) -> Result<&ArrowReaderMetadata, ParquetError> {
        Ok(&self.described()?.metadata)
    }

    fn described(&self) -> Result<&Described, ParquetError> {
        if let Some(described) = self.arrow.get() {
            return Ok(described);
        }
        let options = ArrowReaderOptions::default();
        let metadata = ArrowReaderMetadata::try_new(Arc::clone(&self.metadata), options)?;
        // The file's key-values are not part of the data.
        let schema = Arc::new(Schema::new(metadata.schema().fields().clone()));
        Ok(self.arrow.get_or_init(|| Described { metadata, schema }))
    }

    /// The Parquet metadata, page indexes included.
    #[must_use]
    pub fn metadata(&self) -> &Arc<ParquetMetaData> {
        &self.metadata
    }

    /// Where a column that lies flat is among the leaf columns of the file.
    #[must_use]
    pub fn leaf(&self, column: &str) -> Option<usize> {
        let mut leaves = self
            .metadata
            .file_metadata()
            .schema_descr()
            .columns()
            .iter();
        leaves.position(|leaf| leaf.path().parts() == [column])
    }

    /// About how many bytes this takes in memory.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.metadata.memory_size() + self.chunks.len() * size_of::<Chunk>()
    }

    /// Chunks that overlap a range, in file order.
    pub(crate) fn overlapping(&self, range: &Range<u64>) -> &[Chunk] {
        let from = self
            .chunks
            .partition_point(|chunk| chunk.range.end <= range.start);
        let rest = &self.chunks[from..];
        &rest[..rest.partition_point(|chunk| chunk.range.start < range.end)]
    }

    pub(crate) fn chunks(&self) -> &[Chunk] {
        &self.chunks
    }

    /// The description of the block that its file carries.
    ///
    /// # Errors
    ///
    /// If the description is missing or unreadable.
    pub fn block_meta(&self, object: &str) -> Result<BlockMeta, StorageError> {
        let text = key_value(&self.metadata, KEY_BLOCK);
        let text = text.ok_or_else(|| missing(object, KEY_BLOCK))?;
        serde_json::from_str(text).map_err(|error| unreadable(object, KEY_BLOCK, &error))
    }
}

/// The value of a key in the footer.
pub(crate) fn key_value<'a>(metadata: &'a ParquetMetaData, key: &str) -> Option<&'a str> {
    let pairs = metadata.file_metadata().key_value_metadata()?;
    pairs.iter().find(|pair| pair.key == key)?.value.as_deref()
}

fn parse_parquet(
    object: &str,
    tail: &Bytes,
    file_size: u64,
) -> Result<ParquetMetaData, StorageError> {
    let not_a_block = |reason: &str| StorageError::NotABlock {
        object: object.to_owned(),
        reason: reason.to_owned(),
    };
    if file_size < 12 || tail.len() < 8 {
        return Err(not_a_block("the file is too short for Parquet"));
    }
    match &tail[tail.len() - 4..] {
        b"PAR1" => {}
        b"PARE" => return Err(not_a_block("the Parquet file is encrypted")),
        _ => return Err(not_a_block("the file does not end like Parquet")),
    }
    // The parser is made for files in good order; a file from elsewhere may be in any.
    let parsed = std::panic::catch_unwind(|| {
        let mut reader =
            ParquetMetaDataReader::new().with_page_index_policy(PageIndexPolicy::Optional);
        reader.try_parse_sized(tail, file_size)?;
        reader.finish()
    });
    match parsed {
        Ok(Ok(metadata)) => Ok(metadata),
        Ok(Err(error)) => Err(StorageError::from_parquet(object, error)),
        Err(_) => Err(not_a_block("the Parquet footer is damaged")),
    }
}

fn check_version(object: &str, metadata: &ParquetMetaData) -> Result<(), StorageError> {
    let text = key_value(metadata, KEY_FORMAT_VERSION).ok_or_else(|| StorageError::NotABlock {
        object: object.to_owned(),
        reason: "a Parquet file, but not one of ours".to_owned(),
    })?;
    let found: u32 = text.parse().map_err(|_| StorageError::NotABlock {
        object: object.to_owned(),
        reason: format!("{KEY_FORMAT_VERSION} is no number"),
    })?;
    if found > FORMAT_VERSION {
        return Err(StorageError::NewerFormat {
            object: object.to_owned(),
            found,
            supported: FORMAT_VERSION,
        });
    }
    Ok(())
}

fn chunks(object: &str, metadata: &ParquetMetaData) -> Result<Vec<Chunk>, StorageError> {
    let text = key_value(metadata, KEY_CHECKSUMS).ok_or_else(|| missing(object, KEY_CHECKSUMS))?;
    let checksums: Checksums =
        serde_json::from_str(text).map_err(|error| unreadable(object, KEY_CHECKSUMS, &error))?;
    let counts_match = checksums.row_groups.len() == metadata.num_row_groups()
        && metadata
            .row_groups()
            .iter()
            .zip(&checksums.row_groups)
            .all(|(row_group, crcs)| row_group.num_columns() == crcs.len());
    if !counts_match {
        return Err(StorageError::Corrupt {
            object: object.to_owned(),
            what: "number of checksums".to_owned(),
            expected: "one per column chunk".to_owned(),
            observed: "another".to_owned(),
        });
    }
    let mut chunks = Vec::new();
    for (row_group, (columns, crcs)) in metadata
        .row_groups()
        .iter()
        .zip(&checksums.row_groups)
        .enumerate()
    {
        for (leaf, (column, crc32c)) in columns.columns().iter().zip(crcs).enumerate() {
            let range = chunk_range(column).ok_or_else(|| StorageError::Corrupt {
                object: object.to_owned(),
                what: format!("position of column chunk {row_group}/{leaf}"),
                expected: "inside the file".to_owned(),
                observed: "outside".to_owned(),
            })?;
            let verified = AtomicBool::new(false);
            chunks.push(Chunk {
                range,
                crc32c: *crc32c,
                row_group,
                leaf,
                verified,
            });
        }
    }
    chunks.sort_by_key(|chunk| chunk.range.start);
    Ok(chunks)
}

/// The bytes of a column chunk. Parquet's own function panics on numbers that make no sense.
pub(crate) fn chunk_range(
    column: &parquet::file::metadata::ColumnChunkMetaData,
) -> Option<Range<u64>> {
    let start = column
        .dictionary_page_offset()
        .unwrap_or_else(|| column.data_page_offset());
    let start = u64::try_from(start).ok()?;
    let length = u64::try_from(column.compressed_size()).ok()?;
    Some(start..start.checked_add(length)?)
}

fn missing(object: &str, key: &str) -> StorageError {
    StorageError::NotABlock {
        object: object.to_owned(),
        reason: format!("{key} is missing"),
    }
}

fn unreadable(object: &str, key: &str, error: &serde_json::Error) -> StorageError {
    StorageError::Corrupt {
        object: object.to_owned(),
        what: key.to_owned(),
        expected: "JSON".to_owned(),
        observed: error.to_string(),
    }
}
