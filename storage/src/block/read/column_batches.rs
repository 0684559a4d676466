//! Some columns of a whole row group as batches, for columns that [`encoded`](super::encoded) does not read.

use arrow::array::RecordBatch;
use futures::TryStreamExt;
use parquet::arrow::arrow_reader::ArrowReaderMetadata;
use parquet::arrow::async_reader::ParquetRecordBatchStream;
use parquet::arrow::{ParquetRecordBatchStreamBuilder, ProjectionMask};

use crate::block::read::file::BlockFile;
use crate::error::StorageError;

/// Batches of some columns of one row group, in the order of its rows.
pub struct ColumnBatches {
    object: String,
    stream: ParquetRecordBatchStream<BlockFile>,
}

impl std::fmt::Debug for ColumnBatches {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ColumnBatches")
            .field("object", &self.object)
            .finish_non_exhaustive()
    }
}

impl ColumnBatches {
    /// The columns of these names, in batches of `batch_rows` rows; the last one has what is left.
    ///
    /// # Errors
    ///
    /// If the store fails, or the block is damaged.
    pub async fn open(
        file: &BlockFile,
        row_group: usize,
        names: &[&str],
        batch_rows: usize,
    ) -> Result<Self, StorageError> {
        let mut file = file.clone();
        let object = file.path().to_string();
        let fail = |error| StorageError::from_parquet(&object, error);
        let metadata = file.arrow().await?;
        let columns = columns(&metadata, names);
        let stream = ParquetRecordBatchStreamBuilder::new_with_metadata(file, metadata)
            .with_row_groups(vec![row_group])
            .with_projection(columns)
            .with_batch_size(batch_rows)
            .build()
            .map_err(fail)?;
        Ok(Self { object, stream })
    }

    /// The next rows; `None` behind the last.
    ///
    /// # Errors
    ///
    /// If the store fails, or the block is damaged.
    pub async fn next(&mut self) -> Result<Option<RecordBatch>, StorageError> {
        let next = self.stream.try_next().await;
        next.map_err(|error| StorageError::from_parquet(&self.object, error))
    }
}

/// A mask of the top-level columns of these names.
fn columns(metadata: &ArrowReaderMetadata, names: &[&str]) -> ProjectionMask {
    let schema = metadata.parquet_schema();
    let fields = schema.root_schema().get_fields().iter().enumerate();
    let wanted = fields.filter(|(_, field)| names.contains(&field.name()));
    ProjectionMask::roots(schema, wanted.map(|(root, _)| root))
}
