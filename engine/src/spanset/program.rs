//! A pipeline of spansets, made ready to run over the spans of one block.
//!
//! Everything that looks at a single span is an expression, evaluated by DataFusion on many rows at
//! once; a [`Program`] says how their results combine into spansets. Expressions stand in one list
//! and are referred to by their index, so that the same program can be shown with logical and run
//! with physical ones.

use std::sync::Arc;

use datafusion::logical_expr::Expr;
use traceql::Dialect;
use traceql::ast::{AggregateFunction, BinaryOp, ComparisonOp, Relation, SpansetOp};

use super::number::Number;
use super::relation::Kinship;
use crate::key::KeyKind;

/// Index of an expression of a program.
pub(crate) type ExpressionId = usize;

/// What turns the spans of a trace into spansets.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Program {
    /// What is done, in order, to a spanset of all spans of the trace.
    pub(crate) steps: Vec<Step>,
    /// The expressions that steps refer to.
    pub(crate) expressions: Vec<Expression>,
    /// Whose rules spans are related and scalars are computed by.
    pub(crate) dialect: Dialect,
}

/// Something that is evaluated on every span.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Expression {
    pub(crate) expr: Expr,
    /// Whether it can fail on some span: then it is evaluated only on spans that it is about.
    pub(crate) can_fail: bool,
}

/// One stage of a pipeline.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Step {
    /// Keeps the spans that an expression of spansets selects.
    Select(Term),
    /// Keeps the spansets for which a comparison holds.
    Filter(Box<ScalarFilter>),
    /// Splits every spanset by a value.
    GroupBy(GroupBy),
    /// Makes one spanset of all of a trace.
    Coalesce,
}

/// An expression of spansets: it selects some of the spans it is given.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Term {
    /// Every span.
    All,
    /// Spans for which a condition is true.
    Where(ExpressionId),
    /// What an operator makes of two selections.
    Combine {
        op: SpansetOp,
        lhs: Box<Term>,
        rhs: Box<Term>,
        /// As written, for errors.
        text: Arc<str>,
    },
    /// What a pipeline selects.
    Pipeline(Vec<Step>),
}

/// `by(value)`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct GroupBy {
    /// Name of the spanset attribute that holds the value.
    pub(crate) name: Arc<str>,
    pub(crate) key: ExpressionId,
    /// How the key is read.
    pub(crate) kind: KeyKind,
    /// Evaluated for the sake of its failures.
    pub(crate) failures: Vec<ExpressionId>,
}

/// `lhs op rhs` over the numbers of a spanset.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct ScalarFilter {
    pub(crate) lhs: Scalar,
    pub(crate) op: ComparisonOp,
    pub(crate) rhs: Scalar,
}

/// A number of a spanset.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Scalar {
    Number(Number),
    Aggregate(Aggregate),
    Binary {
        op: BinaryOp,
        lhs: Box<Scalar>,
        rhs: Box<Scalar>,
        /// As written, for errors.
        text: Arc<str>,
    },
    /// The aggregate of what a pipeline selects.
    Pipeline {
        steps: Vec<Step>,
        aggregate: Aggregate,
        /// As written, for errors.
        text: Arc<str>,
    },
}

/// `function(argument)` over the spans of a spanset.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Aggregate {
    pub(crate) function: AggregateFunction,
    /// `None` exactly for `count()`.
    pub(crate) argument: Option<Argument>,
    /// As written, which also names the spanset attribute that holds it.
    pub(crate) text: Arc<str>,
}

/// The values that are aggregated. On a span at most one of the columns has a value.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Argument {
    pub(crate) int: Option<ExpressionId>,
    /// Nanoseconds.
    pub(crate) duration: Option<ExpressionId>,
    pub(crate) float: Option<ExpressionId>,
    /// Whether a span has a value that is no number; only averages count those.
    pub(crate) other: Option<ExpressionId>,
    /// Evaluated for the sake of their failures.
    pub(crate) failures: Vec<ExpressionId>,
}

impl Program {
    /// What relates spans to each other in it.
    pub(crate) fn kinship(&self) -> Kinship {
        let uses = |wanted: fn(Relation) -> bool| {
            let mut steps = self.steps.iter();
            steps.any(|step| step.relates(wanted))
        };
        if !uses(|_| true) {
            return Kinship::None;
        }
        match self.dialect {
            Dialect::Tempo => Kinship::NestedSet,
            Dialect::Spandrel if uses(|relation| relation == Relation::Sibling) => {
                Kinship::NamedParents
            }
            Dialect::Spandrel => Kinship::Parents,
        }
    }
}

impl Step {
    /// Whether it has a structural operator of such a relation.
    fn relates(&self, wanted: fn(Relation) -> bool) -> bool {
        match self {
            Self::Select(term) => term.relates(wanted),
            Self::Filter(filter) => filter.lhs.relates(wanted) || filter.rhs.relates(wanted),
            Self::GroupBy(_) | Self::Coalesce => false,
        }
    }
}

impl Term {
    fn relates(&self, wanted: fn(Relation) -> bool) -> bool {
        match self {
            Self::All | Self::Where(_) => false,
            Self::Combine { op, lhs, rhs, .. } => {
                matches!(op, SpansetOp::Structural { relation, .. } if wanted(*relation))
                    || lhs.relates(wanted)
                    || rhs.relates(wanted)
            }
            Self::Pipeline(steps) => steps.iter().any(|step| step.relates(wanted)),
        }
    }
}

impl Scalar {
    fn relates(&self, wanted: fn(Relation) -> bool) -> bool {
        match self {
            Self::Number(_) | Self::Aggregate(_) => false,
            Self::Binary { lhs, rhs, .. } => lhs.relates(wanted) || rhs.relates(wanted),
            Self::Pipeline { steps, .. } => steps.iter().any(|step| step.relates(wanted)),
        }
    }
}
