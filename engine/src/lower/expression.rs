//! Field expressions to DataFusion expressions.
//!
//! A condition is lowered to a *predicate*: a boolean expression in which null counts as false, so
//! that the comparison of a nullable column with a constant is just that and can be used to prune.
//! Where the difference shows (under `!`, or as a value) null is made false first.

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{Expr, Operator, binary_expr, lit, when};
use storage::schema::names;
use traceql::ast::{
    Attribute, BinaryOp, FieldExpr, FieldExprKind, Intrinsic, Kind, Literal, Status, UnaryOp,
};

use super::layout::{Layout, RESOLVED_PARENT_ID, Row, arrow_type, column};
use super::scope::nested_of;
use super::value::{Alternative, Type, Value, cast, either};
use crate::functions::ids::parse_id;
use crate::functions::nested;
use crate::functions::{arithmetic, check, float, list, regex};

impl Layout<'_> {
    /// The spans for which `expr` is true.
    pub(crate) fn predicate(&self, expr: &FieldExpr) -> Result<Expr> {
        if self.row == Row::Span
            && let Some(of) = nested_of(expr)
        {
            let condition = self.nested(of).predicate(expr)?;
            return nested::any(
                of,
                &or_false(condition),
                column(of.column()),
                column(names::START_NS),
            );
        }
        match &expr.kind {
            FieldExprKind::Literal(literal) => Ok(lit(*literal == Literal::Bool(true))),
            FieldExprKind::Attribute(attribute) => Ok(self.resolve(attribute)?.as_bool()),
            FieldExprKind::Unary {
                op: UnaryOp::Not,
                operand,
            } => self.negation(operand),
            FieldExprKind::Unary {
                op: UnaryOp::Neg, ..
            } => self.never(expr),
            FieldExprKind::Binary { op, lhs, rhs } => match op {
                BinaryOp::And | BinaryOp::Or => self.logic(*op == BinaryOp::And, lhs, rhs),
                BinaryOp::Regex | BinaryOp::NotRegex => {
                    self.regex(*op == BinaryOp::NotRegex, lhs, rhs)
                }
                op if is_comparison(*op) => self.comparison(*op, lhs, rhs, expr),
                _ => self.never(expr),
            },
            FieldExprKind::NilTest { operand: None, .. } => Ok(lit(false)),
            FieldExprKind::NilTest {
                operand: Some(operand),
                is_nil,
            } => {
                let present = self.value(operand)?.is_present();
                self.with_failures(if *is_nil { !present } else { present }, &[operand])
            }
        }
    }

    /// The value of `expr`.
    pub(crate) fn value(&self, expr: &FieldExpr) -> Result<Value> {
        match &expr.kind {
            FieldExprKind::Literal(literal) => Ok(Value::literal(literal)),
            FieldExprKind::Attribute(attribute) => self.resolve(attribute),
            FieldExprKind::Unary {
                op: UnaryOp::Neg,
                operand,
            } => self.negative(operand, expr),
            FieldExprKind::Binary { op, lhs, rhs } if is_arithmetic(*op) => {
                self.arithmetic(*op, lhs, rhs, expr)
            }
            FieldExprKind::Unary { .. }
            | FieldExprKind::Binary { .. }
            | FieldExprKind::NilTest { .. } => {
                Ok(Value::of(Type::Bool, or_false(self.predicate(expr)?)))
            }
        }
    }

    /// An expression that is never true, but may fail.
    fn never(&self, expr: &FieldExpr) -> Result<Expr> {
        let value = self.value(expr)?;
        Ok(check::never(
            value.alternatives.into_iter().map(|a| a.expr).collect(),
        ))
    }

    fn negation(&self, operand: &FieldExpr) -> Result<Expr> {
        if is_boolean(operand) || self.is_about_nested(operand) {
            return Ok(!or_false(self.predicate(operand)?));
        }
        Ok(!check::require_bool(
            self.value(operand)?.as_bool(),
            &operand.to_string(),
        ))
    }

    fn logic(&self, conjunction: bool, lhs: &FieldExpr, rhs: &FieldExpr) -> Result<Expr> {
        let fallible = self.can_fail(lhs)? || self.can_fail(rhs)?;
        let (lhs, rhs) = (self.predicate(lhs)?, self.predicate(rhs)?);
        Ok(match (fallible, conjunction) {
            (true, _) => check::strict_logic(lhs, rhs, conjunction),
            (false, true) => lhs.and(rhs),
            (false, false) => lhs.or(rhs),
        })
    }

    fn regex(&self, negated: bool, lhs: &FieldExpr, rhs: &FieldExpr) -> Result<Expr> {
        let FieldExprKind::Literal(Literal::String(pattern)) = &rhs.kind else {
            return Err(DataFusionError::Internal("regex is no literal".into()));
        };
        let compiled = traceql::compile_regex(pattern)
            .map_err(|error| DataFusionError::Internal(format!("invalid regex: {error}")))?;
        let matches =
            self.value(lhs)?
                .alternatives
                .into_iter()
                .filter_map(|a| match a.value_type {
                    Type::String => Some(regex::matches(a.expr, &compiled, negated)),
                    Type::StringArray => Some(list::matches(a.expr, &compiled, negated)),
                    _ => None,
                });
        self.with_failures(any_of(matches), &[lhs])
    }

    fn comparison(
        &self,
        op: BinaryOp,
        lhs: &FieldExpr,
        rhs: &FieldExpr,
        whole: &FieldExpr,
    ) -> Result<Expr> {
        if let Some(by_id) = id_comparison(op, lhs, rhs) {
            return Ok(by_id);
        }
        let text = whole.to_string();
        let (left, right) = (self.value(lhs)?, self.value(rhs)?);
        let mut tests = Vec::new();
        for l in &left.alternatives {
            for r in &right.alternatives {
                tests.extend(compare(
                    op,
                    (l, left.literal.as_ref()),
                    (r, right.literal.as_ref()),
                    &text,
                ));
            }
        }
        self.with_failures(any_of(tests), &[lhs, rhs])
    }

    /// `test`, after evaluating all that its operands may fail with: a test looks only at the types
    /// that it can be true for.
    fn with_failures(&self, test: Expr, operands: &[&FieldExpr]) -> Result<Expr> {
        let mut fallible = Vec::new();
        for operand in operands {
            if self.can_fail(operand)? {
                fallible.extend(
                    self.value(operand)?
                        .alternatives
                        .into_iter()
                        .map(|a| a.expr),
                );
            }
        }
        Ok(if fallible.is_empty() {
            test
        } else {
            check::strict_logic(test, check::never(fallible), false)
        })
    }

    fn negative(&self, operand: &FieldExpr, whole: &FieldExpr) -> Result<Value> {
        let value = self.value(operand)?;
        let numeric: Vec<_> = value
            .alternatives
            .into_iter()
            .filter(|a| a.value_type.is_numeric())
            .collect();
        let all: Vec<_> = numeric.iter().map(|a| a.expr.clone()).collect();
        let text = whole.to_string();
        let mut result = Value::default();
        for Alternative { value_type, expr } in numeric {
            let expr = check::negate(expr, arrow_type(value_type), &all, &text);
            result.alternatives.push(Alternative { value_type, expr });
        }
        if result.alternatives.is_empty() {
            // No span has a number here, so every span fails.
            let null = lit(ScalarValue::Int64(None));
            let expr = check::negate(null, DataType::Int64, &[], &text);
            result.alternatives.push(Alternative {
                value_type: Type::Int,
                expr,
            });
        }
        Ok(result)
    }

    fn arithmetic(
        &self,
        op: BinaryOp,
        lhs: &FieldExpr,
        rhs: &FieldExpr,
        whole: &FieldExpr,
    ) -> Result<Value> {
        let text = whole.to_string();
        let (lhs, rhs) = (self.value(lhs)?, self.value(rhs)?);
        let ints = lhs.get(Type::Int).zip(rhs.get(Type::Int));
        let int = ints.map(|(l, r)| arithmetic::on_ints(op, l.clone(), r.clone(), &text));
        let only_ints = |value: &Value| {
            value
                .alternatives
                .iter()
                .all(|a| a.value_type == Type::Int || !a.value_type.is_numeric())
        };
        let float = match (lhs.as_float(), rhs.as_float()) {
            (Some(l), Some(r)) if !(only_ints(&lhs) && only_ints(&rhs)) => {
                let float = arithmetic::on_floats(op, l, r, &text);
                // Two integers stay an integer.
                Some(match &int {
                    Some(int) => when(int.clone().is_not_null(), lit(ScalarValue::Float64(None)))
                        .otherwise(float)?,
                    None => float,
                })
            }
            _ => None,
        };
        let mut result = Value::default();
        let mut push =
            |value_type, expr| result.alternatives.push(Alternative { value_type, expr });
        if let Some(int) = int {
            push(Type::Int, int);
        }
        if let Some(float) = float {
            push(Type::Float, float);
        }
        // What has no numeric result is false, not absent.
        let numeric = result.is_present();
        let mut is_false = when(numeric, lit(ScalarValue::Boolean(None))).otherwise(lit(false))?;
        for refusal in refuse_arrays(&lhs, &rhs, &text) {
            is_false = either(Type::Bool, refusal, is_false);
        }
        result.alternatives.push(Alternative {
            value_type: Type::Bool,
            expr: is_false,
        });
        Ok(result)
    }

    /// Whether evaluating `expr` can fail on some span of the block.
    pub(crate) fn can_fail(&self, expr: &FieldExpr) -> Result<bool> {
        if self.row == Row::Span
            && let Some(of) = nested_of(expr)
        {
            return self.nested(of).can_fail(expr);
        }
        Ok(match &expr.kind {
            FieldExprKind::Literal(_) | FieldExprKind::Attribute(_) => false,
            FieldExprKind::Unary {
                op: UnaryOp::Neg, ..
            } => true,
            FieldExprKind::Unary {
                op: UnaryOp::Not,
                operand,
            } => {
                !(is_boolean(operand) || self.is_about_nested(operand)) || self.can_fail(operand)?
            }
            FieldExprKind::NilTest { operand, .. } => match operand {
                Some(operand) => self.can_fail(operand)?,
                None => false,
            },
            FieldExprKind::Binary { op, lhs, rhs } => {
                let (l, r) = (self.value_types(lhs)?, self.value_types(rhs)?);
                let arrays = |types: &[Type]| types.iter().any(|t| t.element().is_some());
                let divides = matches!(op, BinaryOp::Div | BinaryOp::Mod)
                    && l.contains(&Type::Int)
                    && r.contains(&Type::Int)
                    && !matches!(&rhs.kind, FieldExprKind::Literal(Literal::Int(value)) if *value != 0);
                let refuses = if is_arithmetic(*op) {
                    arrays(&l) || arrays(&r)
                } else {
                    is_comparison(*op) && arrays(&l) && arrays(&r)
                };
                divides || refuses || self.can_fail(lhs)? || self.can_fail(rhs)?
            }
        })
    }

    /// Whether `expr` is a condition on some event or link, which holds or does not.
    fn is_about_nested(&self, expr: &FieldExpr) -> bool {
        self.row == Row::Span && nested_of(expr).is_some()
    }

    fn value_types(&self, expr: &FieldExpr) -> Result<Vec<Type>> {
        Ok(self
            .value(expr)?
            .alternatives
            .iter()
            .map(|a| a.value_type)
            .collect())
    }
}

/// Whether an expression is a boolean on every span.
fn is_boolean(expr: &FieldExpr) -> bool {
    match &expr.kind {
        FieldExprKind::Literal(literal) => matches!(literal, Literal::Bool(_)),
        FieldExprKind::Attribute(_)
        | FieldExprKind::Unary {
            op: UnaryOp::Neg, ..
        } => false,
        FieldExprKind::Unary {
            op: UnaryOp::Not, ..
        }
        | FieldExprKind::NilTest { .. } => true,
        FieldExprKind::Binary { op, .. } => !is_arithmetic(*op),
    }
}

pub(crate) const fn is_arithmetic(op: BinaryOp) -> bool {
    matches!(
        op,
        BinaryOp::Add
            | BinaryOp::Sub
            | BinaryOp::Mul
            | BinaryOp::Div
            | BinaryOp::Mod
            | BinaryOp::Pow
    )
}

const fn is_comparison(op: BinaryOp) -> bool {
    matches!(
        op,
        BinaryOp::Eq
            | BinaryOp::NotEq
            | BinaryOp::Lt
            | BinaryOp::LtEq
            | BinaryOp::Gt
            | BinaryOp::GtEq
    )
}

/// Null made false.
pub(crate) fn or_false(predicate: Expr) -> Expr {
    match predicate {
        Expr::Literal(ScalarValue::Boolean(Some(_)), _) => predicate,
        predicate => either(Type::Bool, predicate, lit(false)),
    }
}

fn any_of(tests: impl IntoIterator<Item = Expr>) -> Expr {
    tests
        .into_iter()
        .reduce(Expr::or)
        .unwrap_or_else(|| lit(false))
}

/// `op` with its sides swapped.
const fn mirrored(op: BinaryOp) -> BinaryOp {
    match op {
        BinaryOp::Lt => BinaryOp::Gt,
        BinaryOp::LtEq => BinaryOp::GtEq,
        BinaryOp::Gt => BinaryOp::Lt,
        BinaryOp::GtEq => BinaryOp::LtEq,
        other => other,
    }
}

fn operator(op: BinaryOp, lhs: Expr, rhs: Expr) -> Expr {
    let operator = match op {
        BinaryOp::NotEq => Operator::NotEq,
        BinaryOp::Lt => Operator::Lt,
        BinaryOp::LtEq => Operator::LtEq,
        BinaryOp::Gt => Operator::Gt,
        BinaryOp::GtEq => Operator::GtEq,
        _ => Operator::Eq,
    };
    binary_expr(lhs, operator, rhs)
}

/// An alternative, and the constant that its value is, if it is one.
type Side<'a> = (&'a Alternative, Option<&'a Literal>);

/// `lhs op rhs` for one type on each side; `None` where those types never compare as true.
fn compare(op: BinaryOp, lhs: Side<'_>, rhs: Side<'_>, text: &str) -> Option<Expr> {
    let ((l, l_literal), (r, r_literal)) = (lhs, rhs);
    match (l.value_type.element(), r.value_type.element()) {
        (Some(_), Some(_)) => {
            return Some(check::refuse_both(
                l.expr.clone(),
                r.expr.clone(),
                DataType::Boolean,
                text,
            ));
        }
        (Some(element), None) => return compare_list(op, element, l, r),
        (None, Some(element)) => return compare_list(mirrored(op), element, r, l),
        (None, None) => {}
    }
    if l.value_type.is_numeric() && r.value_type.is_numeric() {
        let is_float =
            |(side, literal): Side<'_>| side.value_type == Type::Float && literal.is_none();
        let compared_as_floats = is_float(lhs) || is_float(rhs);
        let (lhs, rhs) = numeric_sides(lhs, rhs);
        return Some(if compared_as_floats {
            float::compare(op, lhs, rhs)
        } else {
            operator(op, lhs, rhs)
        });
    }
    if l.value_type != r.value_type || !is_legal(op, l.value_type) {
        return None;
    }
    Some(match (l_literal, r_literal) {
        (_, Some(literal)) => compare_literal(op, l, literal, &r.expr),
        (Some(literal), None) => compare_literal(mirrored(op), r, literal, &l.expr),
        (None, None) => operator(op, l.expr.clone(), r.expr.clone()),
    })
}

fn is_legal(op: BinaryOp, value_type: Type) -> bool {
    matches!(op, BinaryOp::Eq | BinaryOp::NotEq) || value_type == Type::String
}

/// Numbers that OTLP gives no name count as unset and as unspecified.
fn compare_literal(op: BinaryOp, side: &Alternative, literal: &Literal, constant: &Expr) -> Expr {
    let others: &[i32] = match literal {
        Literal::Status(Status::Unset) => &[1, 2],
        Literal::Kind(Kind::Unspecified) => &[1, 2, 3, 4, 5],
        _ => return operator(op, side.expr.clone(), constant.clone()),
    };
    let list = others.iter().map(|&number| lit(number)).collect();
    side.expr.clone().in_list(list, op == BinaryOp::Eq)
}

/// Both sides as integers where that compares the same as floats would, else as floats.
fn numeric_sides(lhs: Side<'_>, rhs: Side<'_>) -> (Expr, Expr) {
    let ((l, l_literal), (r, r_literal)) = (lhs, rhs);
    let is_float = |t| t == Type::Float;
    let both_int = l.value_type == Type::Int && r.value_type == Type::Int;
    let exact = |literal: Option<&Literal>| match literal {
        Some(Literal::Int(value) | Literal::Duration(value)) => value.unsigned_abs() < 1 << 53,
        _ => false,
    };
    let as_ints = both_int
        || !is_float(l.value_type)
            && !is_float(r.value_type)
            && (exact(l_literal) || exact(r_literal));
    if as_ints {
        return (l.expr.clone(), r.expr.clone());
    }
    let float = |a: &Alternative| {
        if is_float(a.value_type) {
            a.expr.clone()
        } else {
            cast(a.expr.clone(), DataType::Float64)
        }
    };
    (float(l), float(r))
}

/// An array against a scalar; `None` where their types never compare as true.
fn compare_list(
    op: BinaryOp,
    element: Type,
    array: &Alternative,
    scalar: &Alternative,
) -> Option<Expr> {
    let compared_as = if element == Type::Int && scalar.value_type == Type::Int {
        DataType::Int64
    } else if element.is_numeric() && scalar.value_type.is_numeric() {
        DataType::Float64
    } else if element == scalar.value_type && is_legal(op, element) {
        arrow_type(element)
    } else {
        return None;
    };
    Some(list::compare(
        array.expr.clone(),
        op,
        scalar.expr.clone(),
        &compared_as,
    ))
}

/// What makes arithmetic between an array and anything fail.
fn refuse_arrays(lhs: &Value, rhs: &Value, text: &str) -> Vec<Expr> {
    let mut refusals = Vec::new();
    for l in &lhs.alternatives {
        for r in &rhs.alternatives {
            if l.value_type.element().is_some() || r.value_type.element().is_some() {
                refusals.push(check::refuse_both(
                    l.expr.clone(),
                    r.expr.clone(),
                    DataType::Boolean,
                    text,
                ));
            }
        }
    }
    refusals
}

/// The two sides of a comparison of an attribute with a text, whichever way round.
pub(crate) fn attribute_and_text<'a>(
    lhs: &'a FieldExpr,
    rhs: &'a FieldExpr,
) -> Option<(&'a Attribute, &'a String)> {
    let ((FieldExprKind::Attribute(attribute), FieldExprKind::Literal(Literal::String(text)))
    | (FieldExprKind::Literal(Literal::String(text)), FieldExprKind::Attribute(attribute))) =
        (&lhs.kind, &rhs.kind)
    else {
        return None;
    };
    Some((attribute, text))
}

/// `trace:id = "…"` and the like on the id's bytes: what the catalog and statistics can prune by.
fn id_comparison(op: BinaryOp, lhs: &FieldExpr, rhs: &FieldExpr) -> Option<Expr> {
    let (attribute, text) = attribute_and_text(lhs, rhs)?;
    let negated = match op {
        BinaryOp::Eq => false,
        BinaryOp::NotEq => true,
        _ => return None,
    };
    let Attribute::Intrinsic(intrinsic) = attribute else {
        return None;
    };
    let (name, length, strip_zeros) = match intrinsic {
        Intrinsic::TraceId => (names::TRACE_ID, 16, true),
        Intrinsic::SpanId => (names::SPAN_ID, 8, false),
        Intrinsic::SpanParentId => (RESOLVED_PARENT_ID, 8, false),
        Intrinsic::LinkTraceId => (nested::LINK_TRACE_ID, 16, true),
        Intrinsic::LinkSpanId => (nested::LINK_SPAN_ID, 8, false),
        _ => return None,
    };
    let Some(id) = parse_id(text, length, strip_zeros) else {
        return Some(lit(negated));
    };
    Some(if negated {
        column(name).not_eq(id)
    } else {
        column(name).eq(id)
    })
}
