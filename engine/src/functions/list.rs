//! Comparisons of an array attribute with a scalar.

use std::sync::Arc;

use ::regex::Regex;
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use arrow::compute::{cast, kernels::cmp};
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use datafusion::error::Result;
use datafusion::logical_expr::Expr;
use traceql::ast::BinaryOp;

use super::regex::match_array;
use super::{Function, float};

/// `array op scalar`: for `!=` true if **no** element equals the scalar, for any other comparison
/// true if **any** element satisfies it. Null where either side is null.
///
/// Both sides are compared as `element_type`.
pub(crate) fn compare(array: Expr, op: BinaryOp, scalar: Expr, element_type: &DataType) -> Expr {
    let element_type = element_type.clone();
    Function::call(
        "array_compare",
        format!("{op:?}"),
        DataType::Boolean,
        vec![array, scalar],
        move |args| {
            let lists = args[0].as_list::<i32>();
            let elements = cast(lists.values(), &element_type)?;
            // The scalar of each list's row, once per element.
            let mut rows = Vec::with_capacity(elements.len());
            for (row, pair) in (0_u64..).zip(lists.offsets().windows(2)) {
                rows.extend(std::iter::repeat_n(
                    row,
                    usize::try_from(pair[1] - pair[0]).unwrap_or_default(),
                ));
            }
            let first = lists.offsets().first().copied().unwrap_or_default();
            let first = usize::try_from(first).unwrap_or_default();
            let elements = elements.slice(first, rows.len());
            let scalar = cast(&args[1], &element_type)?;
            let scalars =
                arrow::compute::take(&scalar, &arrow::array::UInt64Array::from(rows), None)?;
            let hits = compare_arrays(op, &elements, &scalars)?;
            let any = reduce_any(lists, &hits);
            let negated = op == BinaryOp::NotEq;
            let result: BooleanArray = any
                .into_iter()
                .enumerate()
                .map(|(row, any)| {
                    (lists.is_valid(row) && args[1].is_valid(row)).then_some(any != negated)
                })
                .collect();
            Ok(Arc::new(result) as ArrayRef)
        },
    )
}

/// `array =~ pattern` (any element matches) or `array !~ pattern` (none does).
pub(crate) fn matches(array: Expr, regex: &Regex, negated: bool) -> Expr {
    let name = if negated {
        "array_not_regex"
    } else {
        "array_regex"
    };
    let regex = regex.clone();
    Function::call(
        name,
        regex.as_str().to_owned(),
        DataType::Boolean,
        vec![array],
        move |args| {
            let lists = args[0].as_list::<i32>();
            let first = lists.offsets().first().copied().unwrap_or_default();
            let length = lists.offsets().last().copied().unwrap_or_default() - first;
            let size = |n: i32| usize::try_from(n).unwrap_or_default();
            let elements = lists.values().slice(size(first), size(length));
            let hits = match_array(&elements, &regex, false)?;
            let any = reduce_any(lists, &hits);
            let result: BooleanArray = any
                .into_iter()
                .enumerate()
                .map(|(row, any)| lists.is_valid(row).then_some(any != negated))
                .collect();
            Ok(Arc::new(result) as ArrayRef)
        },
    )
}

/// `!=` counts equal elements here: the caller negates.
fn compare_arrays(
    op: BinaryOp,
    lhs: &ArrayRef,
    rhs: &ArrayRef,
) -> Result<BooleanArray, ArrowError> {
    let op = if op == BinaryOp::NotEq {
        BinaryOp::Eq
    } else {
        op
    };
    if *lhs.data_type() == DataType::Float64 {
        return Ok(float::compare_arrays(op, lhs, rhs));
    }
    match op {
        BinaryOp::Lt => cmp::lt(lhs, rhs),
        BinaryOp::LtEq => cmp::lt_eq(lhs, rhs),
        BinaryOp::Gt => cmp::gt(lhs, rhs),
        BinaryOp::GtEq => cmp::gt_eq(lhs, rhs),
        _ => cmp::eq(lhs, rhs),
    }
}

/// Whether any element of each list is a hit; `hits` starts at the first list's first element.
pub(crate) fn reduce_any(lists: &arrow::array::ListArray, hits: &BooleanArray) -> Vec<bool> {
    let offsets = lists.offsets();
    let first = offsets.first().copied().unwrap_or_default();
    let size = |n: i32| usize::try_from(n - first).unwrap_or_default();
    offsets
        .windows(2)
        .map(|pair| (size(pair[0])..size(pair[1])).any(|i| hits.is_valid(i) && hits.value(i)))
        .collect()
}
