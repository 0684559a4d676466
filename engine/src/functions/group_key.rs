//! Group keys of attributes that have values of several types.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray, StringBuilder};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::Expr;

use super::Function;
use crate::lower::value::Type;

/// One text per row that tells type and value apart, from the alternatives of a value; null where
/// all of them are.
pub(crate) fn tag(alternatives: Vec<(Type, Expr)>) -> Expr {
    let (types, expressions): (Vec<_>, Vec<_>) = alternatives.into_iter().unzip();
    let parameters: Vec<_> = types.iter().map(|t| format!("{t:?}")).collect();
    Function::call(
        "group_key",
        parameters.join(", "),
        DataType::Utf8,
        expressions,
        move |args| {
            let columns = types.iter().zip(args).map(|(t, array)| tagged(*t, array));
            let columns = columns.collect::<Result<Vec<_>>>()?;
            let rows = args.first().map_or(0, |array| array.len());
            let mut out = StringBuilder::new();
            for row in 0..rows {
                match columns.iter().find(|column| column.is_valid(row)) {
                    Some(column) => out.append_value(column.value(row)),
                    None => out.append_null(),
                }
            }
            Ok(Arc::new(out.finish()) as ArrayRef)
        },
    )
}

fn tagged(value_type: Type, array: &ArrayRef) -> Result<StringArray> {
    let rows = array.len();
    Ok(match value_type {
        Type::String => {
            let texts = cast(array, &DataType::Utf8)?;
            texts
                .as_string::<i32>()
                .iter()
                .map(|text| text.map(|text| format!("s{text}")))
                .collect()
        }
        Type::Float => {
            let values = array.as_primitive::<Float64Type>();
            values
                .iter()
                .map(|value| value.map(|value| format!("f{value:?}")))
                .collect()
        }
        Type::Bool => array
            .as_boolean()
            .iter()
            .map(|value| value.map(|value| format!("b{value}")))
            .collect(),
        Type::Int | Type::Duration | Type::Status | Type::Kind => {
            let values = cast(array, &DataType::Int64)?;
            let prefix = match value_type {
                Type::Duration => 'd',
                Type::Status => 'S',
                Type::Kind => 'K',
                _ => 'i',
            };
            let values = values.as_primitive::<Int64Type>();
            values
                .iter()
                .map(|value| value.map(|value| format!("{prefix}{value}")))
                .collect()
        }
        // Each distinct array is shown as the same text, so they are one group.
        Type::StringArray | Type::IntArray | Type::FloatArray | Type::BoolArray => (0..rows)
            .map(|row| array.is_valid(row).then_some("a"))
            .collect(),
    })
}

/// Takes a key made by [`tag`] apart: the value's type and its text.
pub(crate) fn untag(key: &str) -> Result<(Type, &str)> {
    let malformed = || DataFusionError::Internal(format!("malformed group key {key:?}"));
    let tag = key.chars().next().ok_or_else(malformed)?;
    let value_type = match tag {
        's' => Type::String,
        'f' => Type::Float,
        'b' => Type::Bool,
        'i' => Type::Int,
        'd' => Type::Duration,
        'S' => Type::Status,
        'K' => Type::Kind,
        'a' => Type::StringArray,
        _ => return Err(malformed()),
    };
    Ok((value_type, &key[1..]))
}
