//! Attributes that have no column of their own, out of the list of a span, event or link.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, Float64Builder, Int64Builder, ListBuilder, StringBuilder,
};
use arrow::datatypes::DataType;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::Expr;
use storage::block::meta::ValueType;
use storage::block::{Entries, EntryValue};
use storage::model::AnyValue;

use super::Function;
use crate::types::stored_arrow_type;

/// The values of one type that `key` has in a list of attributes; null where it has none of it.
///
/// Arrays of one element are their element, so a scalar type finds them too and an array type does
/// not. `ValueType::Other` has no values.
pub(crate) fn lookup(attributes: Expr, key: &str, value_type: ValueType) -> Expr {
    let parameters = format!("{key}, {value_type:?}");
    let key = key.to_owned();
    Function::call(
        "attribute",
        parameters,
        stored_arrow_type(value_type),
        vec![attributes],
        move |args| {
            let no_attributes =
                || DataFusionError::Internal("expected a list of attributes".into());
            let entries = Entries::new(&args[0]).ok_or_else(no_attributes)?;
            Ok(collect(&entries, &key, value_type))
        },
    )
}

/// Where the first entry of a key is, row by row.
fn positions<'k>(entries: &'k Entries<'_>, key: &'k str) -> impl Iterator<Item = Option<usize>> {
    (0..entries.rows()).map(move |row| entries.of_row(row).find(|&at| entries.key(at) == key))
}

fn collect(entries: &Entries<'_>, key: &str, value_type: ValueType) -> ArrayRef {
    let values = positions(entries, key).map(|at| Some(entries.value(at?)));
    let single =
        |value: EntryValue<'_>| value.elements()?.try_into().ok().map(|[only]: [_; 1]| only);
    let many = |value: EntryValue<'_>| value.elements().filter(|values| values.len() > 1);
    macro_rules! scalars {
        ($builder:expr, $variant:ident) => {{
            let mut builder = $builder;
            for value in values {
                match value {
                    Some(EntryValue::$variant(value)) => builder.append_value(value),
                    value => match value.and_then(single) {
                        Some(AnyValue::$variant(value)) => builder.append_value(value),
                        _ => builder.append_null(),
                    },
                }
            }
            Arc::new(builder.finish()) as ArrayRef
        }};
    }
    macro_rules! arrays {
        ($builder:expr, $variant:ident) => {{
            let mut builder = ListBuilder::new($builder);
            for value in values {
                let values = value.and_then(many).and_then(|values| {
                    let typed = values.into_iter().map(|value| match value {
                        AnyValue::$variant(value) => Some(value),
                        _ => None,
                    });
                    typed.collect::<Option<Vec<_>>>()
                });
                let found = values.is_some();
                for value in values.into_iter().flatten() {
                    builder.values().append_value(value);
                }
                builder.append(found);
            }
            Arc::new(builder.finish()) as ArrayRef
        }};
    }
    match value_type {
        ValueType::String => scalars!(StringBuilder::new(), String),
        ValueType::Int => scalars!(Int64Builder::new(), Int),
        ValueType::Double => scalars!(Float64Builder::new(), Double),
        ValueType::Bool => scalars!(BooleanBuilder::new(), Bool),
        ValueType::StringArray => arrays!(StringBuilder::new(), String),
        ValueType::IntArray => arrays!(Int64Builder::new(), Int),
        ValueType::DoubleArray => arrays!(Float64Builder::new(), Double),
        ValueType::BoolArray => arrays!(BooleanBuilder::new(), Bool),
        ValueType::Other => arrow::array::new_null_array(&DataType::Null, entries.rows()),
    }
}
