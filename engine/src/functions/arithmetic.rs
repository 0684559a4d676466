//! `+ - * / % ^` as TraceQL defines them.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Float64Array, Int64Array};
use arrow::compute::kernels::numeric::neg_wrapping;
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::Expr;
use traceql::Dialect;
use traceql::ast::BinaryOp;

use super::Function;
use crate::error::{EngineError, EvaluationError};

/// Two integers: wrapping, division towards zero, division by zero is an error. In Tempo's dialect a
/// power has its operands swapped: `2 ^ 3` is 9.
pub(crate) fn on_ints(
    op: BinaryOp,
    lhs: Expr,
    rhs: Expr,
    expression: &str,
    dialect: Dialect,
) -> Expr {
    let expression = expression.to_owned();
    Function::call(
        "int_arithmetic",
        format!("{expression}, {}", dialect.as_str()),
        DataType::Int64,
        vec![lhs, rhs],
        move |args| {
            let (lhs, rhs) = (
                args[0].as_primitive::<Int64Type>(),
                args[1].as_primitive::<Int64Type>(),
            );
            let result: Result<Int64Array> = lhs
                .iter()
                .zip(rhs)
                .map(|pair| match pair {
                    (Some(lhs), Some(rhs)) => int_operation(op, lhs, rhs, dialect)
                        .ok_or_else(|| {
                            let expression = expression.clone();
                            let error = EngineError::Evaluation(EvaluationError::DivisionByZero {
                                expression,
                            });
                            DataFusionError::External(Box::new(error))
                        })
                        .map(Some),
                    _ => Ok(None),
                })
                .collect();
            result.map(|result| Arc::new(result) as ArrayRef)
        },
    )
}

/// Two numbers as floats.
pub(crate) fn on_floats(op: BinaryOp, lhs: Expr, rhs: Expr, expression: &str) -> Expr {
    Function::call(
        "float_arithmetic",
        expression.to_owned(),
        DataType::Float64,
        vec![lhs, rhs],
        move |args| {
            let (lhs, rhs) = (
                args[0].as_primitive::<Float64Type>(),
                args[1].as_primitive::<Float64Type>(),
            );
            let result: Float64Array = lhs
                .iter()
                .zip(rhs)
                .map(|pair| match pair {
                    (Some(lhs), Some(rhs)) => Some(float_operation(op, lhs, rhs)),
                    _ => None,
                })
                .collect();
            Ok(Arc::new(result) as ArrayRef)
        },
    )
}

/// `-value`, wrapping.
pub(crate) fn negate(value: Expr, value_type: DataType) -> Expr {
    Function::call("negate", "", value_type, vec![value], |args| {
        Ok(neg_wrapping(&args[0])?)
    })
}

/// The result; `None` for a division by zero.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "integer powers go through floats and saturate"
)]
pub(crate) fn int_operation(op: BinaryOp, lhs: i64, rhs: i64, dialect: Dialect) -> Option<i64> {
    match op {
        BinaryOp::Sub => Some(lhs.wrapping_sub(rhs)),
        BinaryOp::Mul => Some(lhs.wrapping_mul(rhs)),
        BinaryOp::Div => (rhs != 0).then(|| lhs.wrapping_div(rhs)),
        BinaryOp::Mod => (rhs != 0).then(|| lhs.wrapping_rem(rhs)),
        BinaryOp::Pow => {
            let (base, exponent) = match dialect {
                Dialect::Spandrel => (lhs, rhs),
                Dialect::Tempo => (rhs, lhs),
            };
            Some((base as f64).powf(exponent as f64) as i64)
        }
        _ => Some(lhs.wrapping_add(rhs)),
    }
}

/// The result, as IEEE 754 has it.
pub(crate) fn float_operation(op: BinaryOp, lhs: f64, rhs: f64) -> f64 {
    match op {
        BinaryOp::Sub => lhs - rhs,
        BinaryOp::Mul => lhs * rhs,
        BinaryOp::Div => lhs / rhs,
        BinaryOp::Mod => lhs % rhs,
        BinaryOp::Pow => lhs.powf(rhs),
        _ => lhs + rhs,
    }
}
