//! Columns of keys.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use datafusion::error::DataFusionError;

use super::kind::KeyKind;
use super::tag::{untag, untag_elements};
use super::value::KeyValue;
use crate::types::Type;

/// A key column of a job's result, cast to what it is read as.
pub(crate) struct KeyColumn {
    kind: KeyKind,
    array: ArrayRef,
}

impl KeyColumn {
    pub(crate) fn try_new(kind: KeyKind, array: &ArrayRef) -> Result<Self, DataFusionError> {
        let read_as = match kind {
            KeyKind::Nil => {
                return Ok(Self {
                    kind,
                    array: Arc::clone(array),
                });
            }
            KeyKind::Tagged | KeyKind::Typed(Type::String) => DataType::Utf8,
            KeyKind::Typed(Type::Float) => DataType::Float64,
            KeyKind::Typed(Type::Bool) => DataType::Boolean,
            KeyKind::Typed(_) => DataType::Int64,
        };
        Ok(Self {
            kind,
            array: cast(array, &read_as)?,
        })
    }

    pub(crate) fn get(&self, row: usize) -> Result<KeyValue<'_>, DataFusionError> {
        let array = &self.array;
        if self.kind == KeyKind::Nil || array.is_null(row) {
            return Ok(KeyValue::Nil);
        }
        Ok(match self.kind {
            KeyKind::Nil => KeyValue::Nil,
            KeyKind::Typed(Type::String) => KeyValue::String(array.as_string::<i32>().value(row)),
            KeyKind::Typed(Type::Float) => {
                KeyValue::float(array.as_primitive::<Float64Type>().value(row))
            }
            KeyKind::Typed(Type::Bool) => KeyValue::Bool(array.as_boolean().value(row)),
            KeyKind::Typed(value_type) => {
                KeyValue::of_number(value_type, array.as_primitive::<Int64Type>().value(row))
            }
            KeyKind::Tagged => KeyValue::untag(array.as_string::<i32>().value(row))?,
        })
    }

    /// The elements of an array that was told from others by them.
    pub(crate) fn elements(
        &self,
        row: usize,
    ) -> Result<Option<Vec<KeyValue<'_>>>, DataFusionError> {
        if self.kind != KeyKind::Tagged || self.array.is_null(row) {
            return Ok(None);
        }
        let (value_type, text) = untag(self.array.as_string::<i32>().value(row))?;
        if value_type.element().is_none() {
            return Ok(None);
        }
        let elements = untag_elements(text)?.into_iter().map(KeyValue::untag);
        elements.collect::<Result<_, _>>().map(Some)
    }
}
