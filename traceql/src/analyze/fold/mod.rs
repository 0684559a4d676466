//! Constant folding.
//!
//! An operator over literals becomes its value, by the rules of evaluation on a span, so that
//! folding never changes what a query means. What has no value without a span or no literal to be
//! written as stays: division by zero, and results that are not finite or not in range.

mod operators;
#[cfg(test)]
mod tests;

use self::operators::{Operators, float_arithmetic, unary};
use crate::ast::{
    Aggregate, Body, FieldExpr, FieldExprKind, Literal, MetricsExpr, MetricsQuery, MetricsStage,
    Pipeline, Query, ScalarExpr, ScalarFilter, SpansetExpr, Stage,
};
use crate::limits::Limits;

/// Folds every constant of a query that has been validated.
pub(crate) fn fold(query: &mut Query, limits: &Limits) {
    let operators = Operators {
        dialect: query.dialect,
        limits,
    };
    let folder = Folder { operators };
    match &mut query.body {
        Body::Search(pipeline) => folder.pipeline(pipeline),
        Body::PipelineExpr(spansets) => folder.spansets(spansets),
        Body::ScalarPipelineFilter(filter) => folder.scalar_filter(filter),
        Body::Metrics(metrics) => folder.metrics(metrics),
        Body::MetricsExpr(expr) => folder.metrics_expr(expr),
    }
}

struct Folder<'a> {
    operators: Operators<'a>,
}

impl Folder<'_> {
    fn pipeline(&self, pipeline: &mut Pipeline) {
        for stage in &mut pipeline.stages {
            match stage {
                Stage::Spansets(spansets) => self.spansets(spansets),
                Stage::ScalarFilter(filter) => self.scalar_filter(filter),
                Stage::GroupBy(key) => self.field_expr(key),
                Stage::Coalesce(_) | Stage::Select(_) => {}
            }
        }
    }

    fn spansets(&self, spansets: &mut SpansetExpr) {
        match spansets {
            SpansetExpr::Filter { condition, .. } => self.optional(condition.as_mut()),
            SpansetExpr::Binary { lhs, rhs, .. } => {
                self.spansets(lhs);
                self.spansets(rhs);
            }
            SpansetExpr::Pipeline { pipeline, .. } => self.pipeline(pipeline),
        }
    }

    fn metrics(&self, metrics: &mut MetricsQuery) {
        self.pipeline(&mut metrics.pipeline);
        if let MetricsStage::Compare(compare) = &mut metrics.stage {
            self.optional(compare.selection.as_mut());
        }
    }

    /// Samples are floats, and so are the numbers beside them.
    fn metrics_expr(&self, expr: &mut MetricsExpr) {
        let value = match expr {
            MetricsExpr::Query { query, .. } => {
                self.metrics(query);
                None
            }
            MetricsExpr::Number { .. } => None,
            MetricsExpr::Negative { operand, .. } => {
                self.metrics_expr(operand);
                sample(operand).map(|value| Literal::Float(-value))
            }
            MetricsExpr::Binary { op, lhs, rhs, .. } => {
                self.metrics_expr(lhs);
                self.metrics_expr(rhs);
                sample(lhs)
                    .zip(sample(rhs))
                    .and_then(|(lhs, rhs)| float_arithmetic(*op, lhs, rhs))
            }
            MetricsExpr::Narrowed { operand, .. } => {
                self.metrics_expr(operand);
                None
            }
        };
        if let Some(value) = value {
            let range = expr.range();
            *expr = MetricsExpr::Number { value, range };
        }
    }

    fn scalar_filter(&self, filter: &mut ScalarFilter) {
        self.scalar(&mut filter.lhs);
        self.scalar(&mut filter.rhs);
    }

    fn scalar(&self, scalar: &mut ScalarExpr) {
        match scalar {
            ScalarExpr::Aggregate(aggregate) => self.aggregate(aggregate),
            ScalarExpr::Binary {
                op,
                lhs,
                rhs,
                range,
            } => {
                self.scalar(lhs);
                self.scalar(rhs);
                let (ScalarExpr::Number { value: lhs, .. }, ScalarExpr::Number { value: rhs, .. }) =
                    (lhs.as_ref(), rhs.as_ref())
                else {
                    return;
                };
                // The smallest integer has a name only on spans.
                if let Some(value) = self.operators.binary(*op, lhs, rhs)
                    && value != Literal::Int(i64::MIN)
                {
                    let range = *range;
                    *scalar = ScalarExpr::Number { value, range };
                }
            }
            ScalarExpr::Pipeline {
                pipeline,
                aggregate,
                ..
            } => {
                self.pipeline(pipeline);
                self.aggregate(aggregate);
            }
            ScalarExpr::Number { .. } | ScalarExpr::Literal { .. } => {}
        }
    }

    fn aggregate(&self, aggregate: &mut Aggregate) {
        self.optional(aggregate.argument.as_mut());
    }

    fn optional(&self, expr: Option<&mut FieldExpr>) {
        if let Some(expr) = expr {
            self.field_expr(expr);
        }
    }

    fn field_expr(&self, expr: &mut FieldExpr) {
        let value = match &mut expr.kind {
            FieldExprKind::Literal(_) | FieldExprKind::Attribute(_) => None,
            FieldExprKind::Unary { op, operand } => {
                self.field_expr(operand);
                literal(operand).and_then(|operand| unary(*op, operand))
            }
            FieldExprKind::Binary { op, lhs, rhs } => {
                self.field_expr(lhs);
                self.field_expr(rhs);
                literal(lhs)
                    .zip(literal(rhs))
                    .and_then(|(lhs, rhs)| self.operators.binary(*op, lhs, rhs))
            }
            // Nil is neither absent nor present.
            FieldExprKind::NilTest { operand: None, .. } => Some(Literal::Bool(false)),
            FieldExprKind::NilTest {
                operand: Some(operand),
                is_nil,
            } => {
                self.field_expr(operand);
                literal(operand).map(|operand| {
                    // Absence is carried as the text "nil", which the text itself cannot be told
                    // from.
                    let is_absent = matches!(operand, Literal::String(text) if text == "nil");
                    Literal::Bool(is_absent == *is_nil)
                })
            }
        };
        if let Some(value) = value {
            expr.kind = FieldExprKind::Literal(value);
        }
    }
}

const fn literal(expr: &FieldExpr) -> Option<&Literal> {
    match &expr.kind {
        FieldExprKind::Literal(literal) => Some(literal),
        FieldExprKind::Attribute(_)
        | FieldExprKind::Unary { .. }
        | FieldExprKind::Binary { .. }
        | FieldExprKind::NilTest { .. } => None,
    }
}

const fn sample(expr: &MetricsExpr) -> Option<f64> {
    match expr {
        MetricsExpr::Number { value, .. } => value.as_sample(),
        MetricsExpr::Query { .. }
        | MetricsExpr::Negative { .. }
        | MetricsExpr::Binary { .. }
        | MetricsExpr::Narrowed { .. } => None,
    }
}
