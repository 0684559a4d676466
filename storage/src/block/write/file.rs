//! A block in memory to the bytes of its file.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, FixedSizeBinaryArray, Int64Array, RecordBatch};
use arrow::datatypes::{Field, Int64Type};
use bytes::Bytes;
use parquet::arrow::ArrowSchemaConverter;
use parquet::arrow::add_encoded_arrow_schema_to_metadata;
use parquet::arrow::arrow_writer::{
    ArrowColumnChunk, ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves,
};
use parquet::basic::ZstdLevel;
use parquet::errors::ParquetError;
use parquet::file::metadata::{KeyValue, RowGroupMetaData, SortingColumn};
use parquet::file::properties::{WriterProperties, WriterVersion};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::ColumnDescPtr;
use rayon::prelude::*;
use sha2::{Digest, Sha256};

use crate::block::MemoryBlock;
use crate::block::footer::{
    Checksums, KEY_BLOCK, KEY_CHECKSUMS, KEY_COLUMNS, KEY_FORMAT_VERSION, KEY_SORT_ORDER,
    chunk_range,
};
use crate::block::meta::{BlockMeta, ColumnMeta, FileMeta, RowGroupMeta, TraceIdFilter};
use crate::block::write::chunk::{self, ChunkOptions, OwnChunk};
use crate::block::write::encodings;
use crate::error::StorageError;
use crate::ids::TraceId;
use crate::schema::{column_roles, names};

/// How a block is written. The defaults are what production uses; tests use smaller ones.
#[derive(Debug, Clone)]
pub struct WriteOptions {
    /// Rows per row group, about: row groups are of equal size, and end where a trace ends.
    pub row_group_rows: usize,
    /// Rows per page, about.
    pub page_rows: usize,
    /// Level of zstd.
    pub zstd_level: i32,
}

impl Default for WriteOptions {
    fn default() -> Self {
        Self {
            row_group_rows: 1_000_000,
            page_rows: 20_000,
            zstd_level: 3,
        }
    }
}

/// The file of a block, not yet stored.
#[derive(Debug, Clone)]
pub struct EncodedBlock {
    /// The file.
    pub bytes: Bytes,
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
                Chunk::Own(chunk) => row_group.append_column(&chunk.bytes, chunk.close)?,
                Chunk::Other(chunk) => chunk.append_to_row_group(&mut row_group)?,
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
    meta.trace_ids = TraceIdFilter::build(&distinct(&trace_ids));
    Ok(EncodedBlock { bytes, meta })
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

/// A column chunk that is encoded but not yet in the file.
enum Chunk {
    /// One of ours.
    Own(OwnChunk),
    /// One of the library's.
    Other(ArrowColumnChunk),
}

/// Encodes the columns of one row group, each on whatever core is free.
fn encode_columns(
    block: &MemoryBlock,
    slices: &[RecordBatch],
    writers: Vec<ArrowColumnWriter>,
    leaves: &[ColumnDescPtr],
    options: &WriteOptions,
) -> Result<Vec<Chunk>, ParquetError> {
    let chunk_options = ChunkOptions {
        page_rows: options.page_rows,
        zstd: ZstdLevel::try_new(options.zstd_level)?,
    };
    let mut writers = writers.into_iter().zip(leaves);
    let mut fields = Vec::with_capacity(block.schema.fields().len());
    for (index, field) in block.schema.fields().iter().enumerate() {
        let leaf_count = leaf_count(field.data_type());
        let own: Vec<_> = writers.by_ref().take(leaf_count).collect();
        fields.push((index, Arc::clone(field), own));
    }
    let chunks: Vec<Vec<Chunk>> = fields
        .into_par_iter()
        .map(|(index, field, own)| {
            if let [(_, leaf)] = &own[..] {
                let arrays: Vec<ArrayRef> = slices
                    .iter()
                    .map(|slice| Arc::clone(slice.column(index)))
                    .collect();
                if let Some(chunk) = own_chunk(&field, &arrays, leaf, chunk_options)? {
                    return Ok(vec![Chunk::Own(chunk)]);
                }
            }
            let mut writers: Vec<ArrowColumnWriter> = own.into_iter().map(|own| own.0).collect();
            for slice in slices {
                let leaves = compute_leaves(&field, slice.column(index))?;
                for (writer, leaf) in writers.iter_mut().zip(&leaves) {
                    writer.write(leaf)?;
                }
            }
            let close = |writer: ArrowColumnWriter| writer.close().map(Chunk::Other);
            writers.into_iter().map(close).collect()
        })
        .collect::<Result<_, ParquetError>>()?;
    Ok(chunks.into_iter().flatten().collect())
}

/// A flat column in one of our forms, if one of those is for it.
fn own_chunk(
    field: &Field,
    slices: &[ArrayRef],
    leaf: &ColumnDescPtr,
    options: ChunkOptions,
) -> Result<Option<OwnChunk>, ParquetError> {
    if encodings::is_coded(field)
        && let Some(chunk) = chunk::dictionary(slices, leaf, options)?
    {
        return Ok(Some(chunk));
    }
    if encodings::is_split(field) {
        return chunk::byte_planes(slices, leaf, options);
    }
    Ok(None)
}

fn leaf_count(data_type: &arrow::datatypes::DataType) -> usize {
    use arrow::datatypes::DataType;
    match data_type {
        DataType::List(item) => leaf_count(item.data_type()),
        DataType::Struct(fields) => fields.iter().map(|f| leaf_count(f.data_type())).sum(),
        _ => 1,
    }
}

fn columns(block: &MemoryBlock) -> Vec<ColumnMeta> {
    let column = |name: &String| ColumnMeta {
        name: name.clone(),
        compressed_bytes: Vec::new(),
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
    for column in columns.iter_mut() {
        column.compressed_bytes.push(0);
    }
    for (leaf, chunk) in written.columns().iter().enumerate() {
        let column = columns
            .get_mut(schema.get_column_root_idx(leaf))
            .ok_or_else(|| ParquetError::General("a column chunk without a column".to_owned()))?;
        if let Some(size) = column.compressed_bytes.last_mut() {
            *size += u64::try_from(chunk.compressed_size()).unwrap_or(0);
        }
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

/// Trace id of every row.
fn trace_ids(block: &MemoryBlock) -> Result<Vec<TraceId>, ParquetError> {
    let mut ids = Vec::with_capacity(block.row_count());
    for batch in &block.batches {
        let column = batch
            .column_by_name(names::TRACE_ID)
            .and_then(|column| column.as_any().downcast_ref::<FixedSizeBinaryArray>())
            .filter(|column| column.value_length() == 16)
            .ok_or_else(|| ParquetError::General("no column of trace ids".to_owned()))?;
        let id = |row| {
            <[u8; 16]>::try_from(column.value(row))
                .map(TraceId)
                .unwrap_or_default()
        };
        ids.extend((0..column.len()).map(id));
    }
    if ids.is_empty() {
        return Err(StorageError::EmptyBlock.into());
    }
    Ok(ids)
}

/// Rows of each row group: about equal in size, none ending inside a trace.
fn cut(trace_ids: &[TraceId], row_group_rows: usize) -> Vec<Range<usize>> {
    let count = trace_ids.len().div_ceil(row_group_rows.max(1));
    let target = trace_ids.len().div_ceil(count.max(1));
    let mut out = Vec::with_capacity(count);
    let mut start = 0;
    for end in 1..=trace_ids.len() {
        let trace_ends = trace_ids.get(end) != Some(&trace_ids[end - 1]);
        if trace_ends && (end - start >= target || end == trace_ids.len()) {
            out.push(start..end);
            start = end;
        }
    }
    out
}

fn distinct(trace_ids: &[TraceId]) -> Vec<TraceId> {
    let mut out = trace_ids.to_vec();
    out.dedup();
    out
}

/// The rows of a range, as slices of the batches.
fn slices(batches: &[RecordBatch], rows: &Range<usize>) -> Vec<RecordBatch> {
    let mut out = Vec::new();
    let mut first = 0;
    for batch in batches {
        let from = rows.start.max(first);
        let to = rows.end.min(first + batch.num_rows());
        if from < to {
            out.push(batch.slice(from - first, to - from));
        }
        first += batch.num_rows();
    }
    out
}

fn row_group_meta(slices: &[RecordBatch]) -> Result<RowGroupMeta, ParquetError> {
    let starts: Vec<&Int64Array> = slices
        .iter()
        .filter_map(|slice| {
            slice
                .column_by_name(names::START_NS)?
                .as_primitive_opt::<Int64Type>()
        })
        .collect();
    if starts.len() != slices.len() {
        return Err(ParquetError::General("no column of start times".to_owned()));
    }
    let all = || {
        starts
            .iter()
            .flat_map(|array| array.values().iter().copied())
    };
    Ok(RowGroupMeta {
        row_count: slices.iter().map(|slice| slice.num_rows() as u64).sum(),
        min_start_ns: all().min().unwrap_or(0),
        max_start_ns: all().max().unwrap_or(0),
    })
}
