//! Values of attributes and expressions.

use storage::model::AnyValue;
use traceql::ast::{Kind, Literal, Status};

/// What an expression evaluates to on one span.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Absent.
    Nil,
    /// 64-bit integer.
    Int(i64),
    /// 64-bit float.
    Float(f64),
    /// Text.
    String(String),
    /// Boolean.
    Bool(bool),
    /// Nanoseconds.
    Duration(i64),
    /// Span status.
    Status(Status),
    /// Span kind.
    Kind(Kind),
    /// Two or more Ints, Floats, Strings or Bools, all of one type.
    Array(Vec<Value>),
}

impl Value {
    /// The value of an OTLP attribute as TraceQL sees it.
    ///
    /// Key-value lists, bytes, empty arrays and arrays of anything but equal scalars are invisible
    /// to the language; an array of one element is that element.
    #[must_use]
    pub fn of_any(value: &AnyValue) -> Self {
        match value {
            AnyValue::Array(items) => Self::of_array(items),
            scalar => Self::of_scalar(scalar),
        }
    }

    fn of_scalar(value: &AnyValue) -> Self {
        match value {
            AnyValue::String(text) => Self::String(text.clone()),
            AnyValue::Bool(flag) => Self::Bool(*flag),
            AnyValue::Int(number) => Self::Int(*number),
            AnyValue::Double(number) => Self::Float(*number),
            AnyValue::Empty
            | AnyValue::Bytes(_)
            | AnyValue::Array(_)
            | AnyValue::KeyValueList(_) => Self::Nil,
        }
    }

    fn of_array(items: &[AnyValue]) -> Self {
        let elements: Vec<Self> = items.iter().map(Self::of_scalar).collect();
        let Some(first) = elements.first() else {
            return Self::Nil;
        };
        let same_type =
            |element: &Self| std::mem::discriminant(element) == std::mem::discriminant(first);
        if first.is_nil() || !elements.iter().all(same_type) {
            return Self::Nil;
        }
        if elements.len() == 1 {
            first.clone()
        } else {
            Self::Array(elements)
        }
    }

    /// The value of a literal.
    #[must_use]
    pub fn of_literal(literal: &Literal) -> Self {
        match literal {
            Literal::String(text) => Self::String(text.clone()),
            Literal::Int(number) => Self::Int(*number),
            Literal::Float(number) => Self::Float(*number),
            Literal::Duration(ns) => Self::Duration(*ns),
            Literal::Bool(flag) => Self::Bool(*flag),
            Literal::Status(status) => Self::Status(*status),
            Literal::Kind(kind) => Self::Kind(*kind),
        }
    }

    /// Whether the value is absent.
    #[must_use]
    pub fn is_nil(&self) -> bool {
        *self == Self::Nil
    }

    /// Whether the value is Boolean true, which is what a filter asks for.
    #[must_use]
    pub fn is_true(&self) -> bool {
        *self == Self::Bool(true)
    }

    /// Whether the values are of one type and the same, so that they are one group. Floats are the
    /// same if their bits are.
    #[must_use]
    pub fn is_identical(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Float(lhs), Self::Float(rhs)) => lhs.to_bits() == rhs.to_bits(),
            (Self::Array(lhs), Self::Array(rhs)) => {
                lhs.len() == rhs.len()
                    && lhs.iter().zip(rhs).all(|(lhs, rhs)| lhs.is_identical(rhs))
            }
            _ => self == other,
        }
    }

    /// Int, Float and Duration as a number, Durations in nanoseconds; `None` for other types.
    #[must_use]
    pub fn as_number(&self) -> Option<f64> {
        match self {
            Self::Int(number) | Self::Duration(number) => Some(*number as f64),
            Self::Float(number) => Some(*number),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn int(number: i64) -> AnyValue {
        AnyValue::Int(number)
    }

    #[test]
    fn arrays_of_one_type_are_visible() {
        assert_eq!(
            Value::of_any(&AnyValue::Array(vec![int(1), int(2)])),
            Value::Array(vec![Value::Int(1), Value::Int(2)])
        );
        assert_eq!(Value::of_any(&AnyValue::Array(vec![int(1)])), Value::Int(1));
    }

    #[test]
    fn other_containers_are_nil() {
        for hidden in [
            AnyValue::Array(vec![]),
            AnyValue::Array(vec![int(1), AnyValue::Double(2.0)]),
            AnyValue::Array(vec![AnyValue::Array(vec![int(1)])]),
            AnyValue::KeyValueList(vec![]),
            AnyValue::Bytes(vec![1]),
            AnyValue::Empty,
        ] {
            assert_eq!(Value::of_any(&hidden), Value::Nil, "{hidden:?}");
        }
    }
}
