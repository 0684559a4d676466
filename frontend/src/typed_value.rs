//! Values as a query writes them.

use std::fmt;

use storage::block::{Value, ValueSet};
use traceql::ast::{Attribute, Scope};

/// A value, and how a query writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypedValue {
    /// How a query writes it.
    pub value_type: ValueType,
    /// The value as text, not quoted.
    pub text: String,
}

/// How a query writes a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueType {
    /// In quotes.
    String,
    /// As a whole number.
    Int,
    /// As a number.
    Float,
    /// As `true` or `false`.
    Bool,
    /// As one of the words of the language.
    Keyword,
}

impl fmt::Display for ValueType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::String => "string",
            Self::Int => "int",
            Self::Float => "float",
            Self::Bool => "bool",
            Self::Keyword => "keyword",
        })
    }
}

/// The values as a query writes them.
pub(crate) fn typed(set: ValueSet, name: &Attribute) -> Vec<TypedValue> {
    // Fields of spans, and the service, are empty where there is none.
    let is_field = match name {
        Attribute::Intrinsic { .. } => true,
        Attribute::Key { scope, key, .. } => *scope == Scope::Resource && key == "service.name",
    };
    let typed = |value: Value| {
        let (value_type, text) = match value {
            Value::String(text) if text.is_empty() && is_field => return None,
            Value::String(text) => (ValueType::String, text),
            Value::Int(value) => (ValueType::Int, value.to_string()),
            Value::Double(value) => (ValueType::Float, value.to_string()),
            Value::Bool(value) => (ValueType::Bool, value.to_string()),
        };
        Some(TypedValue { value_type, text })
    };
    set.into_values().into_iter().filter_map(typed).collect()
}
