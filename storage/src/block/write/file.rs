//! A block in memory to the bytes of its file.

use std::sync::Arc;

use bytes::Bytes;
use parquet::arrow::ArrowSchemaConverter;
use parquet::arrow::add_encoded_arrow_schema_to_metadata;
use parquet::arrow::arrow_writer::ArrowRowGroupWriterFactory;
use parquet::basic::ZstdLevel;
use parquet::errors::ParquetError;
use parquet::file::metadata::{KeyValue, RowGroupMetaData, SortingColumn};
use parquet::file::properties::{WriterProperties, WriterVersion};
use parquet::file::writer::SerializedFileWriter;
use sha2::{Digest, Sha256};

use super::column_chunks::{EncodedChunk, encode_columns};
use super::encodings;
use super::options::WriteOptions;
use super::row_groups::{cut, distinct, row_group_meta, slices, trace_ids};
use crate::block::MemoryBlock;
use crate::block::footer::{
    Checksums, KEY_BLOCK, KEY_CHECKSUMS, KEY_COLUMNS, KEY_FORMAT_VERSION, KEY_SORT_ORDER,
    chunk_range,
};
use crate::block::meta::{BlockMeta, ColumnMeta, FileMeta, FilterFile};
use crate::block::trace_filter::TraceIdFilter;
use crate::error::StorageError;
use crate::schema::column_roles;

/// The file of a block, not yet stored.
#[derive(Debug, Clone)]
pub struct EncodedBlock {
    /// The file.
    pub bytes: Bytes,
    /// Which trace ids may be in it.
    pub trace_id_filter: TraceIdFilter,
    /// The description to put into the catalog.
    pub meta: BlockMeta,
}

/// Writes a block as Parquet. Columns are encoded in parallel on the current rayon pool.
///
/// # Errors
///
/// If the block is not one that [`crate::block::encode()`] made, or Parquet cannot hold it.
pub fn write_parquet(
    block: &MemoryBlock,
    options: &WriteOptions,
) -> Result<EncodedBlock, StorageError> {
    let object = block.meta.block_id.to_string();
    write(block, options).map_err(|error| StorageError::from_parquet(&object, error))
}

fn write(block: &MemoryBlock, options: &WriteOptions) -> Result<EncodedBlock, ParquetError> {
    let trace_ids = trace_ids(block)?;
    let row_groups = cut(&trace_ids, options.row_group_rows);
    let mut meta = BlockMeta::clone(&block.meta);
    meta.file = None;
    meta.trace_id_filter = None;
    meta.row_groups = Vec::with_capacity(row_groups.len());
    meta.columns = columns(block);
    let mut checksums = Checksums {
        algorithm: "crc32c".to_owned(),
        row_groups: Vec::with_capacity(row_groups.len()),
    };

    let mut writer = file_writer(block, options)?;
    let factory = ArrowRowGroupWriterFactory::new(&writer, Arc::clone(&block.schema));
    for (index, rows) in row_groups.into_iter().enumerate() {
        let slices = slices(&block.batches, &rows);
        let writers = factory.create_column_writers(index)?;
        let leaves = writer.schema_descr().columns();
        let chunks = encode_columns(block, &slices, writers, leaves, options)?;
        let mut row_group = writer.next_row_group()?;
        for chunk in chunks {
            match chunk {
                EncodedChunk::Own(chunk) => row_group.append_column(&chunk.bytes, chunk.close)?,
                EncodedChunk::Other(chunk) => chunk.append_to_row_group(&mut row_group)?,
            }
        }
        let written = row_group.close()?;
        writer.flush()?;
        checksums.row_groups.push(crcs(&written, writer.inner())?);
        meta.row_groups.push(row_group_meta(&slices)?);
        add_sizes(&mut meta.columns, &written)?;
    }

    let row_groups_end = writer.inner().len();
    let pairs = [
        (KEY_FORMAT_VERSION, meta.format_version.to_string()),
        (
            KEY_SORT_ORDER,
            "trace start, trace:id, depth-first pre-order".to_owned(),
        ),
        (KEY_COLUMNS, json(&column_roles(&meta))?),
        (KEY_CHECKSUMS, json(&checksums)?),
        (KEY_BLOCK, json(&meta)?),
    ];
    for (key, value) in pairs {
        writer.append_key_value_metadata(KeyValue::new(key.to_owned(), value));
    }
    let bytes = Bytes::from(writer.into_inner()?);
    meta.file = Some(FileMeta {
        size_bytes: bytes.len() as u64,
        sha256: hex::encode(Sha256::digest(&bytes)),
        footer_offset: row_groups_end as u64,
        footer_crc32c: crc32c::crc32c(&bytes[row_groups_end..]),
    });
    let trace_id_filter = TraceIdFilter::build(&distinct(&trace_ids));
    meta.trace_id_filter = Some(FilterFile {
        size_bytes: trace_id_filter.bits().len() as u64,
        crc32c: crc32c::crc32c(trace_id_filter.bits()),
    });
    Ok(EncodedBlock {
        bytes,
        trace_id_filter,
        meta,
    })
}

fn file_writer(
    block: &MemoryBlock,
    options: &WriteOptions,
) -> Result<SerializedFileWriter<Vec<u8>>, ParquetError> {
    let parquet_schema = ArrowSchemaConverter::new().convert(&block.schema)?;
    let level = ZstdLevel::try_new(options.zstd_level)?;
    let mut properties = WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_1_0)
        .set_created_by(concat!("spandrel ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_data_page_row_count_limit(options.page_rows)
        .set_write_batch_size(options.page_rows.min(1024));
    // Only traces are sorted, not the rows inside one; a sort order of rows must hold for all of
    // them, and what holds is that of the trace's first row. So none is declared.
    properties = properties.set_sorting_columns(None::<Vec<SortingColumn>>);
    let mut properties = encodings::apply(properties, &block.schema, level).build();
    add_encoded_arrow_schema_to_metadata(&block.schema, &mut properties);
    SerializedFileWriter::new(
        Vec::new(),
        parquet_schema.root_schema_ptr(),
        Arc::new(properties),
    )
}

fn columns(block: &MemoryBlock) -> Vec<ColumnMeta> {
    let column = |name: &String| ColumnMeta {
        name: name.as_str().into(),
        compressed_bytes: 0,
    };
    block
        .schema
        .fields()
        .iter()
        .map(|field| column(field.name()))
        .collect()
}

fn add_sizes(columns: &mut [ColumnMeta], written: &RowGroupMetaData) -> Result<(), ParquetError> {
    let schema = written.schema_descr();
    for (leaf, chunk) in written.columns().iter().enumerate() {
        let column = columns
            .get_mut(schema.get_column_root_idx(leaf))
            .ok_or_else(|| ParquetError::General("a column chunk without a column".to_owned()))?;
        column.compressed_bytes += u64::try_from(chunk.compressed_size()).unwrap_or(0);
    }
    Ok(())
}

fn crcs(written: &RowGroupMetaData, file: &[u8]) -> Result<Vec<u32>, ParquetError> {
    let crc = |column| {
        let range = chunk_range(column)?;
        let range = usize::try_from(range.start).ok()?..usize::try_from(range.end).ok()?;
        Some(crc32c::crc32c(file.get(range)?))
    };
    let crcs: Option<Vec<u32>> = written.columns().iter().map(crc).collect();
    crcs.ok_or_else(|| ParquetError::General("a column chunk outside the file".to_owned()))
}

fn json<T: serde::Serialize>(value: &T) -> Result<String, ParquetError> {
    serde_json::to_string(value).map_err(|error| ParquetError::External(Box::new(error)))
}
