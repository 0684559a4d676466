//! The syntax tree of a TraceQL query.
//!
//! Every node that a diagnostic can point at carries the [`TextRange`] it was written at. Ranges are
//! positions, not meaning: comparing two trees ignores them, so that printing a query and parsing it
//! again gives an equal tree.
//!
//! In reading order, from the ground up: `literal`, `attribute` and `operator`; `field_expr`, which is
//! evaluated on a span; `pipeline` for a trace; `metrics` for series; and the whole query, here.

mod attribute;
mod field_expr;
mod literal;
mod metrics;
mod operator;
mod pipeline;

pub use self::attribute::{Attribute, AttributeRef, Intrinsic, Scope};
pub use self::field_expr::{FieldExpr, FieldExprKind};
pub use self::literal::{Kind, Literal, Status};
pub use self::metrics::{
    Compare, MetricsAggregate, MetricsExpr, MetricsFunction, MetricsQuery, MetricsStage,
    SecondStage,
};
pub use self::operator::{BinaryOp, ComparisonOp, Relation, SpansetOp, StructuralForm, UnaryOp};
pub use self::pipeline::{
    Aggregate, AggregateFunction, Pipeline, ScalarExpr, ScalarFilter, SpansetExpr, Stage,
};
use crate::dialect::Dialect;
use crate::text_range::TextRange;

/// A whole query: what to select, and the hints of its last `with(…)` group.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// The rules it was read by, which are those to evaluate it by.
    pub dialect: Dialect,
    /// What the query selects or computes.
    pub body: Body,
    /// The hints of the last `with(…)` group; earlier groups have no effect and are not kept.
    pub hints: Vec<Hint>,
}

impl Query {
    /// The metrics query, if it is one.
    #[must_use]
    pub const fn metrics(&self) -> Option<&MetricsQuery> {
        match &self.body {
            Body::Metrics(metrics) => Some(metrics),
            Body::Search(_)
            | Body::PipelineExpr(_)
            | Body::ScalarPipelineFilter(_)
            | Body::MetricsExpr(_) => None,
        }
    }
}

/// The five forms of a query.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// A search: spansets, one list per trace.
    Search(Pipeline),
    /// A search whose operands are parenthesised pipelines: `({…} | count() > 1) && ({…})`.
    PipelineExpr(SpansetExpr),
    /// `({…} | count()) > 2`: a search that compares scalars of parenthesised pipelines.
    ScalarPipelineFilter(ScalarFilter),
    /// A metrics query: a pipeline of spansets that is counted or aggregated over time.
    Metrics(MetricsQuery),
    /// `({…} | rate()) / ({…} | rate())`: arithmetic on the series of metrics queries, each in
    /// parentheses. Only in [`Dialect::Spandrel`].
    MetricsExpr(MetricsExpr),
}

/// `name = value` inside `with(…)`.
#[derive(Debug, Clone, PartialEq)]
pub struct Hint {
    /// The hint's name; unknown ones are kept.
    pub name: String,
    /// Its value.
    pub value: Literal,
    /// The whole hint.
    pub range: TextRange,
}
