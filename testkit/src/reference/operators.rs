//! Operators on values.
//!
//! Three things can happen to an operator: it yields a value; its operands do not fit and it is
//! false; or it raises a [`RuntimeError`], which fails the whole query.

use traceql::Dialect;
use traceql::ast::{BinaryOp, UnaryOp};

use super::error::RuntimeError;
use super::value::Value;

/// `op operand`.
///
/// # Errors
/// `!` of anything but a Boolean and `-` of anything but a number, nil included.
pub fn unary(op: UnaryOp, operand: &Value) -> Result<Value, RuntimeError> {
    match (op, operand) {
        (UnaryOp::Not, Value::Bool(flag)) => Ok(Value::Bool(!flag)),
        (UnaryOp::Not, _) => Err(RuntimeError::NotOfNonBoolean),
        (UnaryOp::Neg, Value::Int(number)) => Ok(Value::Int(number.wrapping_neg())),
        (UnaryOp::Neg, Value::Duration(ns)) => Ok(Value::Duration(ns.wrapping_neg())),
        (UnaryOp::Neg, Value::Float(number)) => Ok(Value::Float(-number)),
        (UnaryOp::Neg, _) => Err(RuntimeError::NegativeOfNonNumber),
    }
}

/// `lhs op rhs`, for every operator but the regular expressions. The dialect decides about the power
/// of integers.
///
/// # Errors
/// Integer division by zero, arithmetic on an array, any operator between two arrays.
pub fn binary(
    op: BinaryOp,
    lhs: &Value,
    rhs: &Value,
    dialect: Dialect,
) -> Result<Value, RuntimeError> {
    match op {
        // What is not Boolean true is not true: an absent flag does not spoil the other side.
        BinaryOp::And => Ok(Value::Bool(lhs.is_true() && rhs.is_true())),
        BinaryOp::Or => Ok(Value::Bool(lhs.is_true() || rhs.is_true())),
        _ if lhs.is_nil() || rhs.is_nil() => Ok(Value::Bool(false)),
        BinaryOp::Add
        | BinaryOp::Sub
        | BinaryOp::Mul
        | BinaryOp::Div
        | BinaryOp::Mod
        | BinaryOp::Pow => arithmetic(op, lhs, rhs, dialect),
        _ => match (lhs, rhs) {
            (Value::Array(_), Value::Array(_)) => Err(RuntimeError::ArrayWithArray),
            (Value::Array(elements), scalar) => Ok(any_element(op, elements, |op, element| {
                compare(op, element, scalar)
            })),
            (scalar, Value::Array(elements)) => Ok(any_element(op, elements, |op, element| {
                compare(op, scalar, element)
            })),
            _ => Ok(Value::Bool(compare(op, lhs, rhs).unwrap_or(false))),
        },
    }
}

/// `value =~ pattern` or, if `negated`, `value !~ pattern`; `matches` is the anchored pattern.
#[must_use]
pub fn regex(negated: bool, value: &Value, matches: &dyn Fn(&str) -> bool) -> Value {
    let matches = |value: &Value| match value {
        Value::String(text) => Some(matches(text)),
        _ => None,
    };
    let result = match value {
        // The elements of an array have one type, so either all of them are strings or none.
        Value::Array(elements) => elements
            .iter()
            .map(matches)
            .try_fold(false, |any, hit| Some(any | hit?)),
        scalar => matches(scalar),
    };
    // Nil and other types satisfy neither operator.
    Value::Bool(result.is_some_and(|hit| hit != negated))
}

/// An array satisfies a comparison if some element does; `!=` it satisfies if no element is equal.
fn any_element(
    op: BinaryOp,
    elements: &[Value],
    compare: impl Fn(BinaryOp, &Value) -> Option<bool>,
) -> Value {
    let (positive, negated) = if op == BinaryOp::NotEq {
        (BinaryOp::Eq, true)
    } else {
        (op, false)
    };
    let any = elements
        .iter()
        .map(|element| compare(positive, element))
        .try_fold(false, |any, hit| Some(any | hit?));
    // `None`: the element type does not go with the scalar, which satisfies no operator at all.
    Value::Bool(any.is_some_and(|hit| hit != negated))
}

/// Compares two scalars; `None` if their types do not go together or do not have the operator.
fn compare(op: BinaryOp, lhs: &Value, rhs: &Value) -> Option<bool> {
    match (lhs, rhs) {
        (Value::String(lhs), Value::String(rhs)) => ordered(op, lhs.as_bytes(), rhs.as_bytes()),
        (Value::Int(lhs), Value::Int(rhs)) => ordered(op, lhs, rhs),
        (Value::Bool(lhs), Value::Bool(rhs)) => equal(op, lhs, rhs),
        (Value::Status(lhs), Value::Status(rhs)) => equal(op, lhs, rhs),
        (Value::Kind(lhs), Value::Kind(rhs)) => equal(op, lhs, rhs),
        _ => ordered(op, &lhs.as_number()?, &rhs.as_number()?),
    }
}

fn ordered<T: PartialOrd + ?Sized>(op: BinaryOp, lhs: &T, rhs: &T) -> Option<bool> {
    match op {
        BinaryOp::Lt => Some(lhs < rhs),
        BinaryOp::LtEq => Some(lhs <= rhs),
        BinaryOp::Gt => Some(lhs > rhs),
        BinaryOp::GtEq => Some(lhs >= rhs),
        _ => equal(op, lhs, rhs),
    }
}

fn equal<T: PartialEq + ?Sized>(op: BinaryOp, lhs: &T, rhs: &T) -> Option<bool> {
    match op {
        BinaryOp::Eq => Some(lhs == rhs),
        BinaryOp::NotEq => Some(lhs != rhs),
        _ => None,
    }
}

fn arithmetic(
    op: BinaryOp,
    lhs: &Value,
    rhs: &Value,
    dialect: Dialect,
) -> Result<Value, RuntimeError> {
    if matches!(lhs, Value::Array(_)) || matches!(rhs, Value::Array(_)) {
        return Err(RuntimeError::ArithmeticOnArray);
    }
    if let (Value::Int(lhs), Value::Int(rhs)) = (lhs, rhs) {
        return int_arithmetic(op, *lhs, *rhs, dialect).map(Value::Int);
    }
    let (Some(lhs), Some(rhs)) = (lhs.as_number(), rhs.as_number()) else {
        return Ok(Value::Bool(false));
    };
    Ok(Value::Float(float_arithmetic(op, lhs, rhs)))
}

/// `lhs op rhs` for the arithmetic operators.
pub(super) fn float_arithmetic(op: BinaryOp, lhs: f64, rhs: f64) -> f64 {
    match op {
        BinaryOp::Add => lhs + rhs,
        BinaryOp::Sub => lhs - rhs,
        BinaryOp::Mul => lhs * rhs,
        BinaryOp::Div => lhs / rhs,
        BinaryOp::Mod => lhs % rhs,
        BinaryOp::Pow => lhs.powf(rhs),
        _ => unreachable!("only arithmetic operators come here: {op:?}"),
    }
}

fn int_arithmetic(op: BinaryOp, lhs: i64, rhs: i64, dialect: Dialect) -> Result<i64, RuntimeError> {
    Ok(match op {
        BinaryOp::Add => lhs.wrapping_add(rhs),
        BinaryOp::Sub => lhs.wrapping_sub(rhs),
        BinaryOp::Mul => lhs.wrapping_mul(rhs),
        BinaryOp::Div | BinaryOp::Mod if rhs == 0 => return Err(RuntimeError::DivisionByZero),
        BinaryOp::Div => lhs.wrapping_div(rhs),
        BinaryOp::Mod => lhs.wrapping_rem(rhs),
        BinaryOp::Pow => {
            let (base, exponent) = match dialect {
                Dialect::Spandrel => (lhs, rhs),
                // There the operands are swapped: `2 ^ 3` is 9.
                Dialect::Tempo => (rhs, lhs),
            };
            (base as f64).powf(exponent as f64) as i64
        }
        _ => unreachable!("only arithmetic operators come here: {op:?}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn eval(op: BinaryOp, lhs: Value, rhs: Value) -> Value {
        binary(op, &lhs, &rhs, Dialect::Spandrel).expect("no run-time error")
    }

    fn strings(texts: &[&str]) -> Value {
        Value::Array(
            texts
                .iter()
                .map(|&text| Value::String(text.to_owned()))
                .collect(),
        )
    }

    #[test]
    fn integers() {
        assert_eq!(
            eval(BinaryOp::Pow, Value::Int(2), Value::Int(3)),
            Value::Int(8)
        );
        assert_eq!(
            binary(
                BinaryOp::Pow,
                &Value::Int(2),
                &Value::Int(3),
                Dialect::Tempo
            ),
            Ok(Value::Int(9))
        );
        assert_eq!(
            eval(BinaryOp::Pow, Value::Float(2.0), Value::Int(3)),
            Value::Float(8.0)
        );
        assert_eq!(
            eval(BinaryOp::Div, Value::Int(-7), Value::Int(2)),
            Value::Int(-3)
        );
        assert_eq!(
            eval(BinaryOp::Mod, Value::Int(-7), Value::Int(2)),
            Value::Int(-1)
        );
        assert_eq!(
            eval(BinaryOp::Add, Value::Int(i64::MAX), Value::Int(1)),
            Value::Int(i64::MIN)
        );
        assert_eq!(
            eval(BinaryOp::Div, Value::Int(i64::MIN), Value::Int(-1)),
            Value::Int(i64::MIN)
        );
        assert_eq!(
            binary(
                BinaryOp::Mod,
                &Value::Int(1),
                &Value::Int(0),
                Dialect::Spandrel
            ),
            Err(RuntimeError::DivisionByZero)
        );
        assert_eq!(
            eval(BinaryOp::Div, Value::Int(1), Value::Float(0.0)),
            Value::Float(f64::INFINITY)
        );
    }

    #[test]
    fn durations_are_numbers() {
        assert_eq!(
            eval(BinaryOp::Add, Value::Duration(1), Value::Duration(1)),
            Value::Float(2.0)
        );
        assert_eq!(
            eval(BinaryOp::Eq, Value::Duration(5), Value::Int(5)),
            Value::Bool(true)
        );
    }

    #[test]
    fn nil_and_unfit_types_are_false() {
        for op in [BinaryOp::Eq, BinaryOp::NotEq, BinaryOp::Lt, BinaryOp::Add] {
            assert_eq!(eval(op, Value::Nil, Value::Int(1)), Value::Bool(false));
            assert_eq!(eval(op, Value::Nil, Value::Nil), Value::Bool(false));
            assert_eq!(
                eval(op, Value::String("1".into()), Value::Int(1)),
                Value::Bool(false)
            );
        }
        assert_eq!(
            eval(BinaryOp::Lt, Value::Bool(false), Value::Bool(true)),
            Value::Bool(false)
        );
    }

    #[test]
    fn arrays() {
        let is =
            |op, scalar: &str| eval(op, strings(&["x", "y"]), Value::String(scalar.to_owned()));
        assert_eq!(is(BinaryOp::Eq, "y"), Value::Bool(true));
        assert_eq!(is(BinaryOp::NotEq, "y"), Value::Bool(false));
        assert_eq!(is(BinaryOp::NotEq, "z"), Value::Bool(true));
        assert_eq!(
            eval(BinaryOp::NotEq, strings(&["x", "y"]), Value::Int(1)),
            Value::Bool(false)
        );
        assert_eq!(
            eval(
                BinaryOp::Lt,
                Value::String("x".into()),
                strings(&["a", "y"])
            ),
            Value::Bool(true)
        );
        assert_eq!(
            regex(true, &strings(&["x", "y"]), &|text| text == "x"),
            Value::Bool(false)
        );
        assert_eq!(regex(true, &Value::Int(1), &|_| false), Value::Bool(false));
        assert_eq!(
            binary(
                BinaryOp::Add,
                &strings(&["x", "y"]),
                &Value::Int(1),
                Dialect::Spandrel
            ),
            Err(RuntimeError::ArithmeticOnArray)
        );
        assert_eq!(
            binary(
                BinaryOp::Eq,
                &strings(&["x", "y"]),
                &strings(&["x", "y"]),
                Dialect::Spandrel
            ),
            Err(RuntimeError::ArrayWithArray)
        );
    }
}
