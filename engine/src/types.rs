//! The types that a value has while a query runs, and their Arrow types.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use storage::block::meta::ValueType;

/// The run-time types of TraceQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Type {
    Int,
    Float,
    String,
    Bool,
    /// Nanoseconds.
    Duration,
    /// OTLP status code.
    Status,
    /// OTLP kind number.
    Kind,
    IntArray,
    FloatArray,
    StringArray,
    BoolArray,
}

impl Type {
    /// The type of a stored scalar.
    pub(crate) const fn of_scalar(value_type: ValueType) -> Option<Self> {
        match value_type {
            ValueType::String => Some(Self::String),
            ValueType::Int => Some(Self::Int),
            ValueType::Double => Some(Self::Float),
            ValueType::Bool => Some(Self::Bool),
            _ => None,
        }
    }

    /// Int, Float or Duration.
    pub(crate) const fn is_numeric(self) -> bool {
        matches!(self, Self::Int | Self::Float | Self::Duration)
    }

    /// The type of an array's elements.
    pub(crate) const fn element(self) -> Option<Self> {
        match self {
            Self::IntArray => Some(Self::Int),
            Self::FloatArray => Some(Self::Float),
            Self::StringArray => Some(Self::String),
            Self::BoolArray => Some(Self::Bool),
            _ => None,
        }
    }

    /// The Arrow type of an expression of this type, where it is not a column of the block.
    pub(crate) fn arrow_type(self) -> DataType {
        match self {
            Self::Int | Self::Duration => DataType::Int64,
            Self::Float => DataType::Float64,
            Self::String => DataType::Utf8,
            Self::Bool => DataType::Boolean,
            Self::Status | Self::Kind => DataType::Int32,
            Self::IntArray => list_of(DataType::Int64),
            Self::FloatArray => list_of(DataType::Float64),
            Self::StringArray => list_of(DataType::Utf8),
            Self::BoolArray => list_of(DataType::Boolean),
        }
    }
}

/// The Arrow type of the values that are looked up in a list of attributes.
pub(crate) fn stored_arrow_type(value_type: ValueType) -> DataType {
    match value_type {
        ValueType::String => DataType::Utf8,
        ValueType::Int => DataType::Int64,
        ValueType::Double => DataType::Float64,
        ValueType::Bool => DataType::Boolean,
        ValueType::StringArray => list_of(DataType::Utf8),
        ValueType::IntArray => list_of(DataType::Int64),
        ValueType::DoubleArray => list_of(DataType::Float64),
        ValueType::BoolArray => list_of(DataType::Boolean),
        ValueType::Other => DataType::Null,
    }
}

fn list_of(element: DataType) -> DataType {
    DataType::List(Arc::new(Field::new("item", element, true)))
}
