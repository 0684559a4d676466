//! Nested-set numbers, which follow from a span's place in its trace.
//!
//! A walk that counts when it enters a span and when it leaves one has entered all rows before a span
//! and left all of them but those above it. So the numbers need no columns of their own.

use arrow::datatypes::DataType;
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, lit, when};
use storage::schema::names;
use traceql::ast::{Attribute, BinaryOp, FieldExpr, FieldExprKind, Intrinsic, Literal};

use super::layout::column;
use super::value::cast;
use crate::spanset::derive::of_parent;

/// When the walk enters a span; 0 where it does not come to.
pub(super) fn left() -> Result<Expr> {
    when(is_reached(), entered(column(names::TRACE_ROW), depth())).otherwise(lit(0_i64))
}

/// When the walk leaves a span; 0 where it does not come to.
pub(super) fn right() -> Result<Expr> {
    let entered = entered(column(names::TRACE_ROW), depth());
    let inside = lit(2_i64) * int64(names::DESCENDANTS);
    when(is_reached(), entered + inside + lit(1_i64)).otherwise(lit(0_i64))
}

/// When the walk enters the parent of a span; -1 for a root, 0 where it does not come to.
pub(super) fn parent() -> Result<Expr> {
    let parent_row = column(&of_parent(names::TRACE_ROW));
    when(is_root(), lit(-1_i64))
        .when(is_reached(), entered(parent_row, depth() - lit(1_i64)))
        .otherwise(lit(0_i64))
}

fn entered(trace_row: Expr, depth: Expr) -> Expr {
    lit(2_i64) * cast(trace_row, DataType::Int64) + lit(2_i64) - depth
}

fn depth() -> Expr {
    int64(names::DEPTH)
}

fn int64(name: &str) -> Expr {
    cast(column(name), DataType::Int64)
}

fn is_root() -> Expr {
    column(names::DEPTH).eq(lit(1_i32))
}

fn is_reached() -> Expr {
    column(names::DEPTH).gt(lit(0_i32))
}

/// `nestedSetParent < 0` and the like as a test of the depth alone: which span is the parent does not
/// matter where it is compared with a number that none has. It is how Grafana asks for roots.
pub(crate) fn parent_test(op: BinaryOp, lhs: &FieldExpr, rhs: &FieldExpr) -> Option<Expr> {
    let (op, number) = match (&lhs.kind, &rhs.kind) {
        (FieldExprKind::Attribute(attribute), number) if is_parent(attribute) => (op, number),
        (number, FieldExprKind::Attribute(attribute)) if is_parent(attribute) => {
            (op.mirrored(), number)
        }
        _ => return None,
    };
    let FieldExprKind::Literal(Literal::Int(number)) = number else {
        return None;
    };
    if *number > 0 {
        return None;
    }
    let holds = |parent: &i64| {
        Some(match op {
            BinaryOp::Eq => parent == number,
            BinaryOp::NotEq => parent != number,
            BinaryOp::Lt => parent < number,
            BinaryOp::LtEq => parent <= number,
            BinaryOp::Gt => parent > number,
            BinaryOp::GtEq => parent >= number,
            _ => return None,
        })
    };
    let depth = || column(names::DEPTH);
    let one = || lit(1_i32);
    // Of a root, of what no root leads to, and of all others.
    Some(match (holds(&-1)?, holds(&0)?, holds(&1)?) {
        (true, false, false) => depth().eq(one()),
        (true, true, false) => depth().lt_eq(one()),
        (true, false, true) => depth().gt_eq(one()),
        (false, true, false) => depth().lt(one()),
        (false, true, true) => depth().not_eq(one()),
        (false, false, true) => depth().gt(one()),
        (all, _, _) => lit(all),
    })
}

fn is_parent(attribute: &Attribute) -> bool {
    *attribute == Attribute::of_span(Intrinsic::NestedSetParent)
}
