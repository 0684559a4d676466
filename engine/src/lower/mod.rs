//! A metrics plan to a DataFusion logical plan over one block.
//!
//! `Aggregate[by labels; range state] ← Filter ← Scan(spans)`, with types decided by what the block
//! holds; where whole traces matter, [`Spanset`](crate::spanset) stands in place of the filter.
//! Reading order: [`value`], [`layout`], [`nested_set`], [`expression`], [`scope`],
//! [`spansets`].

pub(crate) mod expression;
pub(crate) mod layout;
pub(crate) mod nested_set;
pub(crate) mod scope;
pub(crate) mod spansets;
pub(crate) mod value;

use std::collections::BTreeSet;

use arrow::datatypes::{DataType, SchemaRef};
use datafusion::catalog::Session;
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, lit, when};
use storage::block::meta::BlockMeta;
use storage::schema::names;
use traceql::ast::{
    Compare, FieldExpr, MetricsAggregate, MetricsFunction, MetricsStage, Pipeline, SpansetExpr,
};

use crate::aggregate::StateKind;
use crate::batch::Evaluation;
use crate::columns::{column, column_names, stored_columns};
use crate::compare::columns::Compared;
use crate::compare::count::{Counter, PlaceOf};
use crate::compare::tally::Tally;
use crate::exemplars::collect::Candidates;
use crate::functions::check;
use crate::functions::range_udaf::RangeArguments;
use crate::grid::Grid;
use crate::key::{Arrays, KeyKind, tag};
use crate::limit::MemoryLimit;
use crate::plan::{MetricsPlan, Selection};
use crate::spanset::derive::Derived;
use crate::spanset::node::SpansetNode;
use crate::spanset::program::Program;
use crate::spanset::traces::{TraceShape, TraceWindow};
use crate::types::Type;
use layout::Layout;
use value::{Predicate, Value, cast};

/// Name of the column of states in the result; the group keys stand before it.
const STATE: &str = "state";

/// A query lowered for one block.
#[derive(Debug)]
pub(crate) struct Lowered {
    source: Source,
    time: Expr,
    /// What is computed of the selected spans.
    pub(crate) stage: Stage,
    pub(crate) arguments: RangeArguments,
}

/// What is computed of selected spans.
#[derive(Debug)]
pub(crate) enum Stage {
    /// States by group.
    Aggregate {
        keys: Vec<Expr>,
        /// How each key column of the result is read.
        key_kinds: Vec<KeyKind>,
        value: Option<Expr>,
        kind: StateKind,
    },
    /// Counts by the values of all attributes.
    Compare {
        compared: Compared,
        /// Whether a span is of the selection.
        selection: Predicate,
    },
    /// Nothing: some of them are shown.
    Exemplars(Box<Candidates>),
}

/// How spans are selected.
#[derive(Debug)]
enum Source {
    /// By a condition, if there is any.
    Filter(Option<Predicate>),
    /// By a program over whole traces.
    Spansets {
        program: Program,
        shape: TraceShape,
        /// Columns that the scan reads.
        read: BTreeSet<String>,
        text: String,
    },
}

/// What is kept per series and interval to compute a function.
pub(crate) fn state_kind(aggregate: &MetricsAggregate, log2_quantiles: bool) -> StateKind {
    match &aggregate.function {
        MetricsFunction::Rate | MetricsFunction::CountOverTime => StateKind::Count,
        MetricsFunction::MinOverTime => StateKind::Min,
        MetricsFunction::MaxOverTime => StateKind::Max,
        MetricsFunction::AvgOverTime | MetricsFunction::SumOverTime => StateKind::Sum,
        MetricsFunction::HistogramOverTime => StateKind::Log2,
        MetricsFunction::QuantileOverTime { .. } if log2_quantiles => StateKind::Log2,
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
    let stage = match &plan.stage {
        MetricsStage::Aggregate(aggregate) => {
            Stage::aggregate(aggregate, plan.log2_quantiles, &layout)?
        }
        MetricsStage::Compare(compare) => Stage::compare(compare, block, &layout)?,
    };
    lower_before(stage, plan, grid, &layout, limit)
}

/// Lowers the choice of a plan's exemplars for one block.
pub(crate) fn lower_exemplars(
    plan: &MetricsPlan,
    aggregate: &MetricsAggregate,
    grid: &Grid,
    block: &BlockMeta,
    limit: MemoryLimit,
) -> Result<Lowered> {
    let layout = Layout::spans(block, plan.dialect);
    let candidates = Candidates::lower(plan, aggregate, &layout)?;
    let stage = Stage::Exemplars(Box::new(candidates));
    lower_before(stage, plan, grid, &layout, limit)
}

/// Lowers the selection of the spans that a stage looks at.
fn lower_before(
    stage: Stage,
    plan: &MetricsPlan,
    grid: &Grid,
    layout: &Layout<'_>,
    limit: MemoryLimit,
) -> Result<Lowered> {
    let (time, arguments) = time_and_grid(grid, limit);
    let used = || stage.expressions().chain([&time]);
    // Exemplars show what the query names, though spans were selected without looking at others.
    let looks_around = !Derived::among(column_names(used())).0.is_empty();
    let selection = match &plan.selection {
        Selection::Spans(filters) if looks_around => &Selection::Traces(pipeline_of(filters)),
        selection => selection,
    };
    let source = match selection {
        Selection::Spans(filters) => Source::Filter(predicate(filters, layout, &time, &arguments)?),
        Selection::Traces(pipeline) => {
            let program = spansets::lower_stages(&pipeline.stages, layout)?;
            let expressions = program.expressions.iter().map(|e| &e.expr);
            let (derived, mut read) = Derived::among(column_names(expressions.chain(used())));
            let shape = TraceShape {
                window: TraceWindow::Starts {
                    column: time_column(grid),
                    start: arguments.start,
                    end: arguments.end(),
                },
                derived,
                kinship: program.kinship(),
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
        time,
        stage,
        arguments,
    })
}

/// The pipeline that selects spans by some conditions.
fn pipeline_of(filters: &[FieldExpr]) -> Pipeline {
    let stage = |condition: &FieldExpr| {
        traceql::ast::Stage::Spansets(SpansetExpr::Filter {
            range: condition.range,
            condition: Some(condition.clone()),
        })
    };
    Pipeline {
        stages: filters.iter().map(stage).collect(),
    }
}

impl Stage {
    fn aggregate(
        aggregate: &MetricsAggregate,
        log2_quantiles: bool,
        layout: &Layout<'_>,
    ) -> Result<Self> {
        let kind = state_kind(aggregate, log2_quantiles);
        let (keys, key_kinds) = group_keys(aggregate, layout)?;
        let value = aggregated_value(aggregate, kind, layout)?;
        Ok(Self::Aggregate {
            keys,
            key_kinds,
            value,
            kind,
        })
    }

    fn compare(compare: &Compare, block: &BlockMeta, layout: &Layout<'_>) -> Result<Self> {
        let condition = match &compare.selection {
            Some(condition) => layout.predicate(condition)?,
            None => Predicate::infallible(lit(true)),
        };
        let (after, until) = compare.window_ns;
        let selection = if compare.window_ns == (0, 0) {
            condition
        } else {
            let start = column(names::START_NS);
            let inside = start.clone().gt(lit(after)).and(start.lt_eq(lit(until)));
            let Predicate { expr, can_fail } = condition;
            // The condition may fail outside, too.
            let expr = if can_fail {
                check::strict_logic(expr, inside, true)
            } else {
                expr.and(inside)
            };
            Predicate { expr, can_fail }
        };
        Ok(Self::Compare {
            compared: Compared::of(block, layout)?,
            selection,
        })
    }

    /// What is evaluated on selected spans, besides their time.
    fn expressions(&self) -> Box<dyn Iterator<Item = &Expr> + '_> {
        match self {
            Self::Aggregate { keys, value, .. } => Box::new(keys.iter().chain(value)),
            Self::Compare {
                compared,
                selection,
            } => Box::new(compared.expressions().chain([&selection.expr])),
            Self::Exemplars(candidates) => Box::new(candidates.expressions()),
        }
    }
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

/// The filters, one after the other, as one condition; `None` if it is always true.
///
/// A filter that can fail is evaluated on nothing but the spans of the window that the filters before
/// it let through: others must not make the query fail, wherever they are stored.
fn predicate(
    filters: &[FieldExpr],
    layout: &Layout<'_>,
    time: &Expr,
    grid: &RangeArguments,
) -> Result<Option<Predicate>> {
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
            Some(before) if can_fail => check::only_where(before, filter)?,
            Some(before) if fallible => check::strict_logic(before, filter, true),
            Some(before) => before.and(filter),
        });
    }
    let expr = match whole {
        Some(condition) if fallible => {
            let inside = check::in_window(time.clone(), grid.start, grid.end());
            Some(check::only_where(inside, condition)?)
        }
        Some(Expr::Literal(ScalarValue::Boolean(Some(true)), _)) => None,
        condition => condition,
    };
    Ok(expr.map(|expr| Predicate {
        expr,
        can_fail: fallible,
    }))
}

/// The keys of the groups, and how each is read.
pub(crate) fn group_keys(
    aggregate: &MetricsAggregate,
    layout: &Layout<'_>,
) -> Result<(Vec<Expr>, Vec<KeyKind>)> {
    let keys = aggregate.by.iter();
    keys.map(|by| Ok(group_key(layout.resolve(&by.attribute)?)))
        .collect()
}

/// What is aggregated, if it is more than a count; null on spans that do not count.
pub(crate) fn aggregated_value(
    aggregate: &MetricsAggregate,
    kind: StateKind,
    layout: &Layout<'_>,
) -> Result<Option<Expr>> {
    match &aggregate.argument {
        Some(argument) if kind.has_value() => {
            aggregated(&layout.resolve(&argument.attribute)?, kind).map(Some)
        }
        _ => Ok(None),
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
            (tag(pairs, arrays), KeyKind::Tagged)
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
            Source::Filter(Some(predicate)) => scan.filter(predicate.expr.clone())?,
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
        let Stage::Aggregate {
            keys, value, kind, ..
        } = &self.stage
        else {
            let used = column_names(self.used());
            let used = used.iter().map(|name| column(name));
            return builder.project(used)?.build();
        };
        let keys = keys.iter().enumerate();
        let keys = keys.map(|(index, key)| key.clone().alias(format!("key_{index}")));
        let state = self
            .arguments
            .call(*kind, self.time.clone(), value.clone())
            .alias(STATE);
        builder.aggregate(keys, [state])?.build()
    }

    /// The time of a span, in the unit of the grid.
    pub(crate) fn time(&self) -> &Expr {
        &self.time
    }

    /// The condition that selects spans by themselves, if there is any; `None` where spans are
    /// selected otherwise.
    pub(crate) fn filter(&self) -> Option<Option<&Expr>> {
        match &self.source {
            Source::Filter(predicate) => Some(predicate.as_ref().map(|filter| &filter.expr)),
            Source::Spansets { .. } => None,
        }
    }

    /// Whether the condition may fail on a span.
    pub(crate) fn filter_can_fail(&self) -> bool {
        matches!(&self.source, Source::Filter(Some(filter)) if filter.can_fail)
    }

    /// How the key columns of the result are read.
    pub(crate) fn key_kinds(&self) -> &[KeyKind] {
        match &self.stage {
            Stage::Aggregate { key_kinds, .. } => key_kinds,
            Stage::Compare { .. } | Stage::Exemplars(_) => &[],
        }
    }

    /// What exemplars are chosen of, if that is what is done.
    pub(crate) fn candidates(&self) -> Option<&Candidates> {
        match &self.stage {
            Stage::Exemplars(candidates) => Some(candidates),
            Stage::Aggregate { .. } | Stage::Compare { .. } => None,
        }
    }

    /// A counter of selected spans, if that is what the query does.
    pub(crate) fn counter(
        &self,
        schema: &SchemaRef,
        session: &dyn Session,
        tally: Tally,
        reservation: MemoryReservation,
    ) -> Result<Option<Counter>> {
        let Stage::Compare {
            compared,
            selection,
        } = &self.stage
        else {
            return Ok(None);
        };
        let evaluation = Evaluation::try_new(schema, session)?;
        let values = compared.values.iter();
        let values = values.map(|value| evaluation.of(&value.expr));
        let place = PlaceOf {
            time: evaluation.of(&self.time)?,
            cursor: self.arguments.cursor(),
            selection: evaluation.of(&selection.expr)?,
        };
        let values = values.collect::<Result<_>>()?;
        Ok(Some(Counter::new(
            compared,
            values,
            place,
            tally,
            reservation,
        )))
    }

    /// Names of the columns that the query reads.
    pub(crate) fn columns(&self) -> BTreeSet<String> {
        stored_columns(match &self.source {
            Source::Filter(predicate) => {
                let filter = predicate.iter().map(|filter| &filter.expr);
                column_names(filter.chain(self.used()))
            }
            Source::Spansets { read, .. } => read.clone(),
        })
    }

    /// What is evaluated on selected spans.
    fn used(&self) -> impl Iterator<Item = &Expr> {
        self.stage.expressions().chain([&self.time])
    }
}
