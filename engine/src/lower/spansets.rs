//! Pipelines of spansets to programs.

use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::Expr;
use traceql::ast::{self, FieldExpr, FieldExprKind, Literal, ScalarExpr, SpansetExpr, Stage};

use super::keys::spanset_key;
use super::layout::Layout;
use super::value::{Predicate, Value};
use crate::spanset::number::Number;
use crate::spanset::program::{
    Aggregate, Argument, Expression, ExpressionId, GroupBy, Program, Scalar, ScalarFilter, Step,
    Term,
};
use crate::types::Type;

/// Lowers stages for one block.
pub(crate) fn lower_stages(stages: &[Stage], layout: &Layout<'_>) -> Result<Program> {
    let mut lowering = Lowering {
        layout,
        expressions: Vec::new(),
    };
    let steps = lowering.steps(stages)?;
    Ok(Program {
        steps,
        expressions: lowering.expressions,
        dialect: layout.dialect,
    })
}

struct Lowering<'a> {
    layout: &'a Layout<'a>,
    expressions: Vec<Expression>,
}

impl Lowering<'_> {
    fn steps(&mut self, stages: &[Stage]) -> Result<Vec<Step>> {
        let mut steps = Vec::new();
        for stage in stages {
            steps.push(match stage {
                Stage::Spansets(expr) => Step::Select(self.term(expr)?),
                Stage::ScalarFilter(filter) => Step::Filter(Box::new(ScalarFilter {
                    lhs: self.scalar(&filter.lhs)?,
                    op: filter.op,
                    rhs: self.scalar(&filter.rhs)?,
                })),
                Stage::GroupBy(expr) => Step::GroupBy(self.group_by(expr)?),
                Stage::Coalesce(_) => Step::Coalesce,
                // It says what to show of the spans, not which.
                Stage::Select(_) => continue,
            });
        }
        Ok(steps)
    }

    fn term(&mut self, expr: &SpansetExpr) -> Result<Term> {
        match expr {
            SpansetExpr::Filter { condition, .. } => match condition {
                None => Ok(Term::All),
                Some(condition) => self.condition(condition),
            },
            SpansetExpr::Binary { op, lhs, rhs, .. } => Ok(Term::Combine {
                op: *op,
                lhs: Box::new(self.term(lhs)?),
                rhs: Box::new(self.term(rhs)?),
                text: expr.to_string().into(),
            }),
            SpansetExpr::Pipeline { pipeline, .. } => {
                Ok(Term::Pipeline(self.steps(&pipeline.stages)?))
            }
        }
    }

    fn condition(&mut self, condition: &FieldExpr) -> Result<Term> {
        if condition.kind == FieldExprKind::Literal(Literal::Bool(true)) {
            return Ok(Term::All);
        }
        let Predicate { expr, can_fail } = self.layout.predicate(condition)?;
        Ok(Term::Where(self.add(expr, can_fail)))
    }

    fn group_by(&mut self, expr: &FieldExpr) -> Result<GroupBy> {
        let value = self.layout.value(expr)?;
        let (can_fail, failures) = (value.can_fail, value.failures.clone());
        let (key, kind) = spanset_key(value);
        Ok(GroupBy {
            name: format!("by({expr})").into(),
            key: self.add(key, can_fail),
            kind,
            failures: self.add_all(failures),
        })
    }

    fn scalar(&mut self, expr: &ScalarExpr) -> Result<Scalar> {
        Ok(match expr {
            ScalarExpr::Aggregate(aggregate) => Scalar::Aggregate(self.aggregate(aggregate)?),
            ScalarExpr::Number { value, .. } | ScalarExpr::Literal { value, .. } => {
                let number = Number::of(value).ok_or_else(|| {
                    DataFusionError::Internal(format!("a scalar is compared with {value}"))
                })?;
                Scalar::Number(number)
            }
            ScalarExpr::Binary { op, lhs, rhs, .. } => Scalar::Binary {
                op: *op,
                lhs: Box::new(self.scalar(lhs)?),
                rhs: Box::new(self.scalar(rhs)?),
                text: expr.to_string().into(),
            },
            ScalarExpr::Pipeline {
                pipeline,
                aggregate,
                ..
            } => Scalar::Pipeline {
                steps: self.steps(&pipeline.stages)?,
                aggregate: self.aggregate(aggregate)?,
                text: expr.to_string().into(),
            },
        })
    }

    fn aggregate(&mut self, aggregate: &ast::Aggregate) -> Result<Aggregate> {
        let argument = match &aggregate.argument {
            None => None,
            Some(argument) => {
                let value = self.layout.value(argument)?;
                Some(self.argument(value))
            }
        };
        Ok(Aggregate {
            function: aggregate.function,
            argument,
            text: aggregate.to_string().into(),
        })
    }

    fn argument(&mut self, value: Value) -> Argument {
        let can_fail = value.can_fail;
        let mut argument = Argument::default();
        let mut others: Option<Expr> = None;
        for alternative in &value.alternatives {
            let slot = match alternative.value_type {
                Type::Int => &mut argument.int,
                Type::Duration => &mut argument.duration,
                Type::Float => &mut argument.float,
                _ => {
                    let present = alternative.expr.clone().is_not_null();
                    others = Some(match others {
                        None => present,
                        Some(before) => before.or(present),
                    });
                    continue;
                }
            };
            *slot = Some(add(
                &mut self.expressions,
                alternative.expr.clone(),
                can_fail,
            ));
        }
        argument.other = others.map(|others| self.add(others, can_fail));
        argument.failures = self.add_all(value.failures);
        argument
    }

    fn add_all(&mut self, expressions: Vec<Expr>) -> Vec<ExpressionId> {
        let add = |expr| self.add(expr, true);
        expressions.into_iter().map(add).collect()
    }

    fn add(&mut self, expr: Expr, can_fail: bool) -> ExpressionId {
        add(&mut self.expressions, expr, can_fail)
    }
}

/// The number of an expression, the same for the same one.
fn add(expressions: &mut Vec<Expression>, expr: Expr, can_fail: bool) -> ExpressionId {
    let expression = Expression { expr, can_fail };
    let held = expressions.iter().position(|held| *held == expression);
    held.unwrap_or_else(|| {
        expressions.push(expression);
        expressions.len() - 1
    })
}
