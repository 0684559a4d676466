//! `+ - * / % ^` and the sign, as TraceQL defines them.
//!
//! Of what types a number is can differ from span to span. So a whole expression is one function of the
//! attributes in it, which goes through the expression once per batch: written as expressions of
//! columns, one for each type that each of its parts may have, it would grow faster than what is
//! written in the query.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, PrimitiveArray, StructArray,
};
use arrow::compute::kernels::numeric::neg_wrapping;
use arrow::datatypes::{ArrowPrimitiveType, DataType, Field, Fields, Float64Type, Int64Type};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, lit};
use traceql::Dialect;
use traceql::ast::{BinaryOp, FieldExpr, FieldExprKind, UnaryOp};

use super::Function;
use super::check::{fail, presence};
use crate::error::EvaluationError;
use crate::lower::layout::arrow_type;
use crate::lower::value::Type;

/// An operand that is no arithmetic itself: the types that it may have, with their places among the
/// arguments.
type Operand = Vec<(Type, usize)>;

/// The forms that an arithmetic expression may take, at most one of them on each span: numbers, and
/// false where there is none. `operands` are the forms of what is not arithmetic in it, left to right;
/// evaluating any form evaluates all of them.
pub(crate) fn forms(
    expr: &FieldExpr,
    operands: Vec<Vec<(Type, Expr)>>,
    others: Vec<Expr>,
    dialect: Dialect,
) -> Result<Vec<(Type, Expr)>> {
    // With no operand at all, a column is still needed to know how many rows there are.
    let mut arguments = vec![lit(ScalarValue::Int64(None))];
    let mut places: Vec<Operand> = Vec::with_capacity(operands.len());
    for operand in operands {
        let place = |(value_type, expr)| {
            arguments.push(expr);
            (value_type, arguments.len() - 1)
        };
        places.push(operand.into_iter().map(place).collect());
    }
    arguments.extend(others);
    let evaluation = Evaluation {
        expr: expr.clone(),
        operands: places,
        dialect,
    };
    // Which forms there are shows without any rows.
    let types = evaluation.run(&evaluation.no_rows(arguments.len()))?;
    let fields: Fields = types.fields().clone();
    let parameters = format!("{expr}, {}, {:?}", dialect.as_str(), evaluation.operands);
    let whole = Function::call(
        "arithmetic",
        parameters,
        DataType::Struct(fields.clone()),
        arguments,
        move |args| Ok(Arc::new(evaluation.run(args)?) as ArrayRef),
    );
    let form = |(at, field): (usize, &Arc<Field>)| {
        let value_type = FORMS.into_iter().find(|(name, _)| name == field.name());
        let data_type = field.data_type().clone();
        let of_form = Function::call(
            "form",
            field.name().as_str(),
            data_type,
            vec![whole.clone()],
            move |args| Ok(Arc::clone(args[0].as_struct().column(at))),
        );
        value_type.map(|(_, value_type)| (value_type, of_form))
    };
    Ok(fields.iter().enumerate().filter_map(form).collect())
}

/// What the result may be, and the name of the field.
const FORMS: [(&str, Type); 4] = [
    ("int", Type::Int),
    ("duration", Type::Duration),
    ("float", Type::Float),
    ("false", Type::Bool),
];

#[derive(Debug)]
struct Evaluation {
    expr: FieldExpr,
    operands: Vec<Operand>,
    dialect: Dialect,
}

/// A value on each row, by its type; at most one of them.
#[derive(Debug, Default)]
struct Values {
    int: Option<Int64Array>,
    duration: Option<Int64Array>,
    float: Option<Float64Array>,
    arrays: Vec<ArrayRef>,
    /// What is neither a number nor an array.
    others: Vec<ArrayRef>,
}

impl Evaluation {
    fn no_rows(&self, count: usize) -> Vec<ArrayRef> {
        let empty = |data_type: &DataType| arrow::array::new_empty_array(data_type);
        let mut arguments = vec![empty(&DataType::Int64); count];
        for &(value_type, place) in self.operands.iter().flatten() {
            arguments[place] = empty(&arrow_type(value_type));
        }
        arguments
    }

    fn run(&self, arguments: &[ArrayRef]) -> Result<StructArray> {
        let rows = arguments.first().map_or(0, |argument| argument.len());
        let mut operands = self.operands.iter();
        let values = self.evaluate(&self.expr, &mut operands, arguments, rows)?;
        let is_false = values.is_no_number(rows)?;
        let int = values.int.map(|ints| Arc::new(ints) as ArrayRef);
        let duration = values.duration.map(|ints| Arc::new(ints) as ArrayRef);
        let float = values.float.map(|floats| Arc::new(floats) as ArrayRef);
        let is_false = Some(Arc::new(is_false) as ArrayRef);
        let columns = FORMS.into_iter().zip([int, duration, float, is_false]);
        let columns = columns.filter_map(|((name, _), column)| {
            let column = column?;
            let field = Field::new(name, column.data_type().clone(), true);
            Some((Arc::new(field), column))
        });
        Ok(StructArray::from(columns.collect::<Vec<_>>()))
    }

    fn evaluate<'a>(
        &self,
        expr: &FieldExpr,
        operands: &mut impl Iterator<Item = &'a Operand>,
        arguments: &[ArrayRef],
        rows: usize,
    ) -> Result<Values> {
        match &expr.kind {
            FieldExprKind::Unary {
                op: UnaryOp::Neg,
                operand,
            } => {
                let values = self.evaluate(operand, operands, arguments, rows)?;
                if values.is_no_number(rows)?.null_count() < rows {
                    return fail(EvaluationError::NotNumeric {
                        expression: expr.to_string(),
                    });
                }
                values.negated()
            }
            FieldExprKind::Binary { op, lhs, rhs } if op.is_arithmetic() => {
                let lhs = self.evaluate(lhs, operands, arguments, rows)?;
                let rhs = self.evaluate(rhs, operands, arguments, rows)?;
                self.operation(*op, &lhs, &rhs, expr, rows)
            }
            _ => Ok(Values::of(operands.next(), arguments)),
        }
    }

    fn operation(
        &self,
        op: BinaryOp,
        lhs: &Values,
        rhs: &Values,
        expr: &FieldExpr,
        rows: usize,
    ) -> Result<Values> {
        if lhs.is_array_beside(rhs, rows)? || rhs.is_array_beside(lhs, rows)? {
            return fail(EvaluationError::ArrayOperand {
                expression: expr.to_string(),
            });
        }
        let int = match (&lhs.int, &rhs.int) {
            (Some(lhs), Some(rhs)) => {
                let pairs = lhs.iter().zip(rhs);
                let results = pairs.map(|pair| match pair {
                    (Some(lhs), Some(rhs)) => match int_operation(op, lhs, rhs, self.dialect) {
                        None => fail(EvaluationError::DivisionByZero {
                            expression: expr.to_string(),
                        }),
                        result => Ok(result),
                    },
                    _ => Ok(None),
                });
                Some(results.collect::<Result<Int64Array>>()?)
            }
            _ => None,
        };
        let are_ints = lhs.is_int_at_most() && rhs.is_int_at_most();
        let float = match (lhs.floats(), rhs.floats()) {
            (Some(lhs), Some(rhs)) if !are_ints => {
                let pairs = lhs.iter().zip(&rhs).enumerate();
                let results = pairs.map(|(row, pair)| match pair {
                    // Two integers stay an integer.
                    _ if int.as_ref().is_some_and(|int| int.is_valid(row)) => None,
                    (Some(lhs), Some(rhs)) => Some(float_operation(op, lhs, rhs)),
                    _ => None,
                });
                Some(results.collect())
            }
            _ => None,
        };
        let mut values = Values {
            int,
            float,
            ..Values::default()
        };
        // What has no numeric result is false, not absent.
        values.others = vec![Arc::new(values.is_no_number(rows)?)];
        Ok(values)
    }
}

impl Values {
    fn of(operand: Option<&Operand>, arguments: &[ArrayRef]) -> Self {
        let mut values = Self::default();
        for &(value_type, place) in operand.into_iter().flatten() {
            let Some(argument) = arguments.get(place) else {
                continue;
            };
            match value_type {
                Type::Int => values.int = primitive::<Int64Type>(argument),
                Type::Duration => values.duration = primitive::<Int64Type>(argument),
                Type::Float => values.float = primitive::<Float64Type>(argument),
                _ if value_type.element().is_some() => values.arrays.push(Arc::clone(argument)),
                _ => values.others.push(Arc::clone(argument)),
            }
        }
        values
    }

    /// False on the rows that are no number, null on the others.
    fn is_no_number(&self, rows: usize) -> Result<BooleanArray> {
        let present = presence(self.numbers(), rows)?;
        Ok(present
            .iter()
            .map(|it| (it != Some(true)).then_some(false))
            .collect())
    }

    fn numbers(&self) -> impl Iterator<Item = &dyn Array> {
        let int = self.int.as_ref().map(|it| it as &dyn Array);
        let duration = self.duration.as_ref().map(|it| it as &dyn Array);
        let float = self.float.as_ref().map(|it| it as &dyn Array);
        [int, duration, float].into_iter().flatten()
    }

    /// Whether these are integers and nothing else that is a number.
    fn is_int_at_most(&self) -> bool {
        self.duration.is_none() && self.float.is_none()
    }

    /// Whether on some row these are an array, and the others anything at all.
    fn is_array_beside(&self, others: &Self, rows: usize) -> Result<bool> {
        if self.arrays.is_empty() {
            return Ok(false);
        }
        let arrays = presence(self.arrays.iter().map(AsRef::as_ref), rows)?;
        let also = others
            .arrays
            .iter()
            .chain(&others.others)
            .map(AsRef::as_ref);
        let others = presence(others.numbers().chain(also), rows)?;
        let both = arrays.values() & others.values();
        Ok(both.count_set_bits() > 0)
    }

    /// All numbers as floats; `None` if there are none.
    #[expect(
        clippy::cast_precision_loss,
        reason = "arithmetic with a float is in floats"
    )]
    fn floats(&self) -> Option<Float64Array> {
        let as_floats = |ints: &Int64Array| ints.unary(|int| int as f64);
        let ints = self.int.iter().chain(&self.duration).map(as_floats);
        ints.chain(self.float.clone()).reduce(|first, second| {
            let pairs = first.iter().zip(&second);
            pairs.map(|(first, second)| first.or(second)).collect()
        })
    }

    fn negated(self) -> Result<Self> {
        fn negated<T: ArrowPrimitiveType>(
            values: Option<PrimitiveArray<T>>,
        ) -> Result<Option<PrimitiveArray<T>>> {
            let Some(values) = values else {
                return Ok(None);
            };
            Ok(primitive(&neg_wrapping(&values)?))
        }
        Ok(Self {
            int: negated(self.int)?,
            duration: negated(self.duration)?,
            float: negated(self.float)?,
            ..Self::default()
        })
    }
}

fn primitive<T: ArrowPrimitiveType>(array: &ArrayRef) -> Option<PrimitiveArray<T>> {
    array.as_primitive_opt::<T>().cloned()
}

/// The result; `None` for a division by zero.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "integer powers go through floats and saturate"
)]
pub(crate) fn int_operation(op: BinaryOp, lhs: i64, rhs: i64, dialect: Dialect) -> Option<i64> {
    match op {
        BinaryOp::Sub => Some(lhs.wrapping_sub(rhs)),
        BinaryOp::Mul => Some(lhs.wrapping_mul(rhs)),
        BinaryOp::Div => (rhs != 0).then(|| lhs.wrapping_div(rhs)),
        BinaryOp::Mod => (rhs != 0).then(|| lhs.wrapping_rem(rhs)),
        BinaryOp::Pow => {
            let (base, exponent) = match dialect {
                Dialect::Spandrel => (lhs, rhs),
                Dialect::Tempo => (rhs, lhs),
            };
            Some((base as f64).powf(exponent as f64) as i64)
        }
        _ => Some(lhs.wrapping_add(rhs)),
    }
}

/// The result, as IEEE 754 has it.
pub(crate) fn float_operation(op: BinaryOp, lhs: f64, rhs: f64) -> f64 {
    match op {
        BinaryOp::Sub => lhs - rhs,
        BinaryOp::Mul => lhs * rhs,
        BinaryOp::Div => lhs / rhs,
        BinaryOp::Mod => lhs % rhs,
        BinaryOp::Pow => lhs.powf(rhs),
        _ => lhs + rhs,
    }
}
