//! Field expressions on one span.
//!
//! A span has many events and links, an expression one value. Two readings settle it:
//!
//! - As a *condition*, what speaks of nothing but events holds if some event satisfies all of it:
//!   `event:name = "e" && event.x = 1` looks for one event with both. Such a condition is the
//!   largest part of the tree of `&&`, `||` and `!` that contains no `!` and compares only
//!   attributes of events. The same for links.
//! - As an *operand*, an event attribute is that of the first event. This is how a comparison of an
//!   event attribute with something else reads it.

use std::cell::RefCell;
use std::collections::HashMap;

use regex::Regex;
use storage::ids::TraceId;
use storage::model::{InstrumentationScope, Resource, Span};
use traceql::Dialect;
use traceql::ast::{BinaryOp, FieldExpr, FieldExprKind, Literal, UnaryOp};

use super::attributes::{Repeated, SpanView, repeated};
use super::error::RuntimeError;
use super::operators::{binary, regex, unary};
use super::trace::{SpanRef, Trace};
use super::value::Value;

/// Evaluates expressions; remembers the regular expressions it has compiled.
#[derive(Debug)]
pub struct Evaluator {
    dialect: Dialect,
    patterns: RefCell<HashMap<String, Regex>>,
}

impl Evaluator {
    /// The dialect whose rules it follows.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// An evaluator by the rules of the dialect.
    #[must_use]
    pub fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            patterns: RefCell::default(),
        }
    }

    /// `lhs op rhs`, for every operator but the regular expressions.
    ///
    /// # Errors
    /// As for [`binary`].
    pub fn binary(&self, op: BinaryOp, lhs: &Value, rhs: &Value) -> Result<Value, RuntimeError> {
        binary(op, lhs, rhs, self.dialect)
    }

    /// Whether `{ condition }` selects the span.
    ///
    /// # Errors
    /// An operator failed. `&&` and `||` evaluate both sides, so an error on either is an error.
    pub fn selects(&self, condition: &FieldExpr, view: SpanView<'_>) -> Result<bool, RuntimeError> {
        Ok(self.condition(condition, view)?.is_true())
    }

    /// What a condition without attributes selects: every span or none.
    ///
    /// # Errors
    /// As for [`Self::selects`].
    pub fn selects_as_constant(&self, condition: &FieldExpr) -> Result<bool, RuntimeError> {
        let (resource, scope, span) = (
            Resource::default(),
            InstrumentationScope::default(),
            Span::default(),
        );
        let trace = Trace::new(
            TraceId::default(),
            vec![SpanRef {
                resource: &resource,
                scope: &scope,
                span: &span,
            }],
        );
        self.selects(condition, SpanView::new(&trace, 0))
    }

    /// The value of an expression where a value is wanted: in `by(…)` and in aggregates.
    ///
    /// # Errors
    /// As for [`Self::selects`].
    pub fn value(&self, expr: &FieldExpr, view: SpanView<'_>) -> Result<Value, RuntimeError> {
        self.operand(expr, view)
    }

    fn condition(&self, expr: &FieldExpr, view: SpanView<'_>) -> Result<Value, RuntimeError> {
        match repeated_subject(expr) {
            Some(Repeated::Events) => return self.any(expr, view.with_each_event()),
            Some(Repeated::Links) => return self.any(expr, view.with_each_link()),
            None => {}
        }
        match &expr.kind {
            FieldExprKind::Binary {
                op: op @ (BinaryOp::And | BinaryOp::Or),
                lhs,
                rhs,
            } => self.binary(
                *op,
                &self.condition(lhs, view)?,
                &self.condition(rhs, view)?,
            ),
            FieldExprKind::Unary {
                op: UnaryOp::Not,
                operand,
            } => unary(UnaryOp::Not, &self.condition(operand, view)?),
            _ => self.operand(expr, view),
        }
    }

    /// Whether the expression is true for some view; looks at all of them, for one may raise.
    fn any<'a>(
        &self,
        expr: &FieldExpr,
        views: impl Iterator<Item = SpanView<'a>>,
    ) -> Result<Value, RuntimeError> {
        let mut found = false;
        for view in views {
            found |= self.operand(expr, view)?.is_true();
        }
        Ok(Value::Bool(found))
    }

    fn operand(&self, expr: &FieldExpr, view: SpanView<'_>) -> Result<Value, RuntimeError> {
        match &expr.kind {
            FieldExprKind::Literal(literal) => Ok(Value::of_literal(literal)),
            FieldExprKind::Attribute(name) => Ok(view.value(name)),
            FieldExprKind::Unary { op, operand } => unary(*op, &self.operand(operand, view)?),
            FieldExprKind::NilTest { operand: None, .. } => Ok(Value::Bool(false)),
            FieldExprKind::NilTest {
                operand: Some(operand),
                is_nil,
            } => {
                // The text "nil" as a literal is taken for absence.
                let is_the_text_nil = matches!(&operand.kind, FieldExprKind::Literal(Literal::String(text)) if text == "nil");
                let absent = is_the_text_nil || self.operand(operand, view)?.is_nil();
                Ok(Value::Bool(absent == *is_nil))
            }
            FieldExprKind::Binary {
                op: op @ (BinaryOp::Regex | BinaryOp::NotRegex),
                lhs,
                rhs,
            } => {
                let lhs = self.operand(lhs, view)?;
                let FieldExprKind::Literal(Literal::String(pattern)) = &rhs.kind else {
                    unreachable!("compilation admits only a string literal as pattern: {rhs:?}")
                };
                Ok(regex(*op == BinaryOp::NotRegex, &lhs, &|text| {
                    self.matches(pattern, text)
                }))
            }
            FieldExprKind::Binary { op, lhs, rhs } => {
                self.binary(*op, &self.operand(lhs, view)?, &self.operand(rhs, view)?)
            }
        }
    }

    fn matches(&self, pattern: &str, text: &str) -> bool {
        let mut patterns = self.patterns.borrow_mut();
        if !patterns.contains_key(pattern) {
            let compiled =
                traceql::compile_regex(pattern).expect("compilation has checked the pattern");
            patterns.insert(pattern.to_owned(), compiled);
        }
        patterns[pattern].is_match(text)
    }
}

/// Whether a condition speaks of nothing but events, or of nothing but links.
fn repeated_subject(expr: &FieldExpr) -> Option<Repeated> {
    match &expr.kind {
        FieldExprKind::Binary {
            op: BinaryOp::And | BinaryOp::Or,
            lhs,
            rhs,
        } => {
            let subject = repeated_subject(lhs)?;
            (repeated_subject(rhs)? == subject).then_some(subject)
        }
        FieldExprKind::Attribute(_)
        | FieldExprKind::Binary { .. }
        | FieldExprKind::NilTest { .. } => {
            let subjects: Vec<Option<Repeated>> =
                expr.attributes().into_iter().map(repeated).collect();
            let (&first, rest) = subjects.split_first()?;
            if rest.iter().all(|&it| it == first) {
                first
            } else {
                None
            }
        }
        FieldExprKind::Literal(_) | FieldExprKind::Unary { .. } => None,
    }
}
