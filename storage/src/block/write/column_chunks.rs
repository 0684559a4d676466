//! The columns of a row group, each encoded by itself.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{DataType, Field, FieldRef, Schema};
use parquet::arrow::arrow_writer::{ArrowColumnChunk, ArrowColumnWriter, compute_leaves};
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::ParquetError;
use parquet::schema::types::ColumnDescPtr;
use rayon::prelude::*;

use super::chunk::{self, ChunkOptions, OwnChunk};
use super::encodings;

/// A column chunk that is encoded but not yet in the file.
pub(crate) enum EncodedChunk {
    /// A chunk in one of our forms.
    Own(OwnChunk),
    /// A chunk as the library encodes it.
    Other(ArrowColumnChunk),
}

impl EncodedChunk {
    /// What the file says of the chunk.
    pub(super) fn close(&self) -> &ColumnCloseResult {
        match self {
            Self::Own(chunk) => &chunk.close,
            Self::Other(chunk) => chunk.close(),
        }
    }
}

/// Encodes one column of a row group.
pub(crate) struct ColumnWriter {
    field: FieldRef,
    leaves: Vec<(ArrowColumnWriter, ColumnDescPtr)>,
    options: ChunkOptions,
}

/// A writer for each column of a schema, given those of its leaves.
pub(super) fn column_writers(
    schema: &Schema,
    writers: Vec<ArrowColumnWriter>,
    leaves: &[ColumnDescPtr],
    options: ChunkOptions,
) -> Vec<ColumnWriter> {
    let mut writers = writers.into_iter().zip(leaves.iter().cloned());
    let fields = schema.fields().iter();
    let column = |field: &FieldRef| ColumnWriter {
        leaves: writers
            .by_ref()
            .take(leaf_count(field.data_type()))
            .collect(),
        field: Arc::clone(field),
        options,
    };
    fields.map(column).collect()
}

/// Encodes the columns of one row group, each on whatever core is free.
pub(super) fn encode_columns(
    slices: &[RecordBatch],
    writers: Vec<ColumnWriter>,
) -> Result<Vec<EncodedChunk>, ParquetError> {
    let chunks: Vec<Vec<EncodedChunk>> = writers
        .into_par_iter()
        .enumerate()
        .map(|(index, writer)| {
            let of_slice = |slice: &RecordBatch| Arc::clone(slice.column(index));
            let arrays: Vec<ArrayRef> = slices.iter().map(of_slice).collect();
            writer.encode(&arrays)
        })
        .collect::<Result<_, ParquetError>>()?;
    Ok(chunks.into_iter().flatten().collect())
}

impl ColumnWriter {
    /// Encodes the whole column, given as slices, in the form that suits it best. Gives the chunks of
    /// its leaves, in order.
    pub(crate) fn encode(mut self, slices: &[ArrayRef]) -> Result<Vec<EncodedChunk>, ParquetError> {
        if let [(_, leaf)] = &self.leaves[..]
            && let Some(chunk) = own_chunk(&self.field, slices, leaf, self.options)?
        {
            return Ok(vec![EncodedChunk::Own(chunk)]);
        }
        slices.iter().try_for_each(|slice| self.write(slice))?;
        self.finish()
    }

    /// Encodes the next rows as the library does. For columns that are too wide to be in memory as a
    /// whole, none of which we have a form for.
    pub(crate) fn write(&mut self, rows: &ArrayRef) -> Result<(), ParquetError> {
        let leaves = compute_leaves(&self.field, rows)?;
        for ((writer, _), leaf) in self.leaves.iter_mut().zip(&leaves) {
            writer.write(leaf)?;
        }
        Ok(())
    }

    /// The chunks of what was [written](Self::write).
    pub(crate) fn finish(self) -> Result<Vec<EncodedChunk>, ParquetError> {
        let leaves = self.leaves.into_iter();
        leaves
            .map(|(writer, _)| writer.close().map(EncodedChunk::Other))
            .collect()
    }
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
