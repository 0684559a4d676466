//! A comparison lowered for one block.

use arrow::datatypes::SchemaRef;
use datafusion::catalog::Session;
use datafusion::error::Result;
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::logical_expr::{Expr, lit};
use storage::block::meta::BlockMeta;
use storage::schema::names;
use traceql::ast::Compare;

use super::columns::Compared;
use super::count::{Counter, PlaceOf};
use super::tally::Tally;
use crate::batch::Evaluation;
use crate::columns::column;
use crate::functions::check;
use crate::lower::Selected;
use crate::lower::layout::Layout;
use crate::lower::value::Predicate;

/// What is compared of the spans of a block, and with what.
#[derive(Debug)]
pub(crate) struct LoweredCompare {
    /// The values that spans are counted by.
    pub(crate) compared: Compared,
    /// Whether a span is of the selection, else it is of the baseline.
    pub(crate) selection: Predicate,
}

impl LoweredCompare {
    /// Lowers a comparison for a block and its layout.
    ///
    /// # Errors
    /// If the condition cannot be made an expression.
    pub(crate) fn lower(compare: &Compare, block: &BlockMeta, layout: &Layout<'_>) -> Result<Self> {
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
        Ok(Self {
            compared: Compared::of(block, layout)?,
            selection,
        })
    }

    /// What is evaluated on selected spans, besides their time.
    pub(crate) fn expressions(&self) -> impl Iterator<Item = &Expr> {
        self.compared.expressions().chain([&self.selection.expr])
    }

    /// A counter of spans of a schema, into a tally.
    ///
    /// # Errors
    /// If the schema lacks a column.
    pub(crate) fn counter(
        &self,
        selected: &Selected,
        schema: &SchemaRef,
        session: &dyn Session,
        tally: Tally,
        reservation: MemoryReservation,
    ) -> Result<Counter> {
        let evaluation = Evaluation::try_new(schema, session)?;
        let values = self.compared.values.iter();
        let values = values.map(|value| evaluation.of(&value.expr));
        let place = PlaceOf {
            time: evaluation.of(&selected.time)?,
            cursor: selected.arguments.cursor(),
            selection: evaluation.of(&self.selection.expr)?,
        };
        let values = values.collect::<Result<_>>()?;
        Ok(Counter::new(
            &self.compared,
            values,
            place,
            tally,
            reservation,
        ))
    }
}
