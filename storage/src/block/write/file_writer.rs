//! The file of a block, written row group by row group and column by column.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use parquet::arrow::ArrowSchemaConverter;
use parquet::arrow::add_encoded_arrow_schema_to_metadata;
use parquet::arrow::arrow_writer::ArrowRowGroupWriterFactory;
use parquet::basic::ZstdLevel;
use parquet::errors::ParquetError;
use parquet::file::metadata::{KeyValue, RowGroupMetaData, SortingColumn};
use parquet::file::properties::{WriterProperties, WriterVersion};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};

use super::chunk::ChunkOptions;
use super::column_chunks::{ColumnWriter, EncodedChunk, column_writers};
use super::encodings;
use super::options::WriteOptions;
use super::output::Output;
use crate::block::footer::{
    Checksums, KEY_BLOCK, KEY_CHECKSUMS, KEY_COLUMNS, KEY_FORMAT_VERSION, KEY_SORT_ORDER,
    chunk_range,
};
use crate::block::meta::{BlockMeta, ColumnMeta, FileMeta, RowGroupMeta};
use crate::schema::column_roles;

/// Length of the magic at the start of a file.
const MAGIC_BYTES: u64 = 4;

/// Writes the file of a block. What is written can be taken away at any time, so that no more than a
/// column chunk need be in memory.
pub(crate) struct FileWriter {
    schema: SchemaRef,
    output: Output,
    writer: SerializedFileWriter<Output>,
    factory: ArrowRowGroupWriterFactory,
    options: ChunkOptions,
    checksums: Vec<Vec<u32>>,
    columns: Vec<ColumnMeta>,
    row_groups: Vec<RowGroupMeta>,
}

/// Writes one row group.
pub(crate) struct RowGroupWriter<'a> {
    output: Output,
    writer: SerializedRowGroupWriter<'a, Output>,
}

impl FileWriter {
    /// Begins a file of these columns.
    pub(crate) fn new(schema: &SchemaRef, options: &WriteOptions) -> Result<Self, ParquetError> {
        let zstd = ZstdLevel::try_new(options.zstd_level)?;
        let output = Output::default();
        output.announce(MAGIC_BYTES);
        let writer = file_writer(schema, options, zstd, output.clone())?;
        let column = |name: &String| ColumnMeta {
            name: name.as_str().into(),
            compressed_bytes: 0,
        };
        let fields = schema.fields().iter();
        Ok(Self {
            factory: ArrowRowGroupWriterFactory::new(&writer, Arc::clone(schema)),
            output,
            writer,
            options: ChunkOptions {
                page_rows: options.page_rows,
                zstd,
            },
            checksums: Vec::new(),
            columns: fields.map(|field| column(field.name())).collect(),
            row_groups: Vec::new(),
            schema: Arc::clone(schema),
        })
    }

    /// One writer for each column of the next row group, in order.
    pub(crate) fn column_writers(&self) -> Result<Vec<ColumnWriter>, ParquetError> {
        let writers = self.factory.create_column_writers(self.row_groups.len())?;
        let leaves = self.writer.schema_descr().columns();
        Ok(column_writers(&self.schema, writers, leaves, self.options))
    }

    /// Begins the next row group.
    pub(crate) fn row_group(&mut self) -> Result<RowGroupWriter<'_>, ParquetError> {
        Ok(RowGroupWriter {
            output: self.output.clone(),
            writer: self.writer.next_row_group()?,
        })
    }

    /// Ends a row group that is closed.
    pub(crate) fn end_row_group(
        &mut self,
        written: &RowGroupMetaData,
        meta: RowGroupMeta,
    ) -> Result<(), ParquetError> {
        self.writer.flush()?;
        let mut crcs = self.output.take_crcs();
        if self.row_groups.is_empty() {
            // That of the magic, which nothing reads.
            crcs.drain(..1.min(crcs.len()));
        }
        if crcs.len() != written.num_columns() {
            return Err(misplaced());
        }
        self.checksums.push(crcs);
        self.row_groups.push(meta);
        self.add_sizes(written)
    }

    fn add_sizes(&mut self, written: &RowGroupMetaData) -> Result<(), ParquetError> {
        let schema = written.schema_descr();
        for (leaf, chunk) in written.columns().iter().enumerate() {
            let column = self.columns.get_mut(schema.get_column_root_idx(leaf));
            let column = column.ok_or_else(misplaced)?;
            column.compressed_bytes += u64::try_from(chunk.compressed_size()).unwrap_or(0);
        }
        Ok(())
    }

    /// The bytes that were written since this was last called.
    pub(crate) fn take(&self) -> Bytes {
        self.output.take()
    }

    /// Ends the file. Gives the bytes that were not taken yet, and the description with all that the
    /// file decides; what it says of anything else is what goes into the footer.
    pub(crate) fn finish(
        mut self,
        mut meta: BlockMeta,
    ) -> Result<(Bytes, BlockMeta), ParquetError> {
        meta.file = None;
        meta.trace_id_filter = None;
        meta.row_groups = self.row_groups;
        meta.columns = self.columns;
        let footer_offset = self.output.written();
        let checksums = Checksums {
            algorithm: "crc32c".to_owned(),
            row_groups: self.checksums,
        };
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
            self.writer
                .append_key_value_metadata(KeyValue::new(key.to_owned(), value));
        }
        self.writer.into_inner()?;
        meta.file = Some(FileMeta {
            size_bytes: self.output.written(),
            sha256: self.output.sha256(),
            footer_offset,
            footer_crc32c: self.output.tail_crc(),
        });
        Ok((self.output.take(), meta))
    }
}

impl RowGroupWriter<'_> {
    /// Appends the next column chunk.
    pub(crate) fn append(&mut self, chunk: EncodedChunk) -> Result<(), ParquetError> {
        let length = chunk.close().metadata.compressed_size();
        let length = u64::try_from(length).map_err(|_| misplaced())?;
        self.output.announce(length);
        match chunk {
            EncodedChunk::Own(chunk) => self.writer.append_column(&chunk.bytes, chunk.close),
            EncodedChunk::Other(chunk) => chunk.append_to_row_group(&mut self.writer),
        }
    }

    /// The bytes of the file that were written since they were last taken.
    pub(crate) fn take(&self) -> Bytes {
        self.output.take()
    }

    /// Closes the row group, which is to be [ended](FileWriter::end_row_group) then.
    pub(crate) fn close(self) -> Result<Arc<RowGroupMetaData>, ParquetError> {
        let written = self.writer.close()?;
        // Sections of the file are announced by length: they must be where the chunks are.
        let ranges: Option<Vec<_>> = written.columns().iter().map(chunk_range).collect();
        let ranges = ranges.ok_or_else(misplaced)?;
        if ranges.windows(2).all(|two| two[0].end == two[1].start) {
            Ok(written)
        } else {
            Err(misplaced())
        }
    }
}

fn file_writer(
    schema: &SchemaRef,
    options: &WriteOptions,
    zstd: ZstdLevel,
    output: Output,
) -> Result<SerializedFileWriter<Output>, ParquetError> {
    let parquet_schema = ArrowSchemaConverter::new().convert(schema)?;
    let mut properties = WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_1_0)
        .set_created_by(concat!("spandrel ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_data_page_row_count_limit(options.page_rows)
        .set_write_batch_size(options.page_rows.min(1024));
    // Only traces are sorted, not the rows inside one; a sort order of rows must hold for all of
    // them, and what holds is that of the trace's first row. So none is declared.
    properties = properties.set_sorting_columns(None::<Vec<SortingColumn>>);
    let mut properties = encodings::apply(properties, schema, zstd).build();
    add_encoded_arrow_schema_to_metadata(schema, &mut properties);
    SerializedFileWriter::new(
        output,
        parquet_schema.root_schema_ptr(),
        Arc::new(properties),
    )
}

fn misplaced() -> ParquetError {
    ParquetError::General("a column chunk is not where it was put".to_owned())
}

fn json<T: serde::Serialize>(value: &T) -> Result<String, ParquetError> {
    serde_json::to_string(value).map_err(|error| ParquetError::External(Box::new(error)))
}
