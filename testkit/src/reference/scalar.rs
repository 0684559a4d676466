//! Scalars of a spanset: aggregates of its spans, arithmetic on them, comparisons.

use traceql::ast::{Aggregate, AggregateFunction, ScalarExpr, ScalarFilter};

use super::attributes::SpanView;
use super::error::RuntimeError;
use super::expression::Evaluator;
use super::operators::binary;
use super::trace::Trace;
use super::value::Value;

/// Aggregates by their text, in the order in which a filter names them; each text once.
pub type Aggregates = Vec<(String, Value)>;

/// What a scalar filter finds in one spanset.
#[derive(Debug, Clone, PartialEq)]
pub struct Compared {
    /// Whether the comparison holds.
    pub holds: bool,
    /// The aggregates it computed.
    pub aggregates: Aggregates,
}

/// Compares the scalars of a spanset; `None` if some aggregate of it has no value.
///
/// # Errors
/// An expression fails on a span, or the arithmetic of the filter does.
pub fn compare(
    filter: &ScalarFilter,
    evaluator: &Evaluator,
    trace: &Trace<'_>,
    spans: &[usize],
) -> Result<Option<Compared>, RuntimeError> {
    let mut scalars = Scalars {
        evaluator,
        trace,
        spans,
        aggregates: Vec::new(),
    };
    let (lhs, rhs) = (scalars.scalar(&filter.lhs)?, scalars.scalar(&filter.rhs)?);
    let (Some(lhs), Some(rhs)) = (lhs, rhs) else {
        return Ok(None);
    };
    Ok(Some(Compared {
        holds: binary(filter.op.into(), &lhs, &rhs)?.is_true(),
        aggregates: scalars.aggregates,
    }))
}

struct Scalars<'a> {
    evaluator: &'a Evaluator,
    trace: &'a Trace<'a>,
    spans: &'a [usize],
    aggregates: Aggregates,
}

impl Scalars<'_> {
    fn scalar(&mut self, expr: &ScalarExpr) -> Result<Option<Value>, RuntimeError> {
        match expr {
            ScalarExpr::Number { value, .. } | ScalarExpr::Literal { value, .. } => {
                Ok(Some(Value::of_literal(value)))
            }
            ScalarExpr::Binary { op, lhs, rhs, .. } => {
                let (lhs, rhs) = (self.scalar(lhs)?, self.scalar(rhs)?);
                match (lhs, rhs) {
                    (Some(lhs), Some(rhs)) => binary(*op, &lhs, &rhs).map(Some),
                    _ => Ok(None),
                }
            }
            ScalarExpr::Aggregate(aggregate) => self.aggregate(aggregate),
            ScalarExpr::Pipeline { .. } => {
                unreachable!("the language does not admit a pipeline as a scalar: {expr:?}")
            }
        }
    }

    fn aggregate(&mut self, aggregate: &Aggregate) -> Result<Option<Value>, RuntimeError> {
        let mut values = Vec::new();
        for &span in self.spans {
            let view = SpanView::new(self.trace, span);
            values.push(match &aggregate.argument {
                Some(argument) => self.evaluator.value(argument, view)?,
                None => Value::Nil,
            });
        }
        let value = aggregate_of(aggregate.function, &values);
        if let Some(value) = &value {
            let name = aggregate.to_string();
            if self.aggregates.iter().all(|(known, _)| *known != name) {
                self.aggregates.push((name, value.clone()));
            }
        }
        Ok(value)
    }
}

/// The aggregate of the values of all spans, in stored order; `None` where there is nothing to
/// aggregate.
///
/// Absent values are skipped. So is NaN, which orders with nothing. What is no number is never part
/// of a result, but still one of the values that an average is over.
#[must_use]
pub fn aggregate_of(function: AggregateFunction, values: &[Value]) -> Option<Value> {
    if function == AggregateFunction::Count {
        return Some(Value::Int(values.len() as i64));
    }
    let is_nan = |value: &Value| matches!(value, Value::Float(number) if number.is_nan());
    let present: Vec<&Value> = values
        .iter()
        .filter(|value| !value.is_nil() && !is_nan(value))
        .collect();
    let numbers: Vec<(f64, &Value)> = present
        .iter()
        .filter_map(|value| Some((value.as_number()?, *value)))
        .collect();
    let first = numbers.first()?.1;
    match function {
        AggregateFunction::Count => unreachable!("is already answered"),
        AggregateFunction::Min => extreme(&numbers, |number, best| number < best),
        AggregateFunction::Max => extreme(&numbers, |number, best| number > best),
        AggregateFunction::Sum => Some(match sum_like(first, &numbers) {
            Sum::Int(sum) => Value::Int(sum as i64),
            Sum::Duration(sum) => Value::Duration(sum as i64),
            Sum::Float(sum) => Value::Float(sum),
        }),
        AggregateFunction::Avg => {
            let count = present.len();
            Some(match sum_like(first, &numbers) {
                Sum::Int(sum) => Value::Float(sum as f64 / count as f64),
                Sum::Duration(sum) => Value::Duration((sum / count as i128) as i64),
                Sum::Float(sum) => Value::Float(sum / count as f64),
            })
        }
    }
}

/// The first of the values that no other one beats.
fn extreme(numbers: &[(f64, &Value)], beats: fn(f64, f64) -> bool) -> Option<Value> {
    numbers
        .iter()
        .copied()
        .reduce(|best, it| if beats(it.0, best.0) { it } else { best })
        .map(|(_, value)| value.clone())
}

enum Sum {
    Int(i128),
    Duration(i128),
    Float(f64),
}

/// The sum of the values of the type of `first`; values of other types are left out.
fn sum_like(first: &Value, numbers: &[(f64, &Value)]) -> Sum {
    let values = || numbers.iter().map(|(_, value)| *value);
    match first {
        Value::Int(_) => Sum::Int(
            values()
                .filter_map(|value| match value {
                    Value::Int(number) => Some(i128::from(*number)),
                    _ => None,
                })
                .sum(),
        ),
        Value::Duration(_) => Sum::Duration(
            values()
                .filter_map(|value| match value {
                    Value::Duration(ns) => Some(i128::from(*ns)),
                    _ => None,
                })
                .sum(),
        ),
        _ => Sum::Float(super::aggregate::sum(
            &values()
                .filter_map(|value| match value {
                    Value::Float(number) => Some(*number),
                    _ => None,
                })
                .collect::<Vec<_>>(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use AggregateFunction::{Avg, Count, Max, Min, Sum};

    use super::*;

    #[test]
    fn types_of_results() {
        let ints = [Value::Int(3), Value::Nil, Value::Int(-4)];
        assert_eq!(aggregate_of(Count, &ints), Some(Value::Int(3)));
        assert_eq!(aggregate_of(Sum, &ints), Some(Value::Int(-1)));
        assert_eq!(aggregate_of(Avg, &ints), Some(Value::Float(-0.5)));
        assert_eq!(aggregate_of(Min, &ints), Some(Value::Int(-4)));
        let durations = [Value::Duration(5), Value::Duration(2)];
        assert_eq!(aggregate_of(Sum, &durations), Some(Value::Duration(7)));
        // Cut to whole nanoseconds.
        assert_eq!(aggregate_of(Avg, &durations), Some(Value::Duration(3)));
        assert_eq!(aggregate_of(Max, &durations), Some(Value::Duration(5)));
        assert_eq!(aggregate_of(Max, &[Value::Nil]), None);
        let floats = [Value::Float(-2.5), Value::Float(f64::NAN)];
        assert_eq!(aggregate_of(Max, &floats), Some(Value::Float(-2.5)));
        assert_eq!(aggregate_of(Avg, &floats), Some(Value::Float(-2.5)));
    }

    #[test]
    fn mixed_types() {
        let mixed = [
            Value::Int(3),
            Value::Float(2.5),
            Value::String("x".to_owned()),
        ];
        assert_eq!(aggregate_of(Sum, &mixed), Some(Value::Int(3)));
        assert_eq!(aggregate_of(Avg, &mixed), Some(Value::Float(1.0)));
        assert_eq!(aggregate_of(Min, &mixed), Some(Value::Float(2.5)));
        assert_eq!(aggregate_of(Max, &mixed), Some(Value::Int(3)));
        assert_eq!(aggregate_of(Max, &mixed[2..]), None);
    }

    #[test]
    fn integer_sums_wrap() {
        let values = [Value::Int(i64::MAX), Value::Int(1)];
        assert_eq!(aggregate_of(Sum, &values), Some(Value::Int(i64::MIN)));
    }
}
