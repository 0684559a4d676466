//! The numbers that scalar filters compare.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

use datafusion::error::{DataFusionError, Result};
use traceql::Dialect;
use traceql::ast::{BinaryOp, ComparisonOp, Literal};

use crate::error::{EngineError, EvaluationError};
use crate::functions::arithmetic;
use crate::series::LabelValue;

/// A number with its TraceQL type.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Number {
    Int(i64),
    Float(f64),
    /// Nanoseconds.
    Duration(i64),
}

impl Number {
    /// The number of a literal, if it is one.
    pub(crate) const fn of(literal: &Literal) -> Option<Self> {
        match literal {
            Literal::Int(value) => Some(Self::Int(*value)),
            Literal::Float(value) => Some(Self::Float(*value)),
            Literal::Duration(ns) => Some(Self::Duration(*ns)),
            Literal::String(_) | Literal::Bool(_) | Literal::Status(_) | Literal::Kind(_) => None,
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "that is the number as a float")]
    pub(crate) const fn as_float(self) -> f64 {
        match self {
            Self::Int(value) | Self::Duration(value) => value as f64,
            Self::Float(value) => value,
        }
    }

    /// Order by value, as floats where the types differ; none with NaN.
    pub(crate) fn order(self, other: Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) | (Self::Duration(a), Self::Duration(b)) => {
                Some(a.cmp(&b))
            }
            _ => self.as_float().partial_cmp(&other.as_float()),
        }
    }

    /// Whether a comparison holds, as between the values of a span: two integers compare as such,
    /// everything else as floats.
    pub(crate) fn compares(self, op: ComparisonOp, other: Self) -> bool {
        let order = match (self, other) {
            (Self::Int(_), Self::Int(_)) => self.order(other),
            _ => self.as_float().partial_cmp(&other.as_float()),
        };
        match op {
            ComparisonOp::Eq => order == Some(Ordering::Equal),
            ComparisonOp::NotEq => order != Some(Ordering::Equal),
            ComparisonOp::Lt => order == Some(Ordering::Less),
            ComparisonOp::LtEq => order.is_some_and(Ordering::is_le),
            ComparisonOp::Gt => order == Some(Ordering::Greater),
            ComparisonOp::GtEq => order.is_some_and(Ordering::is_ge),
        }
    }

    /// `self op other`, as between the values of a span: two integers give an integer, everything
    /// else a float.
    ///
    /// # Errors
    /// [`EvaluationError::DivisionByZero`] for integers.
    pub(crate) fn arithmetic(
        self,
        op: BinaryOp,
        other: Self,
        text: &str,
        dialect: Dialect,
    ) -> Result<Self> {
        if let (Self::Int(lhs), Self::Int(rhs)) = (self, other) {
            let divided = || {
                let expression = text.to_owned();
                let error = EvaluationError::DivisionByZero { expression };
                DataFusionError::External(Box::new(EngineError::Evaluation(error)))
            };
            return arithmetic::int_operation(op, lhs, rhs, dialect)
                .map(Self::Int)
                .ok_or_else(divided);
        }
        let value = arithmetic::float_operation(op, self.as_float(), other.as_float());
        Ok(Self::Float(value))
    }

    /// The number as the attribute of a spanset; durations are text.
    pub(crate) fn label(self) -> LabelValue {
        match self {
            Self::Int(value) => LabelValue::Int(value),
            Self::Float(value) => LabelValue::Float(value),
            Self::Duration(ns) => LabelValue::String(traceql::format_go_duration(ns).into()),
        }
    }

    const fn bits(self) -> (u8, u64) {
        match self {
            Self::Int(value) => (0, value.cast_unsigned()),
            Self::Float(value) => (1, value.to_bits()),
            Self::Duration(value) => (2, value.cast_unsigned()),
        }
    }
}

/// Same type and bits: this is about programs, not about values.
impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.bits() == other.bits()
    }
}

impl Eq for Number {}

impl Hash for Number {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.bits().hash(state);
    }
}
