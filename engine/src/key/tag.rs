//! Keys of groups whose attribute has values of several types.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray, StringBuilder};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::Expr;

use crate::functions::Function;
use crate::types::Type;

/// What makes two arrays one group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arrays {
    /// Being arrays: they are all shown as the same label.
    Alike,
    /// Their elements.
    ByContent,
}

/// One text per row that tells type and value apart, from the alternatives of a value; null where
/// all of them are.
pub(crate) fn tag(alternatives: Vec<(Type, Expr)>, arrays: Arrays) -> Expr {
    let (types, expressions): (Vec<_>, Vec<_>) = alternatives.into_iter().unzip();
    let parameters: Vec<_> = types.iter().map(|t| format!("{t:?}")).collect();
    Function::call(
        "group_key",
        format!("{arrays:?}, {}", parameters.join(", ")),
        DataType::Utf8,
        expressions,
        move |args| {
            let columns = types
                .iter()
                .zip(args)
                .map(|(t, array)| tagged(*t, array, arrays));
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

fn tagged(value_type: Type, array: &ArrayRef, arrays: Arrays) -> Result<StringArray> {
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
        Type::StringArray | Type::IntArray | Type::FloatArray | Type::BoolArray => match arrays {
            Arrays::Alike => (0..rows)
                .map(|row| array.is_valid(row).then_some("a"))
                .collect(),
            Arrays::ByContent => by_content(value_type, array)?,
        },
    })
}

/// Each element with its length in front, so that no two arrays have the same text.
fn by_content(value_type: Type, array: &ArrayRef) -> Result<StringArray> {
    let malformed = || DataFusionError::Internal("expected a column of arrays".into());
    let element = value_type.element().ok_or_else(malformed)?;
    let lists = array.as_list_opt::<i32>().ok_or_else(malformed)?;
    let text = |row: usize| -> Result<Option<String>> {
        if lists.is_null(row) {
            return Ok(None);
        }
        let elements = tagged(element, &lists.value(row), Arrays::Alike)?;
        let mut text = "a".to_owned();
        for element in elements.iter().flatten() {
            text.push_str(&format!("{}:{element}", element.len()));
        }
        Ok(Some(text))
    };
    (0..lists.len()).map(text).collect()
}

/// The tagged elements of an array that was tagged by its content, after the tag.
pub(crate) fn untag_elements(text: &str) -> Result<Vec<&str>> {
    let malformed = || DataFusionError::Internal(format!("malformed array key {text:?}"));
    let mut elements = Vec::new();
    let mut left = text;
    while !left.is_empty() {
        let (length, rest) = left.split_once(':').ok_or_else(malformed)?;
        let length: usize = length.parse().map_err(|_| malformed())?;
        let (element, rest) = rest.split_at_checked(length).ok_or_else(malformed)?;
        elements.push(element);
        left = rest;
    }
    Ok(elements)
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
