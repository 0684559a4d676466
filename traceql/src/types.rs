//! Types that are known before a query runs.

use std::fmt;

use crate::ast::{
    Aggregate, AggregateFunction, Attribute, BinaryOp, FieldExpr, FieldExprKind, Intrinsic, Literal,
};

/// What is known of a value before the query runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Type {
    /// Of any type: decided by the data.
    Attribute,
    /// 64-bit integer.
    Int,
    /// 64-bit float.
    Float,
    /// Text.
    String,
    /// `true` or `false`.
    Bool,
    /// Nanoseconds.
    Duration,
    /// Span status.
    Status,
    /// Span kind.
    Kind,
    /// Only the intrinsic `parent`.
    Nil,
}

impl Type {
    /// Int, Float and Duration, which compare and combine with each other.
    #[must_use]
    pub const fn is_numeric(self) -> bool {
        matches!(self, Self::Int | Self::Float | Self::Duration)
    }

    /// Whether values of both types may stand on the two sides of one operator.
    #[must_use]
    pub fn matches(self, other: Self) -> bool {
        let open = |ty| matches!(ty, Self::Attribute | Self::Nil);
        self == other || open(self) || open(other) || (self.is_numeric() && other.is_numeric())
    }

    /// Whether `op` is defined on values of this type.
    #[must_use]
    pub const fn admits(self, op: BinaryOp) -> bool {
        use BinaryOp as Op;
        match self {
            Self::Attribute => true,
            Self::Bool => matches!(op, Op::And | Op::Or | Op::Eq | Op::NotEq),
            Self::Int | Self::Float | Self::Duration => {
                !matches!(op, Op::And | Op::Or | Op::Regex | Op::NotRegex)
            }
            Self::String => matches!(
                op,
                Op::Eq
                    | Op::NotEq
                    | Op::Lt
                    | Op::LtEq
                    | Op::Gt
                    | Op::GtEq
                    | Op::Regex
                    | Op::NotRegex
            ),
            Self::Status | Self::Kind | Self::Nil => matches!(op, Op::Eq | Op::NotEq),
        }
    }

    /// The type of `lhs op rhs`.
    #[must_use]
    pub fn of_binary(op: BinaryOp, lhs: Self, rhs: Self) -> Self {
        if !op.is_arithmetic() {
            Self::Bool
        } else if lhs == Self::Attribute {
            rhs
        } else {
            lhs
        }
    }

    /// The type of `function(argument)`.
    #[must_use]
    pub const fn of_aggregate(function: AggregateFunction, argument: Self) -> Self {
        match function {
            AggregateFunction::Count => Self::Int,
            AggregateFunction::Min
            | AggregateFunction::Max
            | AggregateFunction::Avg
            | AggregateFunction::Sum => argument,
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Attribute => "attribute",
            Self::Int => "int",
            Self::Float => "float",
            Self::String => "string",
            Self::Bool => "boolean",
            Self::Duration => "duration",
            Self::Status => "status",
            Self::Kind => "kind",
            Self::Nil => "nil",
        })
    }
}

impl Literal {
    /// The type of the literal.
    #[must_use]
    pub const fn static_type(&self) -> Type {
        match self {
            Self::String(_) => Type::String,
            Self::Int(_) => Type::Int,
            Self::Float(_) => Type::Float,
            Self::Duration(_) => Type::Duration,
            Self::Bool(_) => Type::Bool,
            Self::Status(_) => Type::Status,
            Self::Kind(_) => Type::Kind,
        }
    }
}

impl Literal {
    /// The number as the samples of series are compared and computed with: a duration counts in
    /// seconds. `None` for what is no number.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "samples are 64-bit floats")]
    pub const fn as_sample(&self) -> Option<f64> {
        match self {
            Self::Int(value) => Some(*value as f64),
            Self::Float(value) => Some(*value),
            Self::Duration(ns) => Some(*ns as f64 / 1e9),
            Self::String(_) | Self::Bool(_) | Self::Status(_) | Self::Kind(_) => None,
        }
    }
}

impl Intrinsic {
    /// The type of its values. Those of the instrumentation scope count as untyped, like
    /// attributes.
    #[must_use]
    pub const fn static_type(self) -> Type {
        match self {
            Self::Duration
            | Self::SpanSelfTime
            | Self::TraceDuration
            | Self::EventTimeSinceStart => Type::Duration,
            Self::Name
            | Self::StatusMessage
            | Self::SpanId
            | Self::SpanParentId
            | Self::TraceId
            | Self::RootName
            | Self::RootServiceName
            | Self::EventName
            | Self::LinkTraceId
            | Self::LinkSpanId => Type::String,
            Self::SpanChildCount
            | Self::NestedSetLeft
            | Self::NestedSetRight
            | Self::NestedSetParent => Type::Int,
            Self::Status => Type::Status,
            Self::Kind => Type::Kind,
            Self::InstrumentationName | Self::InstrumentationVersion => Type::Attribute,
            Self::Parent => Type::Nil,
        }
    }
}

impl Attribute {
    /// The type of its values, [`Type::Attribute`] unless it is a typed intrinsic.
    #[must_use]
    pub const fn static_type(&self) -> Type {
        match self {
            Self::Intrinsic { intrinsic, .. } => intrinsic.static_type(),
            Self::Key { .. } => Type::Attribute,
        }
    }
}

impl FieldExpr {
    /// The type implied by operators, literals and intrinsics. It says what evaluation is *meant*
    /// to give: `1s + 1s` is a Duration here, although its value is a Float.
    #[must_use]
    pub fn static_type(&self) -> Type {
        match &self.kind {
            FieldExprKind::Literal(literal) => literal.static_type(),
            FieldExprKind::Attribute(attribute) => attribute.static_type(),
            FieldExprKind::Unary { operand, .. } => operand.static_type(),
            FieldExprKind::Binary { op, lhs, rhs } => {
                Type::of_binary(*op, lhs.static_type(), rhs.static_type())
            }
            FieldExprKind::NilTest { .. } => Type::Bool,
        }
    }
}

impl Aggregate {
    /// The type of its value.
    #[must_use]
    pub fn static_type(&self) -> Type {
        let argument = self
            .argument
            .as_ref()
            .map_or(Type::Int, FieldExpr::static_type);
        Type::of_aggregate(self.function, argument)
    }
}
