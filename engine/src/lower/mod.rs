//! A metrics plan to a DataFusion logical plan over one block.
//!
//! `Aggregate[by labels; range state] ← Filter ← Scan(spans)`, with types decided by what the block
//! holds; where whole traces matter, [`Spanset`](crate::spanset) stands in place of the filter.
//! Reading order: [`value`], [`layout`], [`expression`], [`scope`], [`spansets`].

pub(crate) mod expression;
pub(crate) mod layout;
pub(crate) mod scope;
pub(crate) mod spansets;
pub(crate) mod value;

use std::collections::BTreeSet;

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, lit, when};
use storage::block::meta::BlockMeta;
use storage::schema::names;
use traceql::ast::{FieldExpr, MetricsFunction};

use crate::aggregate::StateKind;
use crate::functions::group_key::Arrays;
use crate::functions::range_udaf::RangeArguments;
use crate::functions::{check, group_key};
use crate::grid::Grid;
use crate::limit::MemoryLimit;
use crate::plan::{MetricsPlan, Selection};
use crate::spanset::derive::Derived;
use crate::spanset::node::SpansetNode;
use crate::spanset::program::Program;
use crate::spanset::traces::{TraceShape, TraceWindow};
use layout::{Layout, RESOLVED_PARENT_ID, column};
use value::{Predicate, Type, Value, cast};

/// Name of the column of states in the result; the group keys stand before it.
const STATE: &str = "state";

/// A query lowered for one block.
#[derive(Debug)]
pub(crate) struct Lowered {
    source: Source,
    keys: Vec<Expr>,
    /// How each key column of the result is read.
    pub(crate) key_kinds: Vec<KeyKind>,
    time: Expr,
    value: Option<Expr>,
    kind: StateKind,
    arguments: RangeArguments,
}

/// How spans are selected.
#[derive(Debug)]
enum Source {
    /// By a condition, if there is any.
    Filter(Option<Expr>),
    /// By a program over whole traces.
    Spansets {
        program: Program,
        shape: TraceShape,
        /// Columns that the scan reads.
        read: BTreeSet<String>,
        text: String,
    },
}

/// How a group key is encoded in a column of the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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
    let layout = Layout::spans(block, plan.dialect);
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
    let used = || keys.iter().chain([&time]).chain(&value);
    let source = match &plan.selection {
        Selection::Spans(filters) => {
            Source::Filter(predicate(filters, &layout, &time, &arguments)?)
        }
        Selection::Traces(pipeline) => {
            let program = spansets::lower_stages(&pipeline.stages, &layout)?;
            let expressions = program.expressions.iter().map(|e| &e.expr);
            let (derived, mut read) = Derived::among(column_names(expressions.chain(used())));
            let shape = TraceShape {
                window: TraceWindow::Starts {
                    column: time_column(grid),
                    start: arguments.start,
                    end: arguments.end(),
                },
                derived,
                structural: program.is_structural(),
            };
            read.extend(shape.columns().into_iter().map(str::to_owned));
            Source::Spansets {
                program,
                shape,
                read,
                text: pipeline.to_string(),
            }
        }
    };
    Ok(Lowered {
        source,
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
    let name = time_column(grid);
    let unit_ns = if name == names::START_S {
        1_000_000_000
    } else {
        1
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

fn time_column(grid: &Grid) -> &'static str {
    if grid.is_whole_seconds() {
        names::START_S
    } else {
        names::START_NS
    }
}

fn predicate(
    filters: &[FieldExpr],
    layout: &Layout<'_>,
    time: &Expr,
    grid: &RangeArguments,
) -> Result<Option<Expr>> {
    let mut fallible = false;
    let mut whole: Option<Expr> = None;
    for filter in filters {
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
            check::only_in_window(condition, time.clone(), grid.start, grid.end()).map(Some)
        }
        Some(Expr::Literal(ScalarValue::Boolean(Some(true)), _)) => Ok(None),
        condition => Ok(condition),
    }
}

/// The key of a series. Every array is shown as the same label.
fn group_key(value: Value) -> (Expr, KeyKind) {
    key_of(value, Arrays::Alike)
}

/// The key of a spanset.
fn spanset_key(value: Value) -> (Expr, KeyKind) {
    key_of(value, Arrays::ByContent)
}

fn key_of(value: Value, arrays: Arrays) -> (Expr, KeyKind) {
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
            (group_key::tag(pairs, arrays), KeyKind::Tagged)
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
    /// The logical plan over a scan of the block's spans.
    pub(crate) fn logical_plan(&self, scan: LogicalPlanBuilder) -> Result<LogicalPlan> {
        let builder = match &self.source {
            Source::Filter(None) => scan,
            Source::Filter(Some(predicate)) => scan.filter(predicate.clone())?,
            Source::Spansets {
                program,
                shape,
                read,
                text,
            } => {
                let spans = scan
                    .project(read.iter().map(|name| column(name)))?
                    .build()?;
                let used = column_names(self.used());
                let node = SpansetNode::plan(
                    spans,
                    program.clone(),
                    shape.clone(),
                    text.clone(),
                    |name| used.contains(name),
                )?;
                LogicalPlanBuilder::from(node)
            }
        };
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
        let mut names = match &self.source {
            Source::Filter(predicate) => column_names(predicate.iter().chain(self.used())),
            Source::Spansets { read, .. } => read.clone(),
        };
        if names.remove(RESOLVED_PARENT_ID) {
            names.extend([names::SPAN_ID, names::PARENT_ROW, names::PARENT_ID].map(str::to_owned));
        }
        names
    }

    /// What is evaluated on selected spans.
    fn used(&self) -> impl Iterator<Item = &Expr> {
        self.keys.iter().chain([&self.time]).chain(&self.value)
    }
}

/// Names of the columns that some expressions refer to.
pub(crate) fn column_names<'a>(exprs: impl Iterator<Item = &'a Expr>) -> BTreeSet<String> {
    let names = |expr: &Expr| {
        let columns = expr.column_refs().into_iter().map(|c| c.name.clone());
        columns.collect::<Vec<_>>()
    };
    exprs.flat_map(names).collect()
}
