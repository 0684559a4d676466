//! The spans of one slice as candidates.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, UInt32Array};
use arrow::compute::{cast, take_record_batch};
use arrow::datatypes::{DataType, Float64Type, Int64Type, SchemaRef};
use datafusion::catalog::Session;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::Expr;
use datafusion::physical_expr::PhysicalExpr;
use storage::ids::{SpanId, TraceId};
use storage::schema::names;
use traceql::ast::{Attribute, Intrinsic, MetricsAggregate, MetricsFunction};

use super::select::{Candidate, CandidateKey};
use super::{Content, PartialExemplars};
use crate::aggregate::StateKind;
use crate::aggregate::histogram::{bound, float_bucket, int_bucket};
use crate::batch::Evaluation;
use crate::columns::column;
use crate::key::{KeyColumn, KeyKind, KeyValue};
use crate::lower::LoweredAggregate;
use crate::lower::layout::Layout;
use crate::partial::base_labels;
use crate::plan::MetricsPlan;
use crate::series::{AttributeValue, Label, LabelValue};
use crate::show::{Show, Shown};
use crate::spanset::number::Number;

/// What is read of spans, lowered for one block.
#[derive(Debug)]
pub(crate) struct Candidates {
    aggregate: LoweredAggregate,
    shown: Shown,
    columns: [Expr; 4],
}

impl Candidates {
    pub(crate) fn lower(
        plan: &MetricsPlan,
        aggregate: &MetricsAggregate,
        layout: &Layout<'_>,
    ) -> Result<Self> {
        let mut named = plan.attributes();
        named.retain(|attribute| !is_id(attribute));
        Ok(Self {
            aggregate: LoweredAggregate::lower(aggregate, plan.log2_quantiles, layout)?,
            shown: Shown::lower(&named, layout, Attribute::canonical)?,
            columns: COLUMNS.map(column),
        })
    }

    pub(crate) fn expressions(&self) -> impl Iterator<Item = &Expr> {
        let shown = self.shown.expressions();
        self.aggregate
            .expressions()
            .chain(shown)
            .chain(&self.columns)
    }

    /// Ready to look at spans of this schema.
    pub(crate) fn collector<'a>(
        &'a self,
        plan: &MetricsPlan,
        aggregate: &'a MetricsAggregate,
        schema: &SchemaRef,
        session: &dyn Session,
        chosen: PartialExemplars,
    ) -> Result<ExemplarCollector<'a>> {
        let evaluation = Evaluation::try_new(schema, session)?;
        let physical = |expr: &Expr| evaluation.of(expr);
        let [start_ns, duration, trace_id, span_id] = &self.columns;
        let LoweredAggregate {
            keys,
            key_kinds,
            value,
            kind,
        } = &self.aggregate;
        Ok(ExemplarCollector {
            aggregate,
            kind: *kind,
            scale: if plan.aggregates_duration() { 1e9 } else { 1.0 },
            keys: keys.iter().map(physical).collect::<Result<_>>()?,
            key_kinds,
            value: value.as_ref().map(physical).transpose()?,
            show: self.shown.physical(schema, session)?,
            start_ns: physical(start_ns)?,
            duration: physical(duration)?,
            trace_id: physical(trace_id)?,
            span_id: physical(span_id)?,
            chosen,
        })
    }
}

/// Columns of every candidate, besides those that the query names.
const COLUMNS: [&str; 4] = [
    names::START_NS,
    names::DURATION,
    names::TRACE_ID,
    names::SPAN_ID,
];

/// Whether it is an id that every exemplar has anyway.
const fn is_id(attribute: &Attribute) -> bool {
    matches!(
        attribute,
        Attribute::Intrinsic {
            intrinsic: Intrinsic::TraceId | Intrinsic::SpanId,
            of_parent: false,
        }
    )
}

/// Chooses among the spans of a slice. Of spans that are not chosen nothing is kept.
pub(crate) struct ExemplarCollector<'a> {
    aggregate: &'a MetricsAggregate,
    kind: StateKind,
    scale: f64,
    keys: Vec<Arc<dyn PhysicalExpr>>,
    key_kinds: &'a [KeyKind],
    value: Option<Arc<dyn PhysicalExpr>>,
    show: Show,
    start_ns: Arc<dyn PhysicalExpr>,
    duration: Arc<dyn PhysicalExpr>,
    trace_id: Arc<dyn PhysicalExpr>,
    span_id: Arc<dyn PhysicalExpr>,
    pub(crate) chosen: PartialExemplars,
}

/// Aggregated values of a batch.
enum AggregatedValues {
    Int(ArrayRef),
    Float(ArrayRef),
}

impl ExemplarCollector<'_> {
    /// Considers the spans of a batch.
    pub(crate) fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        let of = |expr| array(expr, batch);
        let int = |expr| -> Result<ArrayRef> { Ok(cast(&of(expr)?, &DataType::Int64)?) };
        let (starts, durations) = (int(&self.start_ns)?, int(&self.duration)?);
        let (trace_ids, span_ids) = (of(&self.trace_id)?, of(&self.span_id)?);
        let starts = starts.as_primitive::<Int64Type>();
        let durations = durations.as_primitive::<Int64Type>();
        let (trace_ids, span_ids) = (
            trace_ids.as_fixed_size_binary(),
            span_ids.as_fixed_size_binary(),
        );
        let values = self
            .value
            .as_ref()
            .map(|value| AggregatedValues::try_new(&of(value)?));
        let values = values.transpose()?;
        let mut rows = self.chosen.chosen.new_empty::<u32>();
        for (row, at) in (0..batch.num_rows()).zip(0_u32..) {
            let value = match &values {
                None => Number::Int(durations.value(row)),
                Some(values) => match values.get(row) {
                    Some(value) => value,
                    // It does not count.
                    None => continue,
                },
            };
            if self.bucket(value).is_err() || value.as_float().is_nan() {
                continue;
            }
            let mut key = CandidateKey {
                rank: value.as_float(),
                start_ns: starts.value(row),
                trace_id: TraceId::default(),
                span_id: SpanId::default(),
            };
            key.trace_id.0.copy_from_slice(trace_ids.value(row));
            key.span_id.0.copy_from_slice(span_ids.value(row));
            if self.chosen.chosen.wants(&key) {
                rows.offer(Candidate { key, content: at });
            }
        }
        self.keep(batch, values.as_ref(), rows.into_candidates().collect())
    }

    /// Offers spans with what they are shown with.
    fn keep(
        &mut self,
        batch: &RecordBatch,
        values: Option<&AggregatedValues>,
        rows: Vec<Candidate<u32>>,
    ) -> Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        let places = UInt32Array::from_iter_values(rows.iter().map(|row| row.content));
        let batch = take_record_batch(batch, &places)?;
        let columns = self.keys.iter().zip(self.key_kinds);
        let columns = columns.map(|(key, kind)| KeyColumn::try_new(*kind, &array(key, &batch)?));
        let columns = columns.collect::<Result<Vec<_>>>()?;
        let shown = self.show.rows(&batch)?;
        for (at, (Candidate { key, content }, shown)) in rows.into_iter().zip(shown).enumerate() {
            let group = columns.iter().map(|column| column.get(at));
            let mut group = group.collect::<Result<Vec<KeyValue<'_>>>>()?;
            let mut labels = base_labels(self.aggregate, &mut group);
            let place = usize::try_from(content).unwrap_or(usize::MAX);
            let value = values.and_then(|values| values.get(place));
            if let Some(value) = value
                && let Ok(Some(bucket)) = self.bucket(value)
            {
                labels.push(Label {
                    name: "__bucket".into(),
                    value: LabelValue::Float(bound(bucket) / self.scale),
                });
            }
            let is_histogram = self.is_histogram();
            let value = value.filter(|_| !is_histogram);
            let content = Content {
                labels,
                value: value.map(|value| value.as_float() / self.scale),
                attributes: labels_of(shown),
            };
            self.chosen.chosen.offer(Candidate { key, content });
        }
        let checked = self.chosen.check_memory();
        checked.map_err(|error| DataFusionError::External(Box::new(error)))
    }

    const fn is_histogram(&self) -> bool {
        matches!(self.aggregate.function, MetricsFunction::HistogramOverTime)
    }

    /// The bucket that the span is in, if the function has such; an error if it is in none, and so
    /// does not count.
    fn bucket(&self, value: Number) -> std::result::Result<Option<i32>, NotCounted> {
        if self.kind != StateKind::Log2 {
            return Ok(None);
        }
        let bucket = match value {
            Number::Int(value) | Number::Duration(value) => int_bucket(value),
            Number::Float(value) => float_bucket(value),
        };
        let bucket = bucket.ok_or(NotCounted)?;
        Ok(self.is_histogram().then_some(bucket))
    }
}

/// A span whose value the function leaves out.
struct NotCounted;

impl AggregatedValues {
    fn try_new(values: &ArrayRef) -> Result<Self> {
        Ok(if values.data_type().is_floating() {
            Self::Float(cast(values, &DataType::Float64)?)
        } else {
            Self::Int(cast(values, &DataType::Int64)?)
        })
    }

    fn get(&self, row: usize) -> Option<Number> {
        match self {
            Self::Int(values) if values.is_valid(row) => {
                Some(Number::Int(values.as_primitive::<Int64Type>().value(row)))
            }
            Self::Float(values) if values.is_valid(row) => Some(Number::Float(
                values.as_primitive::<Float64Type>().value(row),
            )),
            _ => None,
        }
    }
}

fn array(expr: &Arc<dyn PhysicalExpr>, batch: &RecordBatch) -> Result<ArrayRef> {
    expr.evaluate(batch)?.into_array(batch.num_rows())
}

fn labels_of(shown: Vec<(String, AttributeValue)>) -> Vec<Label> {
    let label = |(name, value): (String, _)| match value {
        AttributeValue::Scalar(value) => Some(Label {
            name: name.into(),
            value,
        }),
        AttributeValue::Array(_) => None,
    };
    shown.into_iter().filter_map(label).collect()
}
