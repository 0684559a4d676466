//! Comparison of floats as IEEE 754 has it: NaN compares with nothing, and zeros of either sign are
//! equal. Arrow's own comparison orders all bit patterns, which is not what a query means.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray};
use arrow::datatypes::{DataType, Float64Type};
use datafusion::logical_expr::Expr;
use traceql::ast::BinaryOp;

use super::Function;

/// `lhs op rhs`; null where either is.
pub(crate) fn compare(op: BinaryOp, lhs: Expr, rhs: Expr) -> Expr {
    Function::call(
        "float_compare",
        op.to_string(),
        DataType::Boolean,
        vec![lhs, rhs],
        move |args| Ok(Arc::new(compare_arrays(op, &args[0], &args[1])) as ArrayRef),
    )
}

/// Compares two columns of floats.
pub(super) fn compare_arrays(op: BinaryOp, lhs: &ArrayRef, rhs: &ArrayRef) -> BooleanArray {
    let (lhs, rhs) = (
        lhs.as_primitive::<Float64Type>(),
        rhs.as_primitive::<Float64Type>(),
    );
    lhs.iter()
        .zip(rhs)
        .map(|pair| pair.0.zip(pair.1).map(|(lhs, rhs)| holds(op, lhs, rhs)))
        .collect()
}

#[expect(clippy::float_cmp, reason = "the language compares exactly")]
fn holds(op: BinaryOp, lhs: f64, rhs: f64) -> bool {
    match op {
        BinaryOp::NotEq => lhs != rhs,
        BinaryOp::Lt => lhs < rhs,
        BinaryOp::LtEq => lhs <= rhs,
        BinaryOp::Gt => lhs > rhs,
        BinaryOp::GtEq => lhs >= rhs,
        _ => lhs == rhs,
    }
}
