//! What operators make of constants, by the rules of evaluation on a span.

use crate::ast::{BinaryOp, Literal, UnaryOp};
use crate::dialect::Dialect;
use crate::limits::Limits;
use crate::regex;

/// Operators of two literals, by the rules of a dialect.
pub(super) struct Operators<'a> {
    pub(super) dialect: Dialect,
    /// Bounds on regular expressions.
    pub(super) limits: &'a Limits,
}

impl Operators<'_> {
    /// The value of `lhs op rhs`; `None` where evaluation decides.
    pub(super) fn binary(&self, op: BinaryOp, lhs: &Literal, rhs: &Literal) -> Option<Literal> {
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

pub(super) const fn unary(op: UnaryOp, operand: &Literal) -> Option<Literal> {
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
pub(super) fn float_arithmetic(op: BinaryOp, lhs: f64, rhs: f64) -> Option<Literal> {
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
