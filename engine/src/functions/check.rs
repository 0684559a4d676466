//! Functions that fail where a span's value has the wrong type.
//!
//! A condition that can fail is evaluated on every span of the query's window that the filters before
//! it let through, and never cut short, so that whether a query fails does not depend on how its
//! spans are stored.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Int32Array, Int64Array, new_null_array,
};
use arrow::compute::{is_not_null, or};
use arrow::datatypes::{DataType, Int64Type};
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{Expr, lit, when};

use super::Function;
use crate::error::{EngineError, EvaluationError};

pub(super) fn fail<T>(error: EvaluationError) -> Result<T> {
    Err(DataFusionError::External(Box::new(
        EngineError::Evaluation(error),
    )))
}

/// A boolean that fails where it is null.
pub(crate) fn require_bool(value: Expr, expression: &str) -> Expr {
    let expression = expression.to_owned();
    Function::call(
        "require_bool",
        expression.clone(),
        DataType::Boolean,
        vec![value],
        move |args| {
            if args[0].null_count() > 0
                || *args[0].data_type() == DataType::Null && !args[0].is_empty()
            {
                return fail(EvaluationError::NotBoolean {
                    expression: expression.clone(),
                });
            }
            Ok(Arc::clone(&args[0]))
        },
    )
}

/// Whether any of `values` is present, evaluating all of them.
pub(crate) fn any_present(values: Vec<Expr>) -> Expr {
    let arguments = [lit(ScalarValue::Int64(None))]
        .into_iter()
        .chain(values)
        .collect();
    Function::call("any_present", "", DataType::Boolean, arguments, |args| {
        let rows = args.first().map_or(0, |column| column.len());
        Ok(Arc::new(presence(args.iter().map(AsRef::as_ref), rows)?) as ArrayRef)
    })
}

/// Rows on which some column has a value.
pub(super) fn presence<'a>(
    columns: impl Iterator<Item = &'a dyn Array>,
    rows: usize,
) -> Result<BooleanArray> {
    let mut present = BooleanArray::from(vec![false; rows]);
    for column in columns {
        present = or(&present, &is_not_null(column)?)?;
    }
    Ok(present)
}

/// Fails where both are present; null everywhere else.
pub(crate) fn refuse_both(lhs: Expr, rhs: Expr, expression: &str) -> Expr {
    let expression = expression.to_owned();
    Function::call(
        "refuse_array",
        expression.clone(),
        DataType::Boolean,
        vec![lhs, rhs],
        move |args| {
            let (lhs, rhs) = (is_not_null(&args[0])?, is_not_null(&args[1])?);
            if lhs
                .iter()
                .zip(&rhs)
                .any(|pair| pair == (Some(true), Some(true)))
            {
                return fail(EvaluationError::ArrayOperand {
                    expression: expression.clone(),
                });
            }
            Ok(new_null_array(&DataType::Boolean, args[0].len()))
        },
    )
}

/// `lhs && rhs` or `lhs || rhs`, where null counts as false, evaluating both on every row.
pub(crate) fn strict_logic(lhs: Expr, rhs: Expr, conjunction: bool) -> Expr {
    let name = if conjunction {
        "and_strict"
    } else {
        "or_strict"
    };
    Function::call(name, "", DataType::Boolean, vec![lhs, rhs], move |args| {
        let truth = |array: &ArrayRef, row: usize| {
            let array = array.as_boolean();
            array.is_valid(row) && array.value(row)
        };
        let result: BooleanArray = (0..args[0].len())
            .map(|row| {
                let (lhs, rhs) = (truth(&args[0], row), truth(&args[1], row));
                Some(if conjunction { lhs && rhs } else { lhs || rhs })
            })
            .collect();
        Ok(Arc::new(result) as ArrayRef)
    })
}

/// False, after evaluating the arguments for the sake of their failures.
pub(crate) fn never(arguments: Vec<Expr>) -> Expr {
    Function::call("never", "", DataType::Boolean, arguments, |args| {
        Ok(Arc::new(BooleanArray::from(vec![false; args[0].len()])) as ArrayRef)
    })
}

/// Whether a time lies in `(start, end]`.
pub(crate) fn in_window(time: Expr, start: i64, end: i64) -> Expr {
    Function::call(
        "in_window",
        format!("{start}, {end}"),
        DataType::Boolean,
        vec![time],
        move |args| {
            let times: &Int64Array = args[0].as_primitive::<Int64Type>();
            let inside: BooleanArray = times
                .iter()
                .map(|t| t.map(|t| t > start && t <= end))
                .collect();
            Ok(Arc::new(inside) as ArrayRef)
        },
    )
}

/// `condition` where `holds` is true, false elsewhere, where it is not evaluated.
pub(crate) fn only_where(holds: Expr, condition: Expr) -> Result<Expr> {
    // A boolean CASE would be rewritten to AND and OR, which may evaluate the condition anyway.
    let truth = Function::call("truth", "", DataType::Int32, vec![condition], |args| {
        let truth = args[0]
            .as_boolean()
            .iter()
            .map(|truth| Some(i32::from(truth == Some(true))));
        Ok(Arc::new(truth.collect::<Int32Array>()) as ArrayRef)
    });
    Ok(when(holds, truth).otherwise(lit(0_i32))?.eq(lit(1_i32)))
}
