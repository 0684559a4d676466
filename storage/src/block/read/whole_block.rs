//! A stored block read into memory, all rows and columns of it.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use futures::{FutureExt, TryStreamExt};
use parquet::arrow::ParquetRecordBatchStreamBuilder;
use parquet::file::metadata::ParquetMetaData;

use super::file::BlockFile;
use crate::block::MemoryBlock;
use crate::block::meta::BlockMeta;
use crate::error::StorageError;

/// Rows per batch.
const BATCH_ROWS: usize = 65_536;

/// Reads all of a block.
///
/// # Errors
///
/// If the store fails, or the block is damaged.
pub async fn read_block(file: &BlockFile) -> Result<MemoryBlock, StorageError> {
    let object = file.path().to_string();
    let fail = |error| StorageError::from_parquet(&object, error);
    let mut file = file.clone();
    // What is damaged in spite of right checksums was written wrongly; even then a decoder that
    // gives up must not take others with it.
    let reading = async {
        let footer = file.footer().await?;
        check_columns(&object, file.meta(), footer.metadata())?;
        let meta = Arc::clone(file.meta());
        let builder = ParquetRecordBatchStreamBuilder::new(file)
            .await
            .map_err(fail)?;
        // The file's key-values are not part of the data.
        let schema = Arc::new(Schema::new(builder.schema().fields().clone()));
        let stream = builder.with_batch_size(BATCH_ROWS).build().map_err(fail)?;
        let batches: Vec<RecordBatch> = stream.try_collect().await.map_err(fail)?;
        let own_schema = |batch: RecordBatch| {
            RecordBatch::try_new(Arc::clone(&schema), batch.columns().to_vec())
                .map_err(|error| StorageError::arrow("reading a block", error))
        };
        let batches = batches
            .into_iter()
            .map(own_schema)
            .collect::<Result<Vec<_>, _>>()?;
        Ok(MemoryBlock {
            meta,
            schema,
            batches,
        })
    };
    match AssertUnwindSafe(reading).catch_unwind().await {
        Ok(result) => result,
        Err(_) => Err(StorageError::Corrupt {
            object: object.clone(),
            what: "encoding of the data".to_owned(),
            expected: "readable".to_owned(),
            observed: "not readable".to_owned(),
        }),
    }
}

fn check_columns(
    object: &str,
    meta: &BlockMeta,
    metadata: &ParquetMetaData,
) -> Result<(), StorageError> {
    let schema = metadata.file_metadata().schema_descr().root_schema();
    let found: Vec<&str> = schema
        .get_fields()
        .iter()
        .map(|field| field.name())
        .collect();
    if meta
        .columns
        .iter()
        .map(|column| &*column.name)
        .eq(found.iter().copied())
    {
        return Ok(());
    }
    Err(StorageError::Corrupt {
        object: object.to_owned(),
        what: "columns".to_owned(),
        expected: format!("the {} of the block's description", meta.columns.len()),
        observed: format!("{} others", found.len()),
    })
}
