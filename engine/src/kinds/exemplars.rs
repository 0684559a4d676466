//! Jobs that say what chosen spans are shown with.
//!
//! The spans were chosen by the jobs that aggregate; of these few rows their ids, the labels of their
//! series and the attributes that the query names are read.

use std::collections::BTreeSet;

use arrow::array::{AsArray, BooleanArray, RecordBatch};
use arrow::compute::{concat_batches, filter_record_batch};
use arrow::datatypes::Int64Type;
use datafusion::catalog::Session;
use datafusion::error::Result;
use storage::block::meta::BlockMeta;
use storage::schema::names;
use traceql::ast::MetricsAggregate;

use crate::batch::named;
use crate::columns::{RESOLVED_PARENT_ID, ROW, column_names};
use crate::exemplars::ShownSpan;
use crate::exemplars::shown::LoweredExemplar;
use crate::lower::layout::Layout;
use crate::plan::MetricsPlan;
use crate::scan::{Around, Opened};
use crate::spanset::derive::Derived;
use crate::spanset::relation::Kinship;
use crate::spanset::traces::{TraceReader, TraceShape, TraceWindow};

/// What exemplars show, lowered for one block.
#[derive(Debug)]
pub(super) struct ExemplarJob {
    exemplar: LoweredExemplar,
    /// Columns that are read, virtual ones among them.
    read: BTreeSet<String>,
    /// If spans are shown with what follows from their place in their trace.
    shape: Option<TraceShape>,
}

impl ExemplarJob {
    /// Lowers what a query's exemplars show for a block.
    ///
    /// # Errors
    /// If an attribute cannot be made an expression.
    pub(super) fn lower(
        plan: &MetricsPlan,
        aggregate: &MetricsAggregate,
        block: &BlockMeta,
    ) -> Result<Self> {
        let layout = Layout::spans(block, plan.dialect);
        let exemplar = LoweredExemplar::lower(plan, aggregate, &layout)?;
        let (derived, mut read) = Derived::among(column_names(exemplar.expressions()));
        let shape = TraceShape {
            window: TraceWindow::Starts {
                column: names::START_NS,
                start: i64::MIN,
                end: i64::MAX,
            },
            derived,
            kinship: Kinship::None,
        };
        let shape = (!shape.derived.is_empty()).then_some(shape);
        let columns = shape.iter().flat_map(TraceShape::columns);
        read.extend(columns.map(str::to_owned));
        Ok(Self {
            exemplar,
            read,
            shape,
        })
    }

    /// What the spans of some rows of the block, ascending, are shown with.
    ///
    /// # Errors
    /// If the store fails, the block is damaged or has no such rows, or an expression fails on one.
    pub(super) async fn run(
        &self,
        spans: &Opened,
        rows: &[usize],
        aggregate: &MetricsAggregate,
        session: &dyn Session,
    ) -> Result<Vec<ShownSpan>> {
        let around = match &self.shape {
            Some(shape) if shape.derived.looks_below() => Around::Trace,
            Some(_) => Around::Above,
            None if self.read.contains(RESOLVED_PARENT_ID) => Around::Above,
            None => Around::Nothing,
        };
        let mut batch = spans.few_rows(rows, &self.read, around).await?;
        if let Some(shape) = &self.shape {
            batch = derive(shape, batch)?;
        }
        if batch.num_rows() > rows.len() {
            batch = picked(&batch, rows)?;
        }
        self.exemplar.rows(aggregate, &batch, session)
    }
}

/// Whole traces with what is derived of them.
fn derive(shape: &TraceShape, batch: RecordBatch) -> Result<RecordBatch> {
    let mut reader = TraceReader::try_new(shape.clone(), batch.schema_ref())?;
    let mut traces = reader.push(batch)?;
    traces.extend(reader.finish()?);
    let batches = traces.iter().map(|traces| &traces.batch);
    Ok(concat_batches(reader.schema(), batches)?)
}

/// Some rows of the block, out of more.
fn picked(batch: &RecordBatch, rows: &[usize]) -> Result<RecordBatch> {
    let places = named(batch, ROW)?.as_primitive::<Int64Type>();
    let is_wanted = |place: &i64| {
        let place = usize::try_from(*place);
        place.is_ok_and(|place| rows.binary_search(&place).is_ok())
    };
    let wanted: BooleanArray = places.values().iter().map(|p| Some(is_wanted(p))).collect();
    Ok(filter_record_batch(batch, &wanted)?)
}
