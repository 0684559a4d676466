//! What is in a block's file, by its Parquet metadata.

use parquet::arrow::parquet_to_arrow_schema;
use parquet::basic::Compression;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use serde::Serialize;

/// What is in a block's file, column by column.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BlockReport {
    /// Spans.
    pub row_count: u64,
    /// Row groups.
    pub row_group_count: usize,
    /// Leaf columns, in file order.
    pub columns: Vec<ColumnReport>,
}

/// What is in one leaf column.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ColumnReport {
    /// The top-level column.
    pub name: String,
    /// The path of the leaf; differs from the name for nested columns.
    pub path: String,
    /// Arrow type of the top-level column.
    pub arrow_type: String,
    /// Encodings in use, in no order.
    pub encodings: Vec<String>,
    /// Compression.
    pub compression: String,
    /// Compressed bytes, over all row groups.
    pub compressed_bytes: u64,
    /// Uncompressed bytes, over all row groups.
    pub uncompressed_bytes: u64,
    /// Compressed bytes per span.
    pub bytes_per_span: f64,
}

/// Looks at the metadata of a block's file. Does no I/O.
#[must_use]
pub fn inspect_parquet(metadata: &ParquetMetaData) -> BlockReport {
    let file = metadata.file_metadata();
    let schema = file.schema_descr();
    let row_count = u64::try_from(file.num_rows()).unwrap_or(0);
    let arrow = parquet_to_arrow_schema(schema, file.key_value_metadata()).ok();
    let columns = (0..schema.num_columns()).map(|leaf| {
        let name = schema.get_column_root(leaf).name().to_owned();
        let chunks = || {
            metadata
                .row_groups()
                .iter()
                .filter_map(|rg| rg.columns().get(leaf))
        };
        let total = |size: fn(&ColumnChunkMetaData) -> i64| {
            chunks()
                .map(|chunk| u64::try_from(size(chunk)).unwrap_or(0))
                .sum::<u64>()
        };
        let compressed_bytes = total(|chunk| chunk.compressed_size());
        let mut encodings: Vec<String> = chunks()
            .flat_map(|chunk| chunk.encodings())
            .map(|e| e.to_string())
            .collect();
        encodings.sort();
        encodings.dedup();
        let arrow_type = arrow
            .as_ref()
            .and_then(|arrow| arrow.field_with_name(&name).ok());
        ColumnReport {
            path: schema.column(leaf).path().parts().join("/"),
            arrow_type: arrow_type
                .map(|f| f.data_type().to_string())
                .unwrap_or_default(),
            encodings,
            compression: chunks()
                .next()
                .map(|c| codec(c.compression()))
                .unwrap_or_default(),
            compressed_bytes,
            uncompressed_bytes: total(|chunk| chunk.uncompressed_size()),
            bytes_per_span: ratio(compressed_bytes, row_count),
            name,
        }
    });
    BlockReport {
        row_count,
        row_group_count: metadata.num_row_groups(),
        columns: columns.collect(),
    }
}

/// Files do not say at which level they were compressed, so neither does this.
fn codec(compression: Compression) -> String {
    let text = compression.to_string();
    text.split('(').next().unwrap_or_default().to_owned()
}

#[expect(clippy::cast_precision_loss, reason = "for people to read")]
fn ratio(bytes: u64, rows: u64) -> f64 {
    bytes as f64 / rows.max(1) as f64
}
