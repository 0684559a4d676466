//! Scalars of a spanset: aggregates of its spans, arithmetic on them, comparisons.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use traceql::ast::{Aggregate, AggregateFunction, Pipeline, ScalarExpr, ScalarFilter};

use super::attributes::SpanView;
use super::error::RuntimeError;
use super::pipeline::{Selection, Spanset, only};
use super::trace::Trace;
use super::value::Value;

/// What a scalar filter finds in one spanset.
#[derive(Debug, Clone, PartialEq)]
pub struct Compared {
    /// Whether the comparison holds.
    pub holds: bool,
    /// The aggregates by their text, in the order in which the filter names them; each text once.
    pub aggregates: Vec<(String, Value)>,
    /// The spans that pipelines among the operands select; `None` if there is no pipeline.
    pub selected: Option<BTreeSet<usize>>,
}

/// Compares scalars of a spanset; `None` if some aggregate has no value.
///
/// # Errors
/// An expression fails on a span, the arithmetic of the filter does, or a pipeline among the
/// operands yields several spansets, which have no one scalar.
pub fn compare(
    filter: &ScalarFilter,
    selection: &Selection,
    trace: &Trace<'_>,
    spanset: &Spanset,
) -> Result<Option<Compared>, RuntimeError> {
    let mut scalars = Scalars {
        selection,
        trace,
        spanset,
        aggregates: Vec::new(),
        selected: None,
    };
    let (lhs, rhs) = (scalars.scalar(&filter.lhs)?, scalars.scalar(&filter.rhs)?);
    let (Some(lhs), Some(rhs)) = (lhs, rhs) else {
        return Ok(None);
    };
    let holds = selection.evaluator().binary(filter.op.into(), &lhs, &rhs)?;
    Ok(Some(Compared {
        holds: holds.is_true(),
        aggregates: scalars.aggregates,
        selected: scalars.selected,
    }))
}

struct Scalars<'a> {
    selection: &'a Selection,
    trace: &'a Trace<'a>,
    spanset: &'a Spanset,
    aggregates: Vec<(String, Value)>,
    selected: Option<BTreeSet<usize>>,
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
                    (Some(lhs), Some(rhs)) => {
                        self.selection.evaluator().binary(*op, &lhs, &rhs).map(Some)
                    }
                    _ => Ok(None),
                }
            }
            ScalarExpr::Aggregate(aggregate) => self.aggregate(aggregate, &self.spanset.spans),
            ScalarExpr::Pipeline {
                pipeline,
                aggregate,
                ..
            } => self.pipeline(pipeline, aggregate),
        }
    }

    /// The aggregate of what a pipeline leaves of the spanset.
    fn pipeline(
        &mut self,
        pipeline: &Pipeline,
        aggregate: &Aggregate,
    ) -> Result<Option<Value>, RuntimeError> {
        let input = vec![self.spanset.clone()];
        let spansets = self.selection.stages(pipeline, self.trace, input)?;
        let spans = only(&spansets)?;
        self.selected.get_or_insert_default().extend(spans);
        self.aggregate(aggregate, spans)
    }

    fn aggregate(
        &mut self,
        aggregate: &Aggregate,
        spans: &[usize],
    ) -> Result<Option<Value>, RuntimeError> {
        let mut values = Vec::new();
        for &span in spans {
            let view = SpanView::new(self.trace, span);
            values.push(match &aggregate.argument {
                Some(argument) => self.selection.evaluator().value(argument, view)?,
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
/// aggregate, and so no count of nothing either.
///
/// Absent values are skipped. So is NaN, which orders with nothing. What is no number is never part
/// of a result, but still one of the values that an average is over.
#[must_use]
pub fn aggregate_of(function: AggregateFunction, values: &[Value]) -> Option<Value> {
    if function == AggregateFunction::Count {
        return (!values.is_empty()).then_some(Value::Int(values.len() as i64));
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
        AggregateFunction::Min => extreme(&numbers, Ordering::Less),
        AggregateFunction::Max => extreme(&numbers, Ordering::Greater),
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

/// The first of the values that no later one beats. Values of different types compare as floats.
fn extreme(numbers: &[(f64, &Value)], beats: Ordering) -> Option<Value> {
    let order = |one: (f64, &Value), other: (f64, &Value)| match (one.1, other.1) {
        (Value::Int(one), Value::Int(other)) => Some(one.cmp(other)),
        (Value::Duration(one), Value::Duration(other)) => Some(one.cmp(other)),
        _ => one.0.partial_cmp(&other.0),
    };
    let better = |best, it| {
        if order(it, best) == Some(beats) {
            it
        } else {
            best
        }
    };
    let best = numbers.iter().copied().reduce(better);
    best.map(|(_, value)| value.clone())
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
