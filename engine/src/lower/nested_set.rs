//! Nested-set numbers, which follow from a span's place in its trace.
//!
//! A walk that counts when it enters a span and when it leaves one has entered all rows before a span
//! and left all of them but those above it. So the numbers need no columns of their own.

use arrow::datatypes::DataType;
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, lit, when};
use storage::schema::names;

use super::value::cast;
use crate::columns::{column, of_parent};
use crate::plan::DepthTest;

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

/// The test of a span's depth that stands for a comparison of its parent.
pub(super) fn depth_test(test: DepthTest) -> Expr {
    let depth = || column(names::DEPTH);
    let one = || lit(1_i32);
    match (test.root, test.unreached, test.other) {
        (true, false, false) => depth().eq(one()),
        (true, true, false) => depth().lt_eq(one()),
        (true, false, true) => depth().gt_eq(one()),
        (false, true, false) => depth().lt(one()),
        (false, true, true) => depth().not_eq(one()),
        (false, false, true) => depth().gt(one()),
        (all, _, _) => lit(all),
    }
}
