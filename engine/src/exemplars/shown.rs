//! What spans are shown with, out of their rows.

use arrow::array::{ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use datafusion::catalog::Session;
use datafusion::error::Result;
use datafusion::logical_expr::Expr;
use storage::ids::{SpanId, TraceId};
use storage::schema::names;
use traceql::ast::{Attribute, Intrinsic, MetricsAggregate};

use super::candidate::ShownSpan;
use crate::batch::{Evaluation, named};
use crate::columns::column;
use crate::key::{KeyColumn, KeyKind, KeyValue};
use crate::lower::LoweredAggregate;
use crate::lower::layout::Layout;
use crate::partial::base_labels;
use crate::plan::MetricsPlan;
use crate::series::{AttributeValue, Label};
use crate::show::Shown;

/// What spans of one block are shown with: the labels of their series, and what the query names.
#[derive(Debug)]
pub(crate) struct LoweredExemplar {
    keys: Vec<Expr>,
    key_kinds: Vec<KeyKind>,
    /// What the query names besides the keys.
    shown: Shown,
    columns: [Expr; 3],
}

/// Columns of every span that is shown, besides those that the query names.
const COLUMNS: [&str; 3] = [names::START_NS, names::TRACE_ID, names::SPAN_ID];

impl LoweredExemplar {
    /// Lowers what a query's exemplars show for the block of a layout.
    ///
    /// # Errors
    /// If an attribute cannot be made an expression.
    pub(crate) fn lower(
        plan: &MetricsPlan,
        aggregate: &MetricsAggregate,
        layout: &Layout<'_>,
    ) -> Result<Self> {
        let is_key = |attribute: &Attribute| {
            let mut keys = aggregate.by.iter();
            keys.any(|by| by.attribute == *attribute)
        };
        let mut named = plan.attributes();
        named.retain(|attribute| !is_id(attribute) && !is_key(attribute));
        let LoweredAggregate {
            keys, key_kinds, ..
        } = LoweredAggregate::lower(aggregate, plan.log2_quantiles, layout)?;
        Ok(Self {
            keys,
            key_kinds,
            shown: Shown::lower(&named, layout, Attribute::canonical)?,
            columns: COLUMNS.map(column),
        })
    }

    /// What is evaluated on the rows.
    pub(crate) fn expressions(&self) -> impl Iterator<Item = &Expr> {
        let shown = self.shown.expressions();
        self.keys.iter().chain(shown).chain(&self.columns)
    }

    /// What each row is shown with.
    ///
    /// # Errors
    /// If the batch lacks a column, or an expression fails on a row.
    pub(crate) fn rows(
        &self,
        aggregate: &MetricsAggregate,
        batch: &RecordBatch,
        session: &dyn Session,
    ) -> Result<Vec<ShownSpan>> {
        let schema = batch.schema();
        let evaluation = Evaluation::try_new(&schema, session)?;
        let array = |expr: &Expr| -> Result<ArrayRef> {
            let expr = evaluation.of(expr)?;
            expr.evaluate(batch)?.into_array(batch.num_rows())
        };
        let keys = self.keys.iter().zip(&self.key_kinds);
        let keys = keys.map(|(key, kind)| KeyColumn::try_new(*kind, &array(key)?));
        let keys = keys.collect::<Result<Vec<_>>>()?;
        let starts = cast(named(batch, names::START_NS)?, &DataType::Int64)?;
        let starts = starts.as_primitive::<Int64Type>();
        let trace_ids = named(batch, names::TRACE_ID)?.as_fixed_size_binary();
        let span_ids = named(batch, names::SPAN_ID)?.as_fixed_size_binary();
        let shown = self.shown.physical(&schema, session)?.rows(batch)?;
        let rows = shown.into_iter().enumerate().map(|(row, shown)| {
            let key = keys.iter().map(|column| column.get(row));
            let mut key = key.collect::<Result<Vec<KeyValue<'_>>>>()?;
            let mut attributes = labels_of(shown);
            for ((by, column), value) in aggregate.by.iter().zip(&keys).zip(&key) {
                // An array has no form as a label.
                if is_id(&by.attribute) || column.elements(row)?.is_some() {
                    continue;
                }
                let name = by.attribute.canonical().into();
                attributes.extend(value.label().map(|value| Label { name, value }));
            }
            let mut span = ShownSpan {
                start_ns: starts.value(row),
                trace_id: TraceId::default(),
                span_id: SpanId::default(),
                labels: base_labels(aggregate, &mut key),
                attributes,
            };
            span.trace_id.0.copy_from_slice(trace_ids.value(row));
            span.span_id.0.copy_from_slice(span_ids.value(row));
            Ok(span)
        });
        rows.collect()
    }
}

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
