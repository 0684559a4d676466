//! The spans of one slice as a DataFusion table.

mod parent_id;

use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::config::TableParquetOptions;
use datafusion::common::internal_err;
use datafusion::datasource::TableType;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::datasource::physical_plan::{
    FileScanConfigBuilder, ParquetFileReaderFactory, ParquetSource,
};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchemaBuilder;
use datafusion::error::Result;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::parquet::arrow::RowNumber;
use datafusion::parquet::arrow::async_reader::AsyncFileReader;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use datafusion_datasource_parquet::{ParquetAccessPlan, RowGroupAccess};
use storage::block::BlockFile;
use storage::block::MemoryBlock;
use storage::block::footer::BlockFooter;
use storage::block::meta::BlockMeta;

use crate::columns::{RESOLVED_FROM, RESOLVED_PARENT_ID, ROW};
use crate::context::STORE_URL;
use parent_id::ParentIdExec;
pub(crate) use parent_id::VirtualColumns;

/// The spans of one slice.
pub(crate) struct SpanTable {
    schema: SchemaRef,
    spans: Spans,
    /// Whether filters are evaluated first, and other columns decoded only where they hold.
    read_late: bool,
}

/// The spans of a slice, once it is opened.
#[derive(Debug, Clone)]
pub(crate) enum Spans {
    /// All spans of a block in memory.
    Live(Arc<MemoryBlock>),
    /// Those of some row groups of a stored block.
    Stored {
        /// The block.
        file: BlockFile,
        /// What is known of its columns.
        footer: Arc<BlockFooter>,
        /// Indexes of the row groups, ascending.
        row_groups: Vec<usize>,
    },
}

impl Spans {
    /// What is known of their block.
    pub(crate) fn block(&self) -> &BlockMeta {
        match self {
            Self::Live(block) => &block.meta,
            Self::Stored { file, .. } => file.meta(),
        }
    }
}

impl SpanTable {
    /// The table of these spans, with columns of a schema that they have all of.
    pub(crate) fn new(spans: Spans, schema: &SchemaRef) -> Self {
        Self {
            schema: with_virtual_columns(schema),
            spans,
            read_late: false,
        }
    }

    /// The table for a query whose filter few spans pass: the filter's columns are decoded first, and
    /// the others only where it holds. Where many pass, that takes longer than decoding everything.
    pub(crate) fn read_late(self) -> Self {
        Self {
            read_late: true,
            ..self
        }
    }

    /// How many columns the block has.
    fn block_columns(&self) -> usize {
        self.schema.fields().len() - VIRTUAL_COLUMNS
    }

    fn physical_schema(&self) -> SchemaRef {
        let fields = self.schema.fields();
        Arc::new(Schema::new(fields[..self.block_columns()].to_vec()))
    }

    /// Reads columns of the block and, behind these, the rows' places.
    fn scan_columns(&self, columns: Vec<usize>) -> Result<Arc<dyn ExecutionPlan>> {
        let place = self.block_columns();
        let has_places = columns.contains(&place);
        match &self.spans {
            Spans::Live(block) => {
                let block = if has_places {
                    &with_places(block)?
                } else {
                    block.as_ref()
                };
                let batches = std::slice::from_ref(&block.batches);
                let exec = MemorySourceConfig::try_new_exec(
                    batches,
                    Arc::clone(&block.schema),
                    Some(columns),
                )?;
                Ok(exec)
            }
            Spans::Stored {
                file, row_groups, ..
            } => {
                let mut options = TableParquetOptions::default();
                options.global.pushdown_filters = self.read_late;
                options.global.enable_page_index = true;
                options.global.bloom_filter_on_read = false;
                let mut table = TableSchemaBuilder::new(self.physical_schema());
                if has_places {
                    table = table.with_virtual_columns(vec![places()]);
                }
                let source = ParquetSource::new(table.build())
                    .with_table_parquet_options(options)
                    .with_parquet_file_reader_factory(Arc::new(BlockReaderFactory {
                        file: file.clone(),
                    }));
                let meta = file.meta();
                let size = meta.file.as_ref().map_or(0, |file| file.size_bytes);
                let mut access = ParquetAccessPlan::new_none(meta.row_groups.len());
                for &row_group in row_groups {
                    access.set(row_group, RowGroupAccess::Scan);
                }
                let partition =
                    PartitionedFile::new(meta.block_id.to_string(), size).with_extension(access);
                let url = ObjectStoreUrl::parse(STORE_URL)?;
                let config = FileScanConfigBuilder::new(url, Arc::new(source))
                    .with_file(partition)
                    .with_projection_indices(Some(columns))?
                    .build();
                Ok(DataSourceExec::from_data_source(config))
            }
        }
    }
}

/// Columns that a scan adds to those of a block: the parent's id, then the row's place.
const VIRTUAL_COLUMNS: usize = 2;

/// The columns of a block, and those that a scan adds to them.
pub(crate) fn with_virtual_columns(schema: &SchemaRef) -> SchemaRef {
    let parent = Field::new(RESOLVED_PARENT_ID, DataType::FixedSizeBinary(8), false);
    let added: [FieldRef; VIRTUAL_COLUMNS] = [Arc::new(parent), places()];
    let fields = schema.fields().iter().cloned().chain(added);
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// The rows' places in their block, as the Parquet reader counts them, too.
fn places() -> FieldRef {
    Arc::new(Field::new(ROW, DataType::Int64, false).with_extension_type(RowNumber))
}

/// A live block with its rows' places behind its columns; nothing else is copied.
fn with_places(block: &MemoryBlock) -> Result<MemoryBlock> {
    let mut next = 0;
    let batches = block.batches.iter().map(|batch| {
        let first = next;
        next += batch.num_rows();
        with_rows(batch, first..next)
    });
    Ok(MemoryBlock {
        meta: Arc::clone(&block.meta),
        batches: batches.collect::<Result<_>>()?,
        schema: with_place(&block.schema),
    })
}

/// Rows with their places in their block behind their columns.
pub(crate) fn with_rows(
    batch: &RecordBatch,
    rows: impl Iterator<Item = usize>,
) -> Result<RecordBatch> {
    let places = rows.map(|row| i64::try_from(row).unwrap_or(i64::MAX));
    let places: ArrayRef = Arc::new(Int64Array::from_iter_values(places));
    let columns = batch.columns().iter().cloned().chain([places]);
    let schema = with_place(batch.schema_ref());
    Ok(RecordBatch::try_new(schema, columns.collect())?)
}

fn with_place(schema: &SchemaRef) -> SchemaRef {
    let fields = schema.fields().iter().cloned().chain([places()]);
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

#[async_trait]
impl TableProvider for SpanTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    /// Filters prune row groups and pages; the rows that are left are filtered above the scan.
    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let parent = self.block_columns();
        let wanted = projection
            .cloned()
            .unwrap_or_else(|| (0..self.schema.fields().len()).collect());
        // Below there are no parents' ids, so that places stand where these do here.
        let below = |index: usize| index.min(parent);
        let own = wanted.iter().copied().filter(|index| *index != parent);
        let mut columns: Vec<usize> = own.map(below).collect();
        if !wanted.contains(&parent) {
            return self.scan_columns(columns);
        }
        for name in RESOLVED_FROM {
            let index = self.schema.index_of(name)?;
            if !columns.contains(&index) {
                columns.push(index);
            }
        }
        let input = self.scan_columns(columns)?;
        let fields: Vec<_> = wanted
            .iter()
            .map(|&index| Arc::clone(&self.schema.fields()[index]))
            .collect();
        Ok(Arc::new(ParentIdExec::new(
            input,
            Arc::new(Schema::new(fields)),
        )))
    }
}

impl fmt::Debug for SpanTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpanTable")
            .field("block", &self.spans.block().block_id)
            .finish_non_exhaustive()
    }
}

/// Opens the one block of a scan.
#[derive(Debug)]
struct BlockReaderFactory {
    file: BlockFile,
}

impl ParquetFileReaderFactory for BlockReaderFactory {
    fn create_reader(
        &self,
        _partition_index: usize,
        partitioned_file: PartitionedFile,
        _metadata_size_hint: Option<usize>,
        _metrics: &ExecutionPlanMetricsSet,
    ) -> Result<Box<dyn AsyncFileReader + Send>> {
        let block = self.file.meta().block_id.to_string();
        if partitioned_file.path().as_ref() != block {
            return internal_err!("asked for another file than block {block}");
        }
        Ok(Box::new(self.file.clone()))
    }
}
