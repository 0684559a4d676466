//! Pipelines of spansets. A scalar and an operand of spansets may hold a pipeline again, so all of
//! them are here.

use super::attribute::AttributeRef;
use super::field_expr::FieldExpr;
use super::literal::Literal;
use super::operator::{BinaryOp, ComparisonOp, SpansetOp};
use crate::text_range::TextRange;

/// Stages joined by `|`, never empty.
#[derive(Debug, Clone, PartialEq)]
pub struct Pipeline {
    /// The stages, left to right.
    pub stages: Vec<Stage>,
}

/// One stage of a spanset pipeline.
#[derive(Debug, Clone, PartialEq)]
pub enum Stage {
    /// `{…}` or an expression of spanset operators.
    Spansets(SpansetExpr),
    /// `count() > 2`.
    ScalarFilter(ScalarFilter),
    /// `by(expr)`.
    GroupBy(FieldExpr),
    /// `coalesce()`.
    Coalesce(TextRange),
    /// `select(a, b)`.
    Select(Vec<AttributeRef>),
}

/// An expression over the spansets of one trace.
#[derive(Debug, Clone, PartialEq)]
pub enum SpansetExpr {
    /// `{ condition }`; `None` is `{}`, which selects every span.
    Filter {
        /// The condition, if any.
        condition: Option<FieldExpr>,
        /// The braces and what is between them.
        range: TextRange,
    },
    /// `lhs op rhs`.
    Binary {
        /// The operator.
        op: SpansetOp,
        /// Left operand.
        lhs: Box<SpansetExpr>,
        /// Right operand.
        rhs: Box<SpansetExpr>,
        /// The whole expression.
        range: TextRange,
    },
    /// `( pipeline )`: only inside [`Body::PipelineExpr`](super::Body::PipelineExpr).
    Pipeline {
        /// The pipeline between the parentheses.
        pipeline: Pipeline,
        /// The parentheses and what is between them.
        range: TextRange,
    },
}

impl SpansetExpr {
    /// Where it stands.
    #[must_use]
    pub const fn range(&self) -> TextRange {
        match self {
            Self::Filter { range, .. }
            | Self::Binary { range, .. }
            | Self::Pipeline { range, .. } => *range,
        }
    }

    pub(crate) const fn set_range(&mut self, new: TextRange) {
        match self {
            Self::Filter { range, .. }
            | Self::Binary { range, .. }
            | Self::Pipeline { range, .. } => {
                *range = new;
            }
        }
    }
}

/// `lhs cmp rhs` over scalars.
#[derive(Debug, Clone, PartialEq)]
pub struct ScalarFilter {
    /// Left operand.
    pub lhs: ScalarExpr,
    /// The comparison.
    pub op: ComparisonOp,
    /// Right operand.
    pub rhs: ScalarExpr,
    /// The whole filter.
    pub range: TextRange,
}

/// A scalar of one spanset.
#[derive(Debug, Clone, PartialEq)]
pub enum ScalarExpr {
    /// `count()`, `avg(duration)`, …
    Aggregate(Aggregate),
    /// A number, its optional minus sign folded in.
    Number {
        /// Int, Float or Duration.
        value: Literal,
        /// Where it stands.
        range: TextRange,
    },
    /// `lhs op rhs`.
    Binary {
        /// The operator; always an arithmetic one.
        op: BinaryOp,
        /// Left operand.
        lhs: Box<ScalarExpr>,
        /// Right operand.
        rhs: Box<ScalarExpr>,
        /// The whole expression.
        range: TextRange,
    },
    /// `( pipeline | aggregate )`: only inside [`Body::ScalarPipelineFilter`](super::Body::ScalarPipelineFilter).
    Pipeline {
        /// The pipeline.
        pipeline: Pipeline,
        /// The aggregate of its spansets.
        aggregate: Aggregate,
        /// The parentheses and what is between them.
        range: TextRange,
    },
    /// A literal that is not a number; the grammar admits it only on the right of a
    /// [`Body::ScalarPipelineFilter`](super::Body::ScalarPipelineFilter).
    Literal {
        /// The literal.
        value: Literal,
        /// Where it stands.
        range: TextRange,
    },
}

impl ScalarExpr {
    /// Where it stands.
    #[must_use]
    pub const fn range(&self) -> TextRange {
        match self {
            Self::Aggregate(aggregate) => aggregate.range,
            Self::Number { range, .. }
            | Self::Binary { range, .. }
            | Self::Pipeline { range, .. }
            | Self::Literal { range, .. } => *range,
        }
    }

    pub(crate) const fn set_range(&mut self, new: TextRange) {
        match self {
            Self::Aggregate(aggregate) => aggregate.range = new,
            Self::Number { range, .. }
            | Self::Binary { range, .. }
            | Self::Pipeline { range, .. }
            | Self::Literal { range, .. } => *range = new,
        }
    }
}

/// `f(expr)` over the spans of one spanset.
#[derive(Debug, Clone, PartialEq)]
pub struct Aggregate {
    /// The function.
    pub function: AggregateFunction,
    /// Its argument; `None` exactly for `count()`.
    pub argument: Option<FieldExpr>,
    /// The whole call.
    pub range: TextRange,
}

/// Aggregates of a scalar filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AggregateFunction {
    /// `count()`
    Count,
    /// `min(e)`
    Min,
    /// `max(e)`
    Max,
    /// `avg(e)`
    Avg,
    /// `sum(e)`
    Sum,
}
