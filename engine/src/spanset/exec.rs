//! `Spanset`: keeps the spans that a pipeline selects in their traces.
//!
//! | input | output |
//! |---|---|
//! | spans of whole traces, in stored order | the selected ones, in stored order, with derived columns |
//!
//! Memory is bounded by the largest trace: a trace that spans several batches is held until it ends,
//! and reserved from the query's pool.

use std::fmt;
use std::sync::Arc;

use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::Result;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, Distribution, ExecutionPlan,
    PlanProperties, ReplaceChildrenOptions,
};
use futures::{StreamExt as _, TryStreamExt as _, stream};

use super::run::Runnable;
use super::traces::{TraceReader, TraceShape, Traces};
use crate::operator::{only_child, row_by_row};

/// See the module.
#[derive(Debug)]
pub(super) struct SpansetExec {
    input: Arc<dyn ExecutionPlan>,
    runnable: Runnable,
    shape: TraceShape,
    text: Arc<str>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl SpansetExec {
    pub(super) fn new(
        input: Arc<dyn ExecutionPlan>,
        runnable: Runnable,
        shape: TraceShape,
        text: Arc<str>,
        schema: SchemaRef,
    ) -> Self {
        Self {
            properties: row_by_row(input.as_ref(), schema),
            input,
            runnable,
            shape,
            text,
            metrics: ExecutionPlanMetricsSet::new(),
        }
    }
}

impl DisplayAs for SpansetExec {
    fn fmt_as(&self, _t: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SpansetExec: {}", self.text)
    }
}

impl ExecutionPlan for SpansetExec {
    fn name(&self) -> &str {
        "SpansetExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn required_input_distribution(&self) -> Vec<Distribution> {
        vec![Distribution::SinglePartition]
    }

    fn apply_expressions(
        &self,
        _f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let input = only_child("SpansetExec", children)?;
        Ok(Arc::new(Self::new(
            input,
            self.runnable.clone(),
            self.shape.clone(),
            Arc::clone(&self.text),
            self.schema(),
        )))
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let recompute = ChildrenPropertiesMode::Recompute;
        self.replace_children(children, ReplaceChildrenOptions::new(recompute))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let input = self.input.execute(partition, Arc::clone(&context))?;
        let state = State {
            reader: TraceReader::try_new(self.shape.clone(), &input.schema())?,
            runnable: self.runnable.clone(),
            schema: self.schema(),
            reservation: MemoryConsumer::new(self.name()).register(context.memory_pool()),
            metrics: BaselineMetrics::new(&self.metrics, partition),
        };
        // The end of the input is an element of its own: it is what ends the last trace.
        let inputs = input.map_ok(Some).chain(stream::once(async { Ok(None) }));
        let selected = inputs
            .scan(state, |state, batch| {
                let selected = batch.and_then(|batch| state.next(batch));
                std::future::ready(Some(selected))
            })
            .map_ok(|batches| stream::iter(batches.into_iter().map(Ok)))
            .try_flatten();
        Ok(Box::pin(RecordBatchStreamAdapter::new(
            self.schema(),
            selected,
        )))
    }
}

struct State {
    reader: TraceReader,
    runnable: Runnable,
    schema: SchemaRef,
    reservation: MemoryReservation,
    metrics: BaselineMetrics,
}

impl State {
    /// The selected spans of the traces that are complete with the next batch, or with the end.
    fn next(&mut self, batch: Option<RecordBatch>) -> Result<Vec<RecordBatch>> {
        let timer = self.metrics.elapsed_compute().clone();
        let _timer = timer.timer();
        let traces = match batch {
            Some(batch) => self.reader.push(batch)?,
            None => self.reader.finish()?.into_iter().collect(),
        };
        self.reservation.try_resize(self.reader.bytes())?;
        let selected = traces.iter().map(|traces| self.select(traces));
        let selected = selected.filter_map(Result::transpose);
        selected.collect()
    }

    fn select(&self, traces: &Traces) -> Result<Option<RecordBatch>> {
        let partition = self.runnable.run(&traces.batch, &traces.forest)?;
        if partition.is_empty() {
            return Ok(None);
        }
        let columns = self.schema.fields().iter().map(|field| {
            let index = traces.batch.schema_ref().index_of(field.name())?;
            Ok(Arc::clone(traces.batch.column(index)))
        });
        let batch = RecordBatch::try_new_with_options(
            Arc::clone(&self.schema),
            columns.collect::<Result<_>>()?,
            &arrow::array::RecordBatchOptions::new().with_row_count(Some(traces.batch.num_rows())),
        )?;
        let selected = filter_record_batch(&batch, &BooleanArray::from(partition.members()))?;
        self.metrics.record_output(selected.num_rows());
        Ok(Some(selected))
    }
}
