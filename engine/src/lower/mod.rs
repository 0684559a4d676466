//! A metrics plan to a DataFusion logical plan over one block.
//!
//! `Aggregate[by labels; range state] ← Filter ← Scan(spans)`, with types decided by what the block
//! holds. Reading order: [`value`], [`layout`], [`expression`], [`scope`].

pub(crate) mod expression;
pub(crate) mod layout;
pub(crate) mod scope;
pub(crate) mod value;

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::datasource::TableProvider;
use datafusion::datasource::provider_as_source;
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, lit, when};
use storage::block::meta::BlockMeta;
use storage::schema::names;
use traceql::ast::MetricsFunction;

use crate::aggregate::StateKind;
use crate::functions::range_udaf::RangeArguments;
use crate::functions::{check, group_key};
use crate::grid::Grid;
use crate::limit::MemoryLimit;
use crate::plan::MetricsPlan;
use layout::{Layout, RESOLVED_PARENT_ID, column};
use value::{Predicate, Type, Value, cast};

/// Name of the column of states in the result; the group keys stand before it.
const STATE: &str = "state";

/// A query lowered for one block.
#[derive(Debug)]
pub(crate) struct Lowered {
    predicate: Option<Expr>,
    keys: Vec<Expr>,
    /// How each key column of the result is read.
    pub(crate) key_kinds: Vec<KeyKind>,
    time: Expr,
    value: Option<Expr>,
    kind: StateKind,
    arguments: RangeArguments,
}

/// How a group key is encoded in a column of the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyKind {
    /// Never present.
    Nil,
    /// A column of one type.
    Typed(Type),
    /// Text that tells type and value apart.
    Tagged,
}

/// What is kept per series and interval to compute a function.
pub(crate) fn state_kind(plan: &MetricsPlan) -> StateKind {
    match &plan.aggregate.function {
        MetricsFunction::Rate | MetricsFunction::CountOverTime => StateKind::Count,
        MetricsFunction::MinOverTime => StateKind::Min,
        MetricsFunction::MaxOverTime => StateKind::Max,
        MetricsFunction::AvgOverTime | MetricsFunction::SumOverTime => StateKind::Sum,
        MetricsFunction::HistogramOverTime => StateKind::Log2,
        MetricsFunction::QuantileOverTime { .. } if plan.log2_quantiles => StateKind::Log2,
        MetricsFunction::QuantileOverTime { .. } => StateKind::Sketch,
    }
}

/// Lowers a plan for one block.
pub(crate) fn lower(
    plan: &MetricsPlan,
    grid: &Grid,
    block: &BlockMeta,
    limit: MemoryLimit,
) -> Result<Lowered> {
    let layout = Layout::spans(block);
    let (time, arguments) = time_and_grid(grid, limit);
    let kind = state_kind(plan);
    let mut keys = Vec::new();
    let mut key_kinds = Vec::new();
    for by in &plan.aggregate.by {
        let (key, key_kind) = group_key(layout.resolve(&by.attribute)?);
        keys.push(key);
        key_kinds.push(key_kind);
    }
    let value = match &plan.aggregate.argument {
        Some(argument) if kind.has_value() => {
            Some(aggregated(&layout.resolve(&argument.attribute)?, kind)?)
        }
        _ => None,
    };
    let predicate = predicate(plan, &layout, &time, &arguments)?;
    Ok(Lowered {
        predicate,
        keys,
        key_kinds,
        time,
        value,
        kind,
        arguments,
    })
}

/// The narrowest time column that decides intervals exactly, and the grid in its unit.
fn time_and_grid(grid: &Grid, limit: MemoryLimit) -> (Expr, RangeArguments) {
    let (name, unit_ns) = if grid.is_whole_seconds() {
        (names::START_S, 1_000_000_000)
    } else {
        (names::START_NS, 1)
    };
    let (start, step) = (grid.start_ns / unit_ns, grid.step_ns / unit_ns);
    (
        column(name),
        RangeArguments {
            start,
            step,
            intervals: grid.intervals,
            limit,
        },
    )
}

fn predicate(
    plan: &MetricsPlan,
    layout: &Layout<'_>,
    time: &Expr,
    grid: &RangeArguments,
) -> Result<Option<Expr>> {
    let mut fallible = false;
    let mut whole: Option<Expr> = None;
    for filter in &plan.filters {
        let Predicate {
            expr: filter,
            can_fail,
        } = layout.predicate(filter)?;
        fallible |= can_fail;
        whole = Some(match whole {
            None => filter,
            Some(before) if fallible => check::strict_logic(before, filter, true),
            Some(before) => before.and(filter),
        });
    }
    match whole {
        // A span outside the window must not make the query fail, wherever it is stored.
        Some(condition) if fallible => {
            let end = grid.start + grid.step * i64::from(grid.intervals);
            check::only_in_window(condition, time.clone(), grid.start, end).map(Some)
        }
        Some(Expr::Literal(ScalarValue::Boolean(Some(true)), _)) => Ok(None),
        condition => Ok(condition),
    }
}

fn group_key(value: Value) -> (Expr, KeyKind) {
    match value.alternatives.as_slice() {
        [] => (lit(ScalarValue::Utf8(None)), KeyKind::Nil),
        [only] if only.value_type.element().is_none() => {
            (only.expr.clone(), KeyKind::Typed(only.value_type))
        }
        _ => {
            let pairs = value
                .alternatives
                .into_iter()
                .map(|a| (a.value_type, a.expr))
                .collect();
            (group_key::tag(pairs), KeyKind::Tagged)
        }
    }
}

/// The numbers that are aggregated: integers where there are only such, else floats.
fn aggregated(value: &Value, kind: StateKind) -> Result<Expr> {
    Ok(match value.numbers() {
        (None, None) => lit(ScalarValue::Int64(None)),
        (Some(int), None) => int,
        (None, Some(float)) => float,
        (Some(int), Some(float)) => {
            // Integers below 2 are in no bucket, floats between 0 and 2 are.
            let int = if kind == StateKind::Log2 {
                when(int.clone().gt_eq(lit(2_i64)), int).otherwise(lit(ScalarValue::Int64(None)))?
            } else {
                int
            };
            value::either(Type::Float, cast(int, DataType::Float64), float)
        }
    })
}

impl Lowered {
    /// The logical plan over a table of the block's spans.
    pub(crate) fn logical_plan(&self, table: Arc<dyn TableProvider>) -> Result<LogicalPlan> {
        let mut builder = LogicalPlanBuilder::scan("spans", provider_as_source(table), None)?;
        if let Some(predicate) = &self.predicate {
            builder = builder.filter(predicate.clone())?;
        }
        let keys = self
            .keys
            .iter()
            .enumerate()
            .map(|(index, key)| key.clone().alias(format!("key_{index}")));
        let state = self
            .arguments
            .call(self.kind, self.time.clone(), self.value.clone())
            .alias(STATE);
        builder.aggregate(keys, [state])?.build()
    }

    /// Names of the columns that the query reads.
    pub(crate) fn columns(&self) -> BTreeSet<String> {
        let exprs = self
            .predicate
            .iter()
            .chain(&self.keys)
            .chain([&self.time])
            .chain(&self.value);
        let mut names: BTreeSet<String> = exprs
            .flat_map(|expr| {
                expr.column_refs()
                    .into_iter()
                    .map(|c| c.name.clone())
                    .collect::<Vec<_>>()
            })
            .collect();
        if names.remove(RESOLVED_PARENT_ID) {
            names.extend([names::SPAN_ID, names::PARENT_ROW, names::PARENT_ID].map(str::to_owned));
        }
        names
    }
}
