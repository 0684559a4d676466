//! Attributes that have no column of their own, out of the list of a span, event or link.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanBuilder, Float64Builder, Int64Builder, ListArray, ListBuilder,
    StringArray, StringBuilder, StructArray,
};
use arrow::datatypes::{DataType, Field, Float64Type, Int64Type};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::Expr;
use storage::block::meta::ValueType;
use storage::model::AnyValue;
use storage::otlp::{KeyInterner, value_from_bytes};
use storage::schema::names;

use super::Function;

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
        arrow_type(value_type),
        vec![attributes],
        move |args| {
            let list = args[0].as_list_opt::<i32>().ok_or_else(no_attributes)?;
            Entries::try_new(list)?.collect(&key, value_type)
        },
    )
}

/// The Arrow type of [`lookup`]'s result.
pub(crate) fn arrow_type(value_type: ValueType) -> DataType {
    let list = |item| DataType::List(Arc::new(Field::new("item", item, true)));
    match value_type {
        ValueType::String => DataType::Utf8,
        ValueType::Int => DataType::Int64,
        ValueType::Double => DataType::Float64,
        ValueType::Bool => DataType::Boolean,
        ValueType::StringArray => list(DataType::Utf8),
        ValueType::IntArray => list(DataType::Int64),
        ValueType::DoubleArray => list(DataType::Float64),
        ValueType::BoolArray => list(DataType::Boolean),
        ValueType::Other => DataType::Null,
    }
}

fn no_attributes() -> DataFusionError {
    DataFusionError::Internal("expected a list of attributes".into())
}

/// A column of attribute lists, taken apart.
struct Entries<'a> {
    list: &'a ListArray,
    keys: &'a StringArray,
    fields: &'a StructArray,
}

impl<'a> Entries<'a> {
    fn try_new(list: &'a ListArray) -> Result<Self> {
        let fields = list.values().as_struct_opt().ok_or_else(no_attributes)?;
        let keys = fields
            .column_by_name(names::ENTRY_KEY)
            .and_then(|keys| keys.as_string_opt::<i32>());
        Ok(Self {
            list,
            keys: keys.ok_or_else(no_attributes)?,
            fields,
        })
    }

    /// Index of the first entry of `key`, row by row.
    fn positions<'k>(&'k self, key: &'k str) -> impl Iterator<Item = Option<usize>> + 'k {
        let offset = |offset: i32| usize::try_from(offset).unwrap_or_default();
        (0..self.list.len()).map(move |row| {
            let offsets = self.list.offsets();
            let range = offset(offsets[row])..offset(offsets[row + 1]);
            if self.list.is_null(row) {
                None
            } else {
                range.into_iter().find(|&i| self.keys.value(i) == key)
            }
        })
    }

    fn column(&self, name: &str) -> Result<&'a ArrayRef> {
        self.fields.column_by_name(name).ok_or_else(no_attributes)
    }

    fn collect(&self, key: &str, value_type: ValueType) -> Result<ArrayRef> {
        let other = self
            .column(names::ENTRY_OTHER)?
            .as_binary_opt::<i32>()
            .ok_or_else(no_attributes)?;
        // What an entry holds besides the four scalars, decoded.
        let array_at = |position: usize| -> Option<Vec<AnyValue>> {
            if other.is_null(position) {
                return None;
            }
            match value_from_bytes(other.value(position), &mut KeyInterner::default()) {
                Some(AnyValue::Array(values)) => Some(values),
                _ => None,
            }
        };
        let single = |position: usize| -> Option<AnyValue> {
            let mut values = array_at(position)?;
            if values.len() == 1 {
                values.pop()
            } else {
                None
            }
        };
        let many = |position: usize| array_at(position).filter(|values| values.len() > 1);
        macro_rules! scalars {
            ($builder:expr, $column:expr, $variant:ident) => {{
                let mut builder = $builder;
                let column = $column;
                for position in self.positions(key) {
                    match position {
                        Some(at) if column.is_valid(at) => builder.append_value(column.value(at)),
                        Some(at) => match single(at) {
                            Some(AnyValue::$variant(value)) => builder.append_value(value),
                            _ => builder.append_null(),
                        },
                        None => builder.append_null(),
                    }
                }
                Arc::new(builder.finish()) as ArrayRef
            }};
        }
        macro_rules! arrays {
            ($builder:expr, $variant:ident) => {{
                let mut builder = ListBuilder::new($builder);
                for position in self.positions(key) {
                    let values = position.and_then(many).and_then(|values| {
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
        Ok(match value_type {
            ValueType::String => {
                scalars!(
                    StringBuilder::new(),
                    self.column(names::ENTRY_STRING)?.as_string::<i32>(),
                    String
                )
            }
            ValueType::Int => {
                scalars!(
                    Int64Builder::new(),
                    self.column(names::ENTRY_INT)?.as_primitive::<Int64Type>(),
                    Int
                )
            }
            ValueType::Double => scalars!(
                Float64Builder::new(),
                self.column(names::ENTRY_DOUBLE)?
                    .as_primitive::<Float64Type>(),
                Double
            ),
            ValueType::Bool => {
                scalars!(
                    BooleanBuilder::new(),
                    self.column(names::ENTRY_BOOL)?.as_boolean(),
                    Bool
                )
            }
            ValueType::StringArray => arrays!(StringBuilder::new(), String),
            ValueType::IntArray => arrays!(Int64Builder::new(), Int),
            ValueType::DoubleArray => arrays!(Float64Builder::new(), Double),
            ValueType::BoolArray => arrays!(BooleanBuilder::new(), Bool),
            ValueType::Other => arrow::array::new_null_array(&DataType::Null, self.list.len()),
        })
    }
}
