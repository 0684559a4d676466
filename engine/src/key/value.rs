//! Values of attributes as keys of groups.

use datafusion::error::DataFusionError;

use super::tag::untag;
use crate::series::LabelValue;
use crate::types::Type;

/// How absence is shown where a label cannot be left out.
pub(crate) const NIL: &str = "nil";

/// The value of one `by` attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum KeyValue<'a> {
    /// Absent: the label is left out.
    Nil,
    /// Text; also `nil` for any array, which has no form as a label.
    String(&'a str),
    Int(i64),
    /// The bits of a float.
    Float(u64),
    Bool(bool),
    Duration(i64),
    Status(i64),
    Kind(i64),
}

impl<'a> KeyValue<'a> {
    /// The label's value; `None` where the label is left out.
    pub(crate) fn label(self) -> Option<LabelValue> {
        let text = |text: &str| Some(LabelValue::String(text.into()));
        match self {
            Self::Nil => None,
            Self::String(value) => text(value),
            Self::Int(value) => Some(LabelValue::Int(value)),
            Self::Float(bits) => Some(LabelValue::Float(f64::from_bits(bits))),
            Self::Bool(value) => Some(LabelValue::Bool(value)),
            Self::Duration(ns) => text(&traceql::format_go_duration(ns)),
            Self::Status(code) => text(match code {
                1 => "ok",
                2 => "error",
                _ => "unset",
            }),
            Self::Kind(number) => text(match number {
                1 => "internal",
                2 => "server",
                3 => "client",
                4 => "producer",
                5 => "consumer",
                _ => "unspecified",
            }),
        }
    }

    /// The value where absence is shown, too.
    pub(crate) fn label_or_nil(self) -> LabelValue {
        self.label().unwrap_or(LabelValue::String(NIL.into()))
    }

    /// The value of a tagged key.
    pub(super) fn untag(key: &'a str) -> Result<Self, DataFusionError> {
        let (value_type, text) = untag(key)?;
        let number = || {
            let malformed = |_| DataFusionError::Internal(format!("malformed group key {key:?}"));
            text.parse::<i64>().map_err(malformed)
        };
        Ok(match value_type {
            Type::String => Self::String(text),
            Type::Bool => Self::Bool(text == "true"),
            Type::Float => Self::float(text.parse().unwrap_or(f64::NAN)),
            Type::StringArray | Type::IntArray | Type::FloatArray | Type::BoolArray => {
                Self::String(NIL)
            }
            _ => Self::of_number(value_type, number()?),
        })
    }

    /// The value of a type whose values are whole numbers.
    pub(crate) fn of_number(value_type: Type, number: i64) -> Self {
        match value_type {
            Type::Duration => Self::Duration(number),
            // Numbers that OTLP gives no name are one group with what they are shown as.
            Type::Status => Self::Status(if (1..=2).contains(&number) { number } else { 0 }),
            Type::Kind => Self::Kind(if (1..=5).contains(&number) { number } else { 0 }),
            _ => Self::Int(number),
        }
    }

    pub(crate) fn float(value: f64) -> Self {
        Self::Float(if value == 0.0 { 0 } else { value.to_bits() })
    }
}
