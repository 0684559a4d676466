//! What is aggregated, and by what.

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, lit, when};
use traceql::ast::MetricsAggregate;

use super::keys::group_key;
use super::layout::Layout;
use super::value::{Value, cast, either};
use crate::aggregate::StateKind;
use crate::key::KeyKind;
use crate::types::Type;

/// An aggregate lowered for one block.
#[derive(Debug)]
pub(crate) struct LoweredAggregate {
    /// The keys of groups.
    pub(crate) keys: Vec<Expr>,
    /// How each key column of the result is read.
    pub(crate) key_kinds: Vec<KeyKind>,
    /// What is aggregated, if it is more than a count; null on spans that do not count.
    pub(crate) value: Option<Expr>,
    /// What is kept of it.
    pub(crate) kind: StateKind,
}

impl LoweredAggregate {
    /// Lowers an aggregate for the block of a layout. With `log2_quantiles` quantiles are estimated
    /// from power-of-two buckets.
    ///
    /// # Errors
    /// If an attribute cannot be made an expression.
    pub(crate) fn lower(
        aggregate: &MetricsAggregate,
        log2_quantiles: bool,
        layout: &Layout<'_>,
    ) -> Result<Self> {
        let kind = StateKind::of(&aggregate.function, log2_quantiles);
        let keys = aggregate.by.iter();
        let keys = keys.map(|by| Ok(group_key(layout.resolve(&by.attribute)?)));
        let (keys, key_kinds) = keys.collect::<Result<_>>()?;
        let value = match &aggregate.argument {
            Some(argument) if kind.has_value() => {
                Some(aggregated(&layout.resolve(&argument.attribute)?, kind)?)
            }
            _ => None,
        };
        Ok(Self {
            keys,
            key_kinds,
            value,
            kind,
        })
    }

    /// What is evaluated on selected spans, besides their time.
    pub(crate) fn expressions(&self) -> impl Iterator<Item = &Expr> {
        self.keys.iter().chain(&self.value)
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
            either(Type::Float, cast(int, DataType::Float64), float)
        }
    })
}
