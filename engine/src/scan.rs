//! The spans of a slice as the source of a plan.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::Schema;
use arrow::error::ArrowError;
use datafusion::datasource::provider_as_source;
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::execution::{SendableRecordBatchStream, SessionState, TaskContext};
use datafusion::logical_expr::{Expr, LogicalPlanBuilder};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use hashbrown::HashSet;
use object_store::ObjectStore;
use object_store::path::Path;
use storage::block::footer::BlockFooter;
use storage::block::meta::BlockMeta;
use storage::block::{
    BlockCache, BlockFile, MemoryBlock, live_rows, live_trace_ids, live_traces_of_rows,
    read_columns, read_rows, read_trace_ids, read_traces, traces_of_rows,
};
use storage::ids::TraceId;
use storage::schema::names;

use crate::columns::{ROW, column, stored_columns};
use crate::context::QueryContext;
use crate::error::EngineError;
use crate::functions::ids::not_of_traces;
use crate::pieces;
use crate::provider::{SpanTable, Spans, VirtualColumns, with_rows, with_virtual_columns};
use crate::slice::Slice;

/// Blocks in which the traces of another are looked up at once.
const BLOCKS_AT_ONCE: usize = 16;

/// A slice, with everything that reading it takes.
pub(crate) struct Scan {
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) prefix: Path,
    pub(crate) cache: Arc<BlockCache>,
    pub(crate) session: Arc<SessionState>,
    /// Whether it is to be read by DataFusion plans, whatever else is possible.
    pub(crate) general: bool,
    pub(crate) slice: Slice,
    pub(crate) context: QueryContext,
}

/// A slice whose columns are known. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Opened {
    spans: Spans,
    without: Option<Arc<HashSet<TraceId>>>,
    few: bool,
    general: bool,
    /// Spans that are read.
    pub(crate) span_count: u64,
}

/// Row groups of a stored block, as operators over encoded columns read them.
#[derive(Debug, Clone)]
pub(crate) struct StoredRows<'a> {
    pub(crate) file: &'a BlockFile,
    pub(crate) footer: &'a BlockFooter,
    pub(crate) row_groups: &'a [usize],
    /// What spans have to meet besides the query's own conditions.
    pub(crate) condition: Option<Expr>,
}

/// Which rows are read besides some of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Around {
    Nothing,
    /// At least those of their traces that come before them: all that they may be below of.
    Above,
    /// All of their traces.
    Trace,
}

impl Scan {
    /// Whether the slice's block has none of the traces that a query names. `is_without` says whether
    /// nothing of a block is selected if it lacks some traces; only if it would be for the lack of all is
    /// the block's id filter read.
    pub(crate) async fn lacks_what_is_named(
        &self,
        is_without: impl Fn(&BlockMeta, &dyn Fn(TraceId) -> bool) -> bool,
    ) -> Result<bool, EngineError> {
        let slice = match &self.slice {
            Slice::Rest { slice, .. } => slice.as_ref(),
            slice => slice,
        };
        let Slice::Stored { block, .. } = slice else {
            return Ok(false);
        };
        if !is_without(block, &|_| true) {
            return Ok(false);
        }
        let filter = self.file(block)?.trace_id_filter().await?;
        Ok(is_without(block, &|id| !filter.contains(id)))
    }

    /// Opens the slice; `None` if it turns out to have no spans.
    pub(crate) async fn open(&self) -> Result<Option<Opened>, EngineError> {
        let (slice, without) = match &self.slice {
            Slice::Rest { slice, without } => (slice.as_ref(), Some(Arc::clone(without))),
            slice => (slice, None),
        };
        let spans = match slice {
            Slice::Live(block) => Spans::Live(Arc::clone(block)),
            Slice::Stored { block, row_groups } => {
                let mut file = self.file(block)?;
                let footer = file.footer().await?;
                let schema = footer.schema();
                schema.map_err(|error| EngineError::Internal(error.into()))?;
                Spans::Stored {
                    footer,
                    file,
                    row_groups: row_groups.clone(),
                }
            }
            Slice::Pieces(source) => {
                let mut groups = Vec::new();
                for block in &source.stored {
                    groups.extend(read_traces(self.file(block)?, &source.traces).await?);
                }
                match source.join(groups)? {
                    Some(block) => Spans::Live(block),
                    None => return Ok(None),
                }
            }
            // Traces are taken out of a slice once, all together.
            Slice::Rest { .. } => return Ok(None),
        };
        let span_count = match &spans {
            Spans::Live(block) => block.meta.row_count,
            Spans::Stored { .. } => slice.row_count(),
        };
        Ok(Some(Opened {
            spans,
            without,
            few: false,
            general: self.general,
            span_count,
        }))
    }

    /// The file of a stored block.
    pub(crate) fn file(&self, block: &Arc<BlockMeta>) -> Result<BlockFile, EngineError> {
        Ok(BlockFile::new(
            Arc::clone(&self.store),
            &self.prefix,
            Arc::clone(block),
            Arc::clone(&self.cache),
            Arc::clone(&self.context.counters.reads),
        )?)
    }

    /// For each of some stored blocks, those traces of the slice that are in it, too.
    pub(crate) async fn common_traces(
        &self,
        with: &[Arc<BlockMeta>],
    ) -> Result<Vec<Arc<[TraceId]>>, EngineError> {
        let (Some(block), ids) = (self.slice.block(), self.trace_ids().await?) else {
            return Ok(with.iter().map(|_| Arc::default()).collect());
        };
        let others = stream::iter(0..with.len());
        let common = others.map(|index| self.common_with(&ids, block, with.get(index)));
        common.buffered(BLOCKS_AT_ONCE).try_collect().await
    }

    /// Those of some traces of a block that are in another, too.
    async fn common_with(
        &self,
        ids: &[TraceId],
        block: &BlockMeta,
        other: Option<&Arc<BlockMeta>>,
    ) -> Result<Arc<[TraceId]>, EngineError> {
        let Some(other) = other else {
            return Ok(Arc::default());
        };
        let file = self.file(other)?;
        let filter = file.trace_id_filter().await?;
        let maybe = ids.iter().filter(|id| filter.contains(**id));
        let maybe: Vec<TraceId> = maybe.copied().collect();
        if maybe.is_empty() {
            return Ok(Arc::default());
        }
        // The filter lets through one in two hundred that is not there, and to put such a trace
        // together costs far more than to look.
        let row_groups = pieces::row_groups_within_reach(other, block);
        let there = read_trace_ids(file, &row_groups).await?;
        let there: HashSet<TraceId> = there.into_iter().collect();
        let both = maybe.iter().filter(|id| there.contains(*id));
        Ok(both.copied().collect())
    }

    /// The traces of the slice.
    async fn trace_ids(&self) -> Result<Vec<TraceId>, EngineError> {
        Ok(match &self.slice {
            Slice::Stored { block, row_groups } => {
                read_trace_ids(self.file(block)?, row_groups).await?
            }
            Slice::Live(block) => live_trace_ids(block)?,
            // Only blocks are compared, each as a whole.
            Slice::Rest { .. } | Slice::Pieces(_) => Vec::new(),
        })
    }

    pub(crate) fn task_context(&self) -> DataFusionResult<Arc<TaskContext>> {
        let runtime = self.context.runtime()?;
        Ok(Arc::new(
            TaskContext::from(&*self.session).with_runtime(runtime),
        ))
    }

    pub(crate) fn count_spans(&self, spans: u64) {
        let counters = &self.context.counters;
        counters.spans_inspected.fetch_add(spans, Ordering::Relaxed);
    }
}

impl Opened {
    /// What is known of the block that the spans are of.
    pub(crate) fn block(&self) -> &BlockMeta {
        self.spans.block()
    }

    /// What operators over encoded columns may read; `None` if that is not for them.
    pub(crate) fn stored(&self) -> Option<StoredRows<'_>> {
        match &self.spans {
            Spans::Stored {
                file,
                footer,
                row_groups,
            } if !self.general => Some(StoredRows {
                file,
                footer,
                row_groups,
                condition: self.condition(),
            }),
            Spans::Stored { .. } | Spans::Live(_) => None,
        }
    }

    /// Expects that few spans pass the filters, see [`SpanTable::read_late`].
    pub(crate) fn expect_few(&mut self) {
        self.few = true;
    }

    /// The spans, where they are.
    pub(crate) const fn spans(&self) -> &Spans {
        &self.spans
    }

    /// Whether the spans are in the store.
    pub(crate) const fn is_stored(&self) -> bool {
        matches!(self.spans, Spans::Stored { .. })
    }

    /// What is said of the traces that are read.
    fn condition(&self) -> Option<Expr> {
        let without = self.without.as_ref()?;
        Some(not_of_traces(column(names::TRACE_ID), Arc::clone(without)))
    }

    /// Some columns of some traces, in block order, where the spans are in the store: only the pages
    /// that have rows of these traces are read. `None` if they are not in the store.
    ///
    /// # Errors
    /// If the block has no such columns; the stream, if the store fails, or the block is damaged.
    pub(crate) fn traces(
        &self,
        traces: HashSet<TraceId>,
        columns: &BTreeSet<String>,
    ) -> DataFusionResult<Option<SendableRecordBatchStream>> {
        let Spans::Stored {
            file,
            footer,
            row_groups,
        } = &self.spans
        else {
            return Ok(None);
        };
        let schema = with_virtual_columns(footer.schema()?);
        let schema = Arc::new(schema.project(&indices(&schema, columns))?);
        let stored = Arc::new(stored_columns(columns.clone()));
        let (file, traces) = (file.clone(), Arc::new(traces));
        let read = move |row_group| {
            let (mut file, stored) = (file.clone(), Arc::clone(&stored));
            let traces = Arc::clone(&traces);
            async move {
                let wanted = |name: &str| stored.contains(name);
                let batches = read_columns(&mut file, row_group, &traces, &wanted).await;
                let external = |error| DataFusionError::External(Box::new(error));
                let batches = batches.map_err(external)?;
                Ok::<_, DataFusionError>(stream::iter(
                    batches.map(move |batch| batch.map_err(external)),
                ))
            }
        };
        let batches = stream::iter(row_groups.clone()).then(read).try_flatten();
        let mut columns = VirtualColumns::new(Arc::clone(&schema));
        let batches = batches.map(move |batch| columns.add(&batch?));
        let batches = RecordBatchStreamAdapter::new(schema, batches);
        Ok(Some(Box::pin(batches)))
    }

    /// Some columns and the [`ROW`] of some rows of the block, by these, ascending, and of those `around`
    /// them. In row order.
    ///
    /// # Errors
    /// If the block has no such rows or columns, the store fails, or the block is damaged.
    pub(crate) async fn few_rows(
        &self,
        rows: &[usize],
        columns: &BTreeSet<String>,
        around: Around,
    ) -> DataFusionResult<RecordBatch> {
        let external = |error| DataFusionError::External(Box::new(error));
        let mut columns = columns.clone();
        columns.insert(ROW.to_owned());
        let single = |rows: &[usize]| rows.iter().map(|&row| row..row + 1).collect::<Vec<_>>();
        let mut batches = Vec::new();
        let schema = match &self.spans {
            Spans::Live(block) => {
                let mut read = stored_columns(columns.clone());
                read.insert(names::TRACE_ROW.to_owned());
                let block = only(block, &read)?;
                let ranges = match around {
                    Around::Nothing => single(rows),
                    Around::Above | Around::Trace => live_traces_of_rows(&block, rows),
                };
                let batch = live_rows(&block, &ranges).map_err(external)?;
                batches.push(with_rows(&batch, ranges.into_iter().flatten())?);
                with_virtual_columns(&block.schema)
            }
            Spans::Stored { file, footer, .. } => {
                let stored = stored_columns(columns.clone());
                let wanted = |name: &str| stored.contains(name);
                let mut file = file.clone();
                let mut rows = rows;
                for (row_group, group) in row_groups(footer).enumerate() {
                    let count = rows.partition_point(|row| *row < group.end);
                    let (of_group, rest) = rows.split_at(count);
                    rows = rest;
                    if of_group.is_empty() {
                        continue;
                    }
                    let of_group = of_group.iter().map(|row| row - group.start);
                    let of_group: Vec<usize> = of_group.collect();
                    let ranges = match around {
                        Around::Nothing => single(&of_group),
                        Around::Above | Around::Trace => {
                            let whole = around == Around::Trace;
                            let traces = traces_of_rows(&mut file, row_group, &of_group, whole);
                            traces.await.map_err(external)?
                        }
                    };
                    let batch = read_rows(&mut file, row_group, &ranges, &wanted).await;
                    let batch = batch.map_err(external)?;
                    let rows = ranges.into_iter().flatten();
                    batches.push(with_rows(&batch, rows.map(|row| group.start + row))?);
                }
                with_virtual_columns(footer.schema()?)
            }
        };
        let schema = Arc::new(schema.project(&indices(&schema, &columns))?);
        let mut virtual_columns = VirtualColumns::new(Arc::clone(&schema));
        let batches = batches.iter().map(|batch| virtual_columns.add(batch));
        let batches = batches.collect::<DataFusionResult<Vec<_>>>()?;
        Ok(concat_batches(&schema, &batches)?)
    }

    /// A scan of the spans with some columns.
    pub(crate) fn scan(self, columns: &BTreeSet<String>) -> DataFusionResult<LogicalPlanBuilder> {
        // The planner handles the whole schema over and over, and a block has a hundred columns.
        let mut columns = columns.clone();
        if self.without.is_some() {
            columns.insert(names::TRACE_ID.to_owned());
        }
        let condition = self.condition();
        let (spans, schema) = match self.spans {
            Spans::Live(block) => {
                let block = only(&block, &columns)?;
                let schema = Arc::clone(&block.schema);
                (Spans::Live(Arc::new(block)), schema)
            }
            Spans::Stored { ref footer, .. } => {
                let schema = footer.schema()?;
                let schema = schema.project(&indices(schema, &columns))?;
                (self.spans, Arc::new(schema))
            }
        };
        let table = SpanTable::new(spans, &schema);
        let table = Arc::new(if self.few { table.read_late() } else { table });
        let scan = LogicalPlanBuilder::scan("spans", provider_as_source(table), None)?;
        match condition {
            Some(condition) => scan.filter(condition),
            None => Ok(scan),
        }
    }
}

/// The rows of each row group of a block.
pub(crate) fn row_groups(footer: &BlockFooter) -> impl Iterator<Item = Range<usize>> {
    let mut end = 0;
    footer.metadata().row_groups().iter().map(move |group| {
        let start = end;
        end += usize::try_from(group.num_rows()).unwrap_or_default();
        start..end
    })
}

/// Where the columns of these names are in a schema.
fn indices(schema: &Schema, columns: &BTreeSet<String>) -> Vec<usize> {
    let fields = schema.fields().iter().enumerate();
    fields
        .filter(|(_, field)| columns.contains(field.name()))
        .map(|(index, _)| index)
        .collect()
}

/// A live block with these columns only; nothing is copied.
fn only(block: &MemoryBlock, columns: &BTreeSet<String>) -> Result<MemoryBlock, ArrowError> {
    let indices = indices(&block.schema, columns);
    let batches = block.batches.iter().map(|batch| batch.project(&indices));
    Ok(MemoryBlock {
        meta: Arc::clone(&block.meta),
        schema: Arc::new(block.schema.project(&indices)?),
        batches: batches.collect::<Result<_, _>>()?,
    })
}
