//! A block in memory to the bytes of its file.

use bytes::Bytes;
use parquet::errors::ParquetError;

use super::column_chunks::encode_columns;
use super::file_writer::FileWriter;
use super::options::WriteOptions;
use super::row_groups::{cut, distinct, row_group_meta, slices, trace_ids};
use crate::block::MemoryBlock;
use crate::block::meta::BlockMeta;
use crate::block::trace_filter::TraceIdFilter;
use crate::error::StorageError;

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
    let mut file = FileWriter::new(&block.schema, options)?;
    for rows in cut(&trace_ids, options.row_group_rows) {
        let slices = slices(&block.batches, &rows);
        let chunks = encode_columns(&slices, file.column_writers()?)?;
        let mut row_group = file.row_group()?;
        for chunk in chunks {
            row_group.append(chunk)?;
        }
        let written = row_group.close()?;
        file.end_row_group(&written, row_group_meta(&slices)?)?;
    }
    let (bytes, mut meta) = file.finish(BlockMeta::clone(&block.meta))?;
    let trace_id_filter = TraceIdFilter::build(&distinct(&trace_ids));
    meta.trace_id_filter = Some(trace_id_filter.file());
    Ok(EncodedBlock {
        bytes,
        trace_id_filter,
        meta,
    })
}
