//! Canonical text: one way to write each query.
//!
//! Parsing what is printed gives an equal tree. Parentheses are printed only where the grammar needs
//! them, so that no query is nested more deeply after printing than before; [`Query::explicit`]
//! prints them around every operator, to show how a query was understood.
//!
//! A literal that only constant folding produces, such as a negative number, prints as the shortest
//! expression that folds to it. Folding never produces a float that has no such text.

mod leaf;
mod operand;

use std::fmt::{self, Display, Formatter, Write};

use self::operand::{Operand, Parens, Place, Printed};
use crate::ast::{
    Aggregate, AttributeRef, Body, Compare, FieldExpr, Hint, MetricsAggregate, MetricsFunction,
    MetricsQuery, MetricsStage, Pipeline, Query, ScalarExpr, ScalarFilter, SecondStage,
    SpansetExpr, Stage,
};

impl Query {
    /// The query with parentheses around every operator that is an operand. It parses to the same
    /// query, as far as [`Limits::max_depth`](crate::Limits::max_depth) allows the parentheses.
    #[must_use]
    pub fn explicit(&self) -> String {
        ExplicitQuery(self).to_string()
    }

    fn print(&self, parens: Parens, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.body {
            Body::Search(pipeline) => pipeline.print(parens, f)?,
            Body::PipelineExpr(spansets) => spansets.print_bare(Place::alone(parens), f)?,
            Body::ScalarPipelineFilter(filter) => filter.print(parens, f)?,
            Body::Metrics(metrics) => metrics.print(parens, f)?,
            Body::MetricsExpr(expr) => expr.print_bare(Place::alone(parens), f)?,
        }
        if self.hints.is_empty() {
            return Ok(());
        }
        f.write_str(" with(")?;
        separated(&self.hints, f)?;
        f.write_char(')')
    }
}

struct ExplicitQuery<'a>(&'a Query);

impl Display for ExplicitQuery<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.0.print(Parens::Everywhere, f)
    }
}

impl Display for Query {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.print(Parens::WhereNeeded, f)
    }
}

impl MetricsQuery {
    fn print(&self, parens: Parens, f: &mut Formatter<'_>) -> fmt::Result {
        self.pipeline.print(parens, f)?;
        f.write_str(" | ")?;
        match &self.stage {
            MetricsStage::Aggregate(aggregate) => aggregate.fmt(f)?,
            MetricsStage::Compare(compare) => compare.print(parens, f)?,
        }
        self.second_stages.iter().try_for_each(|stage| stage.fmt(f))
    }
}

impl Pipeline {
    fn print(&self, parens: Parens, f: &mut Formatter<'_>) -> fmt::Result {
        for (index, stage) in self.stages.iter().enumerate() {
            if index > 0 {
                f.write_str(" | ")?;
            }
            match stage {
                Stage::Spansets(spansets) => spansets.print_bare(Place::alone(parens), f)?,
                Stage::ScalarFilter(filter) => filter.print(parens, f)?,
                Stage::GroupBy(key) => write!(f, "by({})", Printed(key, parens))?,
                Stage::Coalesce(_) => f.write_str("coalesce()")?,
                Stage::Select(attributes) => {
                    f.write_str("select(")?;
                    separated(attributes, f)?;
                    f.write_char(')')?;
                }
            }
        }
        Ok(())
    }
}

impl Display for Pipeline {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.print(Parens::WhereNeeded, f)
    }
}

fn print_filter(
    condition: Option<&FieldExpr>,
    parens: Parens,
    f: &mut Formatter<'_>,
) -> fmt::Result {
    match condition {
        Some(condition) => write!(f, "{{ {} }}", Printed(condition, parens)),
        None => f.write_str("{ }"),
    }
}

impl ScalarFilter {
    fn print(&self, parens: Parens, f: &mut Formatter<'_>) -> fmt::Result {
        self.lhs.print(Place::alone(parens), f)?;
        write!(f, " {} ", self.op)?;
        self.rhs.print(Place::alone(parens), f)
    }
}

impl Aggregate {
    fn print(&self, parens: Parens, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.argument {
            Some(argument) => write!(f, "{}({})", self.function, Printed(argument, parens)),
            None => write!(f, "{}()", self.function),
        }
    }
}

/// The text that names the aggregate's value in results: `count()`, `avg(duration)`.
impl Display for Aggregate {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.print(Parens::WhereNeeded, f)
    }
}

/// The text that names the expression in errors.
impl Display for SpansetExpr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.print(Place::alone(Parens::WhereNeeded), f)
    }
}

/// The text that names the operand in errors.
impl Display for ScalarExpr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.print(Place::alone(Parens::WhereNeeded), f)
    }
}

/// The text that names a group in results: `by(…)` with this between the parentheses.
impl Display for FieldExpr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.print_bare(Place::alone(Parens::WhereNeeded), f)
    }
}

impl Display for MetricsAggregate {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}(", self.function.as_str())?;
        if let Some(argument) = &self.argument {
            argument.fmt(f)?;
        }
        if let MetricsFunction::QuantileOverTime { quantiles } = &self.function {
            for quantile in quantiles {
                write!(f, ", {quantile:?}")?;
            }
        }
        f.write_char(')')?;
        if !self.by.is_empty() {
            f.write_str(" by(")?;
            separated(&self.by, f)?;
            f.write_char(')')?;
        }
        Ok(())
    }
}

impl Compare {
    fn print(&self, parens: Parens, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("compare(")?;
        print_filter(self.selection.as_ref(), parens, f)?;
        write!(f, ", {}", self.top_n)?;
        if self.window_ns != (0, 0) {
            write!(f, ", {}, {}", self.window_ns.0, self.window_ns.1)?;
        }
        f.write_char(')')
    }
}

/// With the separator from what stands before: a filter takes no `|`.
impl Display for SecondStage {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::TopK { limit, .. } => write!(f, " | topk({limit})"),
            Self::BottomK { limit, .. } => write!(f, " | bottomk({limit})"),
            Self::Filter { op, value, .. } => write!(f, " {op} {value}"),
        }
    }
}

impl Display for Hint {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.name, self.value)
    }
}

impl Display for AttributeRef {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.attribute.fmt(f)
    }
}

fn separated<T: Display>(items: &[T], f: &mut Formatter<'_>) -> fmt::Result {
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            f.write_str(", ")?;
        }
        item.fmt(f)?;
    }
    Ok(())
}
