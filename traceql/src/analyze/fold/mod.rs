//! Constant folding.
//!
//! An operator over literals becomes its value, by the rules of evaluation on a span, so that
//! folding never changes what a query means. What has no value without a span or no literal to be
//! written as stays: division by zero, and results that are not finite or not in range.

use crate::ast::{
    Aggregate, BinaryOp, Body, FieldExpr, FieldExprKind, Literal, MetricsExpr, MetricsQuery,
    MetricsStage, Pipeline, Query, ScalarExpr, ScalarFilter, SpansetExpr, Stage, UnaryOp,
};
use crate::dialect::Dialect;
use crate::limits::Limits;
use crate::regex;

/// Folds every constant of a query that has been validated.
pub(crate) fn fold(query: &mut Query, limits: &Limits) {
    let folder = Folder {
        dialect: query.dialect,
        limits,
    };
    match &mut query.body {
        Body::Search(pipeline) => folder.pipeline(pipeline),
        Body::PipelineExpr(spansets) => folder.spansets(spansets),
        Body::ScalarPipelineFilter(filter) => folder.scalar_filter(filter),
        Body::Metrics(metrics) => folder.metrics(metrics),
        Body::MetricsExpr(expr) => folder.metrics_expr(expr),
    }
}

struct Folder<'a> {
    dialect: Dialect,
    limits: &'a Limits,
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
                if let Some(value) = self.binary(*op, lhs, rhs)
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
                    .and_then(|(lhs, rhs)| self.binary(*op, lhs, rhs))
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

    fn binary(&self, op: BinaryOp, lhs: &Literal, rhs: &Literal) -> Option<Literal> {
        match (lhs, rhs) {
            (Literal::String(lhs), Literal::String(rhs)) => match op {
                BinaryOp::Regex => self.is_match(lhs, rhs).map(Literal::Bool),
                BinaryOp::NotRegex => self.is_match(lhs, rhs).map(|found| Literal::Bool(!found)),
                _ => compare(op, lhs, rhs),
            },
            (Literal::Int(lhs), Literal::Int(rhs)) => {
                compare(op, lhs, rhs).or_else(|| self.int_arithmetic(op, *lhs, *rhs))
            }
            (Literal::Bool(lhs), Literal::Bool(rhs)) => match op {
                BinaryOp::And => Some(Literal::Bool(*lhs && *rhs)),
                BinaryOp::Or => Some(Literal::Bool(*lhs || *rhs)),
                _ => equality(op, lhs, rhs),
            },
            (Literal::Status(lhs), Literal::Status(rhs)) => equality(op, lhs, rhs),
            (Literal::Kind(lhs), Literal::Kind(rhs)) => equality(op, lhs, rhs),
            _ => {
                let (lhs, rhs) = (as_float(lhs)?, as_float(rhs)?);
                compare(op, &lhs, &rhs).or_else(|| float_arithmetic(op, lhs, rhs))
            }
        }
    }

    fn int_arithmetic(&self, op: BinaryOp, lhs: i64, rhs: i64) -> Option<Literal> {
        let value = match op {
            BinaryOp::Add => lhs.wrapping_add(rhs),
            BinaryOp::Sub => lhs.wrapping_sub(rhs),
            BinaryOp::Mul => lhs.wrapping_mul(rhs),
            BinaryOp::Div if rhs != 0 => lhs.wrapping_div(rhs),
            BinaryOp::Mod if rhs != 0 => lhs.wrapping_rem(rhs),
            BinaryOp::Pow => match self.dialect {
                Dialect::Spandrel => int_power(lhs, rhs)?,
                // There the operands are swapped.
                Dialect::Tempo => int_power(rhs, lhs)?,
            },
            _ => return None,
        };
        Some(Literal::Int(value))
    }

    fn is_match(&self, text: &str, pattern: &str) -> Option<bool> {
        regex::compile_with_limits(pattern, self.limits)
            .ok()
            .map(|regex| regex.is_match(text))
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

const fn unary(op: UnaryOp, operand: &Literal) -> Option<Literal> {
    match (op, operand) {
        (UnaryOp::Neg, Literal::Int(value)) => Some(Literal::Int(value.wrapping_neg())),
        (UnaryOp::Neg, Literal::Float(value)) => Some(Literal::Float(-*value)),
        (UnaryOp::Neg, Literal::Duration(ns)) => Some(Literal::Duration(ns.wrapping_neg())),
        (UnaryOp::Not, Literal::Bool(value)) => Some(Literal::Bool(!*value)),
        _ => None,
    }
}

fn equality<T: PartialEq + ?Sized>(op: BinaryOp, lhs: &T, rhs: &T) -> Option<Literal> {
    match op {
        BinaryOp::Eq => Some(Literal::Bool(lhs == rhs)),
        BinaryOp::NotEq => Some(Literal::Bool(lhs != rhs)),
        _ => None,
    }
}

fn compare<T: PartialOrd + ?Sized>(op: BinaryOp, lhs: &T, rhs: &T) -> Option<Literal> {
    let holds = match op {
        BinaryOp::Lt => lhs < rhs,
        BinaryOp::LtEq => lhs <= rhs,
        BinaryOp::Gt => lhs > rhs,
        BinaryOp::GtEq => lhs >= rhs,
        _ => return equality(op, lhs, rhs),
    };
    Some(Literal::Bool(holds))
}

/// Computed on floats and truncated; a result that is no 64-bit integer is left to evaluation.
fn int_power(base: i64, exponent: i64) -> Option<i64> {
    let value = to_float(base).powf(to_float(exponent)).trunc();
    // Both bounds are powers of two, and exact.
    let is_in_range = (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&value);
    #[expect(clippy::cast_possible_truncation, reason = "whole and in range")]
    is_in_range.then_some(value as i64)
}

/// With a Float or Duration on either side; the result is never a Duration.
fn float_arithmetic(op: BinaryOp, lhs: f64, rhs: f64) -> Option<Literal> {
    let value = match op {
        BinaryOp::Add => lhs + rhs,
        BinaryOp::Sub => lhs - rhs,
        BinaryOp::Mul => lhs * rhs,
        BinaryOp::Div => lhs / rhs,
        BinaryOp::Mod => lhs % rhs,
        BinaryOp::Pow => lhs.powf(rhs),
        _ => return None,
    };
    value.is_finite().then_some(Literal::Float(value))
}

const fn as_float(literal: &Literal) -> Option<f64> {
    match literal {
        Literal::Int(value) | Literal::Duration(value) => Some(to_float(*value)),
        Literal::Float(value) => Some(*value),
        Literal::String(_) | Literal::Bool(_) | Literal::Status(_) | Literal::Kind(_) => None,
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "mixed arithmetic is defined on 64-bit floats"
)]
const fn to_float(value: i64) -> f64 {
    value as f64
}

#[cfg(test)]
mod tests {
    use crate::{Dialect, compile, compile_with};

    fn folded(condition: &str) -> String {
        folded_in(Dialect::default(), condition)
    }

    fn folded_in(dialect: Dialect, condition: &str) -> String {
        let query = compile_with(&format!("{{ {condition} }}"), &dialect.into()).unwrap();
        let text = query.to_string();
        text.trim_start_matches("{ ")
            .trim_end_matches(" }")
            .to_owned()
    }

    #[test]
    fn constants_fold() {
        for (condition, expected) in [
            (".a = 2 ^ 3", ".a = 8"),
            (".a = 2 ^ -1", ".a = 0"),
            (".a = (-2) ^ 3", ".a = -8"),
            (".a = 0 ^ 0", ".a = 1"),
            (".a = 2.0 ^ 3", ".a = 8.0"),
            (".a = -3 ^ 2", ".a = -9"),
            (".a = 1s + 500ms", ".a = 1500000000.0"),
            (".a = 7 / 2", ".a = 3"),
            (".a = -7 / 2", ".a = -3"),
            (".a = (-7) % 2", ".a = -1"),
            (".a = minInt - 1", ".a = 9223372036854775807"),
            (".a = -minInt", ".a = minInt"),
            (".a = minInt / -1", ".a = minInt"),
            (".a = -1.5s", ".a = -1.5s"),
            ("10ms * 3 = 30ms", "true"),
            ("1 = 1.0", "true"),
            ("\"a\" < \"b\"", "true"),
            ("\"abc\" =~ \"b\"", "false"),
            ("\"abc\" !~ \"b\"", "true"),
            ("error != ok && server = server", "true"),
            ("!(1 = 1) || false", "false"),
            ("\"nil\" = nil", "true"),
            ("\"nil\" != nil", "false"),
            ("1 = nil", "false"),
            ("1 != nil", "true"),
            ("nil = nil", "false"),
            ("nil != nil", "false"),
            ("(nil != nil) = false", "true"),
            (".a - 1 < .b * 2 ^ 3 % 5", ".a - 1 < .b * 8 % 5"),
        ] {
            assert_eq!(folded(condition), expected, "{condition}");
        }
    }

    #[test]
    fn what_has_no_value_or_no_text_stays() {
        for condition in [
            ".a = 1 / 0",
            ".a = 1 % 0",
            ".a = 1.0 / 0",
            ".a = 1.0 % 0",
            ".a = 1e308 * 10.0",
            ".a = 2 ^ 64",
            ".a = 0 ^ -1",
            ".a || true",
            ".a + 1 = nil",
        ] {
            assert_eq!(folded(condition), condition);
        }
    }

    #[test]
    fn tempo_swaps_the_operands_of_an_integer_power() {
        for (condition, expected) in [
            (".a = 2 ^ 3", ".a = 9"),
            (".a = 2.0 ^ 3", ".a = 8.0"),
            (".a = -3 ^ 2", ".a = -8"),
            (".a = 64 ^ 2", ".a = 64 ^ 2"),
        ] {
            assert_eq!(
                folded_in(Dialect::Tempo, condition),
                expected,
                "{condition}"
            );
        }
    }

    #[test]
    fn scalars_fold() {
        for (query, expected) in [
            ("{ } | count() > 1 + 2 * 3", "{ } | count() > 7"),
            ("{ } | 2 ^ 3 < count()", "{ } | 8 < count()"),
            (
                "{ } | avg(duration) > 1s * 2",
                "{ } | avg(duration) > 2000000000.0",
            ),
            ("{ } | count() + (1 - 3) > 0", "{ } | count() + -2 > 0"),
            ("({ } | count()) > 2", "({ } | count()) > 2"),
            ("{ } | count() > 1 / 0", "{ } | count() > 1 / 0"),
            // There is no way to write the smallest integer.
            (
                "{ } | count() > -9223372036854775807 - 1",
                "{ } | count() > -9223372036854775807 - 1",
            ),
        ] {
            assert_eq!(compile(query).unwrap().to_string(), expected, "{query}");
        }
    }

    #[test]
    fn numbers_beside_series_fold_as_floats() {
        for (query, expected) in [
            ("({ } | rate()) * (7 / 2)", "({ } | rate()) * 3.5"),
            ("-2 ^ 2 + ({ } | rate())", "-4.0 + ({ } | rate())"),
            ("({ } | rate()) / 1m * 1m", "({ } | rate()) / 1m0s * 1m0s"),
            ("({ } | rate()) / (1m * 2)", "({ } | rate()) / 120.0"),
            ("({ } | rate()) * 1 / 0", "({ } | rate()) * 1 / 0"),
            ("({ } | rate()) * (1 / 0)", "({ } | rate()) * (1 / 0)"),
            ("({ 1 = 1 } | rate()) > 1", "({ true } | rate()) > 1"),
        ] {
            assert_eq!(compile(query).unwrap().to_string(), expected, "{query}");
        }
    }
}
