//! Field expressions to DataFusion expressions.
//!
//! A condition is lowered to a *predicate*: a boolean expression in which null counts as false, so
//! that the comparison of a nullable column with a constant is just that and can be used to prune.
//! Where the difference shows (under `!`, or as a value) null is made false first.

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{Expr, Operator, binary_expr, lit};
use storage::schema::names;
use traceql::ast::{
    Attribute, BinaryOp, FieldExpr, FieldExprKind, Intrinsic, Kind, Literal, Status, UnaryOp,
};

use super::layout::{Layout, RESOLVED_PARENT_ID, Row, arrow_type, column};
use super::nested_set::parent_test;
use super::scope::nested_of;
use super::value::{Alternative, Predicate, Type, Value, cast, either};
use crate::functions::arithmetic;
use crate::functions::ids::parse_id;
use crate::functions::nested;
use crate::functions::{check, float, list, regex};

impl Layout<'_> {
    /// The spans for which `expr` is true.
    pub(crate) fn predicate(&self, expr: &FieldExpr) -> Result<Predicate> {
        if self.row == Row::Span
            && let Some(of) = nested_of(expr)
        {
            let condition = self.nested(of).predicate(expr)?;
            let (lists, start_ns) = (column(of.column()), column(names::START_NS));
            return Ok(Predicate {
                expr: nested::any(of, &or_false(condition.expr), lists, start_ns)?,
                can_fail: condition.can_fail,
            });
        }
        match &expr.kind {
            FieldExprKind::Literal(literal) => {
                let is_true = *literal == Literal::Bool(true);
                Ok(Predicate::infallible(lit(is_true)))
            }
            FieldExprKind::Attribute(attribute) => {
                Ok(Predicate::infallible(self.resolve(attribute)?.as_bool()))
            }
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
                op if op.is_comparison() => self.comparison(*op, lhs, rhs, expr),
                _ => self.never(expr),
            },
            FieldExprKind::NilTest { operand: None, .. } => Ok(Predicate::infallible(lit(false))),
            FieldExprKind::NilTest {
                operand: Some(operand),
                is_nil,
            } => self.nil_test(operand, *is_nil),
        }
    }

    /// The value of `expr`.
    pub(crate) fn value(&self, expr: &FieldExpr) -> Result<Value> {
        match &expr.kind {
            FieldExprKind::Literal(literal) => Ok(Value::literal(literal)),
            FieldExprKind::Attribute(attribute) => self.resolve(attribute),
            FieldExprKind::Unary {
                op: UnaryOp::Neg, ..
            } => self.arithmetic(expr),
            FieldExprKind::Binary { op, .. } if op.is_arithmetic() => self.arithmetic(expr),
            FieldExprKind::Unary { .. }
            | FieldExprKind::Binary { .. }
            | FieldExprKind::NilTest { .. } => {
                let Predicate { expr, can_fail } = self.predicate(expr)?;
                Ok(Value {
                    can_fail,
                    ..Value::of(Type::Bool, or_false(expr))
                })
            }
        }
    }

    /// A condition that is never true, but may fail.
    fn never(&self, expr: &FieldExpr) -> Result<Predicate> {
        let value = self.value(expr)?;
        let can_fail = value.can_fail;
        let evaluated = value.unused_failures(|_| false);
        Ok(Predicate {
            expr: with_failures(lit(false), evaluated),
            can_fail,
        })
    }

    fn negation(&self, operand: &FieldExpr) -> Result<Predicate> {
        if is_boolean(operand) || self.is_about_nested(operand) {
            let Predicate { expr, can_fail } = self.predicate(operand)?;
            return Ok(Predicate {
                expr: !or_false(expr),
                can_fail,
            });
        }
        let value = self.value(operand)?;
        let negated = !check::require_bool(value.as_bool(), &operand.to_string());
        let evaluated = value.unused_failures(|t| t == Type::Bool);
        Ok(Predicate {
            expr: with_failures(negated, evaluated),
            can_fail: true,
        })
    }

    fn logic(&self, conjunction: bool, lhs: &FieldExpr, rhs: &FieldExpr) -> Result<Predicate> {
        let (lhs, rhs) = (self.predicate(lhs)?, self.predicate(rhs)?);
        let can_fail = lhs.can_fail || rhs.can_fail;
        let expr = match (can_fail, conjunction) {
            (true, _) => check::strict_logic(lhs.expr, rhs.expr, conjunction),
            (false, true) => lhs.expr.and(rhs.expr),
            (false, false) => lhs.expr.or(rhs.expr),
        };
        Ok(Predicate { expr, can_fail })
    }

    fn nil_test(&self, operand: &FieldExpr, is_nil: bool) -> Result<Predicate> {
        let value = self.value(operand)?;
        let can_fail = value.can_fail;
        let present = if can_fail {
            let alternatives = value.alternatives.iter().map(|a| a.expr.clone());
            let present = check::any_present(alternatives.collect());
            with_failures(present, value.failures)
        } else {
            value.is_present()
        };
        Ok(Predicate {
            expr: if is_nil { !present } else { present },
            can_fail,
        })
    }

    fn regex(&self, negated: bool, lhs: &FieldExpr, rhs: &FieldExpr) -> Result<Predicate> {
        let FieldExprKind::Literal(Literal::String(pattern)) = &rhs.kind else {
            return Err(DataFusionError::Internal("regex is no literal".into()));
        };
        let compiled = traceql::compile_regex(pattern)
            .map_err(|error| DataFusionError::Internal(format!("invalid regex: {error}")))?;
        let value = self.value(lhs)?;
        let can_fail = value.can_fail;
        let tests = value.alternatives.iter().filter_map(|a| {
            let text = a.expr.clone();
            match a.value_type {
                Type::String => Some(regex::matches(text, &compiled, negated)),
                Type::StringArray => Some(list::matches(text, &compiled, negated)),
                _ => None,
            }
        });
        let test = any_of(tests, can_fail);
        let used = |t| matches!(t, Type::String | Type::StringArray);
        Ok(Predicate {
            expr: with_failures(test, value.unused_failures(used)),
            can_fail,
        })
    }

    fn comparison(
        &self,
        op: BinaryOp,
        lhs: &FieldExpr,
        rhs: &FieldExpr,
        whole: &FieldExpr,
    ) -> Result<Predicate> {
        if let Some(test) = id_comparison(op, lhs, rhs).or_else(|| parent_test(op, lhs, rhs)) {
            return Ok(Predicate::infallible(test));
        }
        let text = whole.to_string();
        let (left, right) = (self.value(lhs)?, self.value(rhs)?);
        let mut tests = Vec::new();
        let (mut left_used, mut right_used) = (Vec::new(), Vec::new());
        for l in &left.alternatives {
            for r in &right.alternatives {
                let sides = ((l, left.literal.as_ref()), (r, right.literal.as_ref()));
                if let Some(test) = compare(op, sides.0, sides.1, &text) {
                    tests.push(test);
                    left_used.push(l.value_type);
                    right_used.push(r.value_type);
                }
            }
        }
        let both_arrays = left.has_arrays() && right.has_arrays();
        let can_fail = left.can_fail || right.can_fail || both_arrays;
        let test = any_of(tests, can_fail);
        let mut evaluated = left.unused_failures(|t| left_used.contains(&t));
        evaluated.extend(right.unused_failures(|t| right_used.contains(&t)));
        Ok(Predicate {
            expr: with_failures(test, evaluated),
            can_fail,
        })
    }

    fn arithmetic(&self, expr: &FieldExpr) -> Result<Value> {
        let mut operands = Vec::new();
        let fails_by_itself = self.operands(expr, &mut operands)?;
        let with_arrays = operands.iter().any(Value::has_arrays);
        let can_fail = fails_by_itself || with_arrays || operands.iter().any(|it| it.can_fail);
        let mut failures = Vec::new();
        let mut forms = Vec::with_capacity(operands.len());
        for operand in operands {
            // What is neither a number nor an array counts only beside an array, or by failing.
            let counts = |a: &Alternative| {
                let is_array = a.value_type.element().is_some();
                a.value_type.is_numeric() || is_array || with_arrays || operand.can_fail
            };
            let counting = operand.alternatives.into_iter().filter(counts);
            forms.push(counting.map(|a| (a.value_type, a.expr)).collect());
            failures.extend(operand.failures);
        }
        let forms = arithmetic::forms(expr, forms, failures, self.dialect)?;
        let alternatives = forms.into_iter();
        let alternatives = alternatives.map(|(value_type, expr)| Alternative { value_type, expr });
        Ok(Value {
            alternatives: alternatives.collect(),
            can_fail,
            ..Value::default()
        })
    }

    /// Appends the operands of an arithmetic expression that are none themselves, left to right.
    /// Returns whether the operations may fail on operands of their types.
    fn operands(&self, expr: &FieldExpr, found: &mut Vec<Value>) -> Result<bool> {
        match &expr.kind {
            FieldExprKind::Unary {
                op: UnaryOp::Neg,
                operand,
            } => {
                self.operands(operand, found)?;
                Ok(true)
            }
            FieldExprKind::Binary { op, lhs, rhs } if op.is_arithmetic() => {
                let lhs_fails = self.operands(lhs, found)?;
                let rhs_fails = self.operands(rhs, found)?;
                let divides = matches!(op, BinaryOp::Div | BinaryOp::Mod);
                let by_constant = matches!(&rhs.kind, FieldExprKind::Literal(literal) if *literal != Literal::Int(0));
                Ok(lhs_fails || rhs_fails || divides && !by_constant)
            }
            _ => {
                found.push(self.value(expr)?);
                Ok(false)
            }
        }
    }

    /// Whether `expr` is a condition on some event or link, which holds or does not.
    fn is_about_nested(&self, expr: &FieldExpr) -> bool {
        self.row == Row::Span && nested_of(expr).is_some()
    }
}

/// `test`, after evaluating what may fail besides it: a test looks only at the types that it can be
/// true for.
fn with_failures(test: Expr, failures: Vec<Expr>) -> Expr {
    if failures.is_empty() {
        test
    } else {
        check::strict_logic(test, check::never(failures), false)
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
        FieldExprKind::Binary { op, .. } => !op.is_arithmetic(),
    }
}

/// Null made false.
pub(crate) fn or_false(predicate: Expr) -> Expr {
    match predicate {
        Expr::Literal(ScalarValue::Boolean(Some(_)), _) => predicate,
        predicate => either(Type::Bool, predicate, lit(false)),
    }
}

/// Whether any test is true. Where one of them can fail, all are evaluated.
fn any_of(tests: impl IntoIterator<Item = Expr>, can_fail: bool) -> Expr {
    let either = |lhs: Expr, rhs: Expr| {
        if can_fail {
            check::strict_logic(lhs, rhs, false)
        } else {
            lhs.or(rhs)
        }
    };
    tests
        .into_iter()
        .reduce(either)
        .unwrap_or_else(|| lit(false))
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
            return Some(check::refuse_both(l.expr.clone(), r.expr.clone(), text));
        }
        (Some(element), None) => return compare_list(op, element, l, r),
        (None, Some(element)) => return compare_list(op.mirrored(), element, r, l),
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
        (Some(literal), None) => compare_literal(op.mirrored(), r, literal, &l.expr),
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
    let Attribute::Intrinsic {
        intrinsic,
        of_parent: false,
    } = attribute
    else {
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
