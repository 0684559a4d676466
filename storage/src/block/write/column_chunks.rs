//! The columns of a row group, encoded side by side.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{DataType, Field};
use parquet::arrow::arrow_writer::{ArrowColumnChunk, ArrowColumnWriter, compute_leaves};
use parquet::basic::ZstdLevel;
use parquet::errors::ParquetError;
use parquet::schema::types::ColumnDescPtr;
use rayon::prelude::*;

use super::chunk::{self, ChunkOptions, OwnChunk};
use super::encodings;
use super::options::WriteOptions;
use crate::block::MemoryBlock;

/// A column chunk that is encoded but not yet in the file.
pub(super) enum EncodedChunk {
    /// A chunk in one of our forms.
    Own(OwnChunk),
    /// A chunk as the library encodes it.
    Other(ArrowColumnChunk),
}

/// Encodes the columns of one row group, each on whatever core is free.
pub(super) fn encode_columns(
    block: &MemoryBlock,
    slices: &[RecordBatch],
    writers: Vec<ArrowColumnWriter>,
    leaves: &[ColumnDescPtr],
    options: &WriteOptions,
) -> Result<Vec<EncodedChunk>, ParquetError> {
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
    let chunks: Vec<Vec<EncodedChunk>> = fields
        .into_par_iter()
        .map(|(index, field, own)| {
            if let [(_, leaf)] = &own[..] {
                let arrays: Vec<ArrayRef> = slices
                    .iter()
                    .map(|slice| Arc::clone(slice.column(index)))
                    .collect();
                if let Some(chunk) = own_chunk(&field, &arrays, leaf, chunk_options)? {
                    return Ok(vec![EncodedChunk::Own(chunk)]);
                }
            }
            let mut writers: Vec<ArrowColumnWriter> = own.into_iter().map(|own| own.0).collect();
            for slice in slices {
                let leaves = compute_leaves(&field, slice.column(index))?;
                for (writer, leaf) in writers.iter_mut().zip(&leaves) {
                    writer.write(leaf)?;
                }
            }
            let close = |writer: ArrowColumnWriter| writer.close().map(EncodedChunk::Other);
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

fn leaf_count(data_type: &DataType) -> usize {
    match data_type {
        DataType::List(item) => leaf_count(item.data_type()),
        DataType::Struct(fields) => fields.iter().map(|f| leaf_count(f.data_type())).sum(),
        _ => 1,
    }
}
