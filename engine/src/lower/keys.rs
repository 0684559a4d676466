//! Keys of groups.

use datafusion::common::ScalarValue;
use datafusion::logical_expr::{Expr, lit};

use super::value::Value;
use crate::key::{Arrays, KeyKind, tag};

/// The key of a series. Every array is shown as the same label.
pub(super) fn group_key(value: Value) -> (Expr, KeyKind) {
    key_of(value, Arrays::Alike)
}

/// The key of a spanset.
pub(super) fn spanset_key(value: Value) -> (Expr, KeyKind) {
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
