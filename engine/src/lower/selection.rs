//! Which spans of a block a metrics query selects, without a word about what becomes of them.

use std::collections::BTreeSet;

use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};
use storage::schema::names;
use traceql::ast::FieldExpr;

use super::layout::Layout;
use super::spansets;
use super::value::Predicate;
use crate::columns::{column, column_names, stored_columns};
use crate::functions::check;
use crate::functions::range_udaf::RangeArguments;
use crate::grid::Grid;
use crate::limit::MemoryLimit;
use crate::plan::{MetricsPlan, Selection};
use crate::spanset::derive::Derived;
use crate::spanset::node::SpansetNode;
use crate::spanset::program::Program;
use crate::spanset::traces::{TraceShape, TraceWindow};

/// The spans of one block that a query selects, and the intervals that they are counted in.
#[derive(Debug)]
pub(crate) struct Selected {
    source: Source,
    /// Names of the columns of what is evaluated on the spans, their time among it.
    used: BTreeSet<String>,
    /// The start of a span, in the unit of the grid.
    pub(crate) time: Expr,
    /// The grid, in the unit of the block's column of times.
    pub(crate) arguments: RangeArguments,
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

impl Selected {
    /// Lowers the selection of a plan for the block of a layout. `used` is what will be evaluated on
    /// the spans, besides their time.
    ///
    /// # Errors
    /// If a condition cannot be made an expression.
    pub(crate) fn lower<'e>(
        plan: &MetricsPlan,
        grid: &Grid,
        layout: &Layout<'_>,
        limit: MemoryLimit,
        used: impl Iterator<Item = &'e Expr>,
    ) -> Result<Self> {
        let (time, arguments) = time_and_grid(grid, limit);
        let mut used = column_names(used);
        used.extend(column_names([&time].into_iter()));
        let source = match &plan.selection {
            Selection::Spans(filters) => {
                Source::Filter(predicate(filters, layout, &time, &arguments)?)
            }
            Selection::Traces(pipeline) => {
                let program = spansets::lower_stages(&pipeline.stages, layout)?;
                let expressions = program.expressions.iter().map(|e| &e.expr);
                let mut named = column_names(expressions);
                named.extend(used.iter().cloned());
                let (derived, mut read) = Derived::among(named);
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
        Ok(Self {
            source,
            used,
            time,
            arguments,
        })
    }

    /// The selected spans of a scan of the block, as rows that have the columns of what is `used`.
    ///
    /// # Errors
    /// If the scan lacks a column.
    pub(crate) fn rows(&self, scan: LogicalPlanBuilder) -> Result<LogicalPlanBuilder> {
        match &self.source {
            Source::Filter(None) => Ok(scan),
            Source::Filter(Some(predicate)) => scan.filter(predicate.expr.clone()),
            Source::Spansets {
                program,
                shape,
                read,
                text,
            } => {
                let spans = scan
                    .project(read.iter().map(|name| column(name)))?
                    .build()?;
                let node = SpansetNode::plan(
                    spans,
                    program.clone(),
                    shape.clone(),
                    text.clone(),
                    |name| self.used.contains(name),
                )?;
                Ok(LogicalPlanBuilder::from(node))
            }
        }
    }

    /// As [`Self::rows`], with no other columns than those.
    ///
    /// # Errors
    /// If the scan lacks a column.
    pub(crate) fn only_used(&self, scan: LogicalPlanBuilder) -> Result<LogicalPlan> {
        let columns = self.used.iter().map(|name| column(name));
        self.rows(scan)?.project(columns)?.build()
    }

    /// The condition that selects spans by themselves, if there is any; `None` where spans are
    /// selected otherwise.
    pub(crate) fn condition(&self) -> Option<Option<&Expr>> {
        match &self.source {
            Source::Filter(predicate) => Some(predicate.as_ref().map(|filter| &filter.expr)),
            Source::Spansets { .. } => None,
        }
    }

    /// Whether the condition may fail on a span.
    pub(crate) fn can_fail(&self) -> bool {
        matches!(&self.source, Source::Filter(Some(filter)) if filter.can_fail)
    }

    /// Names of the columns of the block that are read.
    pub(crate) fn columns(&self) -> BTreeSet<String> {
        stored_columns(match &self.source {
            Source::Filter(predicate) => {
                let mut read = column_names(predicate.iter().map(|filter| &filter.expr));
                read.extend(self.used.iter().cloned());
                read
            }
            Source::Spansets { read, .. } => read.clone(),
        })
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
