//! Metrics queries, and arithmetic on their series.

use super::attribute::AttributeRef;
use super::field_expr::FieldExpr;
use super::literal::Literal;
use super::operator::{BinaryOp, ComparisonOp};
use super::pipeline::Pipeline;
use crate::text_range::TextRange;

/// Arithmetic on finished series.
#[derive(Debug, Clone, PartialEq)]
pub enum MetricsExpr {
    /// `( metrics query )`.
    Query {
        /// The query between the parentheses.
        query: Box<MetricsQuery>,
        /// The parentheses and what is between them.
        range: TextRange,
    },
    /// A number, which is the same at any time, its minus sign folded in; a duration counts in
    /// seconds.
    Number {
        /// Int, Float or Duration.
        value: Literal,
        /// Where it stands.
        range: TextRange,
    },
    /// `-operand`, of anything but a number.
    Negative {
        /// The operand.
        operand: Box<MetricsExpr>,
        /// The whole expression.
        range: TextRange,
    },
    /// `lhs op rhs`.
    Binary {
        /// The operator; always an arithmetic one.
        op: BinaryOp,
        /// Left operand.
        lhs: Box<MetricsExpr>,
        /// Right operand.
        rhs: Box<MetricsExpr>,
        /// The whole expression.
        range: TextRange,
    },
    /// `operand > 0.5 | topk(3)`: second stages of an expression.
    Narrowed {
        /// What the stages narrow.
        operand: Box<MetricsExpr>,
        /// The stages, left to right, never empty.
        stages: Vec<SecondStage>,
        /// The whole expression.
        range: TextRange,
    },
}

impl MetricsExpr {
    /// Where it stands.
    #[must_use]
    pub const fn range(&self) -> TextRange {
        match self {
            Self::Query { range, .. }
            | Self::Number { range, .. }
            | Self::Negative { range, .. }
            | Self::Binary { range, .. }
            | Self::Narrowed { range, .. } => *range,
        }
    }

    pub(crate) const fn set_range(&mut self, new: TextRange) {
        match self {
            Self::Query { range, .. }
            | Self::Number { range, .. }
            | Self::Negative { range, .. }
            | Self::Binary { range, .. }
            | Self::Narrowed { range, .. } => *range = new,
        }
    }
}

/// `pipeline | stage | second stages`.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricsQuery {
    /// Selects the spans.
    pub pipeline: Pipeline,
    /// Turns spans into series.
    pub stage: MetricsStage,
    /// Narrows the series, left to right.
    pub second_stages: Vec<SecondStage>,
}

/// The stage that turns spans into series.
#[derive(Debug, Clone, PartialEq)]
pub enum MetricsStage {
    /// Every function but `compare`.
    Aggregate(MetricsAggregate),
    /// `compare({…}, top_n, start, end)`.
    Compare(Compare),
}

/// `function(argument) by (…)`.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricsAggregate {
    /// The function, with its own parameters.
    pub function: MetricsFunction,
    /// The aggregated attribute; `None` exactly for `rate()` and `count_over_time()`.
    pub argument: Option<AttributeRef>,
    /// Grouping, in order; empty without `by`.
    pub by: Vec<AttributeRef>,
    /// The whole stage.
    pub range: TextRange,
}

/// The aggregating functions.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the variants say their TraceQL name")]
pub enum MetricsFunction {
    Rate,
    CountOverTime,
    MinOverTime,
    MaxOverTime,
    AvgOverTime,
    SumOverTime,
    HistogramOverTime,
    QuantileOverTime {
        /// The quantiles, in order, as written.
        quantiles: Vec<f64>,
    },
}

/// `compare({ selection }, top_n, start_ns, end_ns)`.
#[derive(Debug, Clone, PartialEq)]
pub struct Compare {
    /// The filter that makes a span part of the selection; `None` for `{}`.
    pub selection: Option<FieldExpr>,
    /// Values kept per attribute and side; 10 where not given.
    pub top_n: i64,
    /// Selection window `(start, end]` in epoch ns; zeros where not given.
    pub window_ns: (i64, i64),
    /// The whole stage.
    pub range: TextRange,
}

/// Stages that follow the metrics stage.
#[derive(Debug, Clone, PartialEq)]
pub enum SecondStage {
    /// `| topk(n)`
    TopK {
        /// How many series to keep per timestamp.
        limit: i64,
        /// The whole stage.
        range: TextRange,
    },
    /// `| bottomk(n)`
    BottomK {
        /// How many series to keep per timestamp.
        limit: i64,
        /// The whole stage.
        range: TextRange,
    },
    /// `> 0.5`
    Filter {
        /// The comparison.
        op: ComparisonOp,
        /// Int, Float or Duration, its optional minus sign folded in.
        value: Literal,
        /// The whole stage.
        range: TextRange,
    },
}
