//! Aggregates over the spans of a spanset, and arithmetic with them.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{Float64Type, Int64Type};
use datafusion::error::Result;
use traceql::ast::AggregateFunction;

use super::number::Number;
use super::partition::Partition;
use super::program::{Aggregate, Argument, ExpressionId, Scalar, Step};
use super::relation::NONE;
use super::run::Run;
use crate::aggregate::double_double::DoubleDouble;

/// A number for each spanset of a partition, by its number; `None` where it has none.
type Numbers = Vec<Option<Number>>;

/// Computes the numbers of a partition's spansets.
pub(super) struct Scalars<'a> {
    run: &'a Run<'a>,
    partition: &'a Partition,
    /// Aggregates in the order of their appearance, by name.
    pub(super) shown: Vec<(Arc<str>, Numbers)>,
    /// Rows that pipelines among the operands select; `None` if there is no pipeline.
    pub(super) selected: Option<Vec<bool>>,
}

impl<'a> Scalars<'a> {
    pub(super) fn new(run: &'a Run<'a>, partition: &'a Partition) -> Self {
        Self {
            run,
            partition,
            shown: Vec::new(),
            selected: None,
        }
    }

    /// The value of a scalar for each spanset.
    pub(super) fn numbers(&mut self, scalar: &Scalar) -> Result<Numbers> {
        match scalar {
            Scalar::Number(number) => Ok(vec![Some(*number); self.partition.spansets.len()]),
            Scalar::Aggregate(aggregate) => {
                let values = aggregated(self.run, self.partition, aggregate)?;
                self.show(aggregate, &values);
                Ok(values)
            }
            Scalar::Binary { op, lhs, rhs, text } => {
                let (lhs, rhs) = (self.numbers(lhs)?, self.numbers(rhs)?);
                let dialect = self.run.runnable.program.dialect;
                let pairs = lhs.into_iter().zip(rhs);
                pairs
                    .map(|pair| match pair {
                        (Some(lhs), Some(rhs)) => lhs.arithmetic(*op, rhs, text, dialect).map(Some),
                        _ => Ok(None),
                    })
                    .collect()
            }
            Scalar::Pipeline {
                steps,
                aggregate,
                text,
            } => self.pipeline(steps, aggregate, text),
        }
    }

    /// The aggregate of the one spanset that a pipeline makes of each.
    fn pipeline(&mut self, steps: &[Step], aggregate: &Aggregate, text: &str) -> Result<Numbers> {
        let mut result = self.partition.clone();
        self.run.steps(steps, &mut result)?;
        let values = aggregated(self.run, &result, aggregate)?;
        let sources = self.partition.only_results(&result, text)?.into_iter();
        let numbers = sources
            .map(|source| *values.get(source as usize)?)
            .collect();
        let members = result.members();
        self.selected = Some(match self.selected.take() {
            None => members,
            Some(before) => before
                .into_iter()
                .zip(members)
                .map(|(a, b)| a | b)
                .collect(),
        });
        self.show(aggregate, &numbers);
        Ok(numbers)
    }

    fn show(&mut self, aggregate: &Aggregate, values: &Numbers) {
        if self.run.runnable.keep_attributes
            && self.shown.iter().all(|(name, _)| *name != aggregate.text)
        {
            self.shown
                .push((Arc::clone(&aggregate.text), values.clone()));
        }
    }
}

/// What an aggregate is over each spanset; `None` where no span has a value.
fn aggregated(run: &Run<'_>, partition: &Partition, aggregate: &Aggregate) -> Result<Numbers> {
    let mut totals = vec![Total::default(); partition.spansets.len()];
    let Some(argument) = &aggregate.argument else {
        for &spanset in partition.of_row.iter().filter(|&&spanset| spanset != NONE) {
            totals[spanset as usize].count += 1;
        }
        let count = |total: Total| (total.count > 0).then_some(Number::Int(total.count));
        return Ok(totals.into_iter().map(count).collect());
    };
    let columns = ArgumentColumns::evaluate(run, partition, argument)?;
    for (at, &spanset) in partition.of_row.iter().enumerate() {
        if spanset == NONE {
            continue;
        }
        let total = &mut totals[spanset as usize];
        match columns.number(at) {
            Some(number) => total.add(number),
            // An average counts what it cannot add.
            None if columns.has_other(at) => total.count += 1,
            None => {}
        }
    }
    let result = |total: Total| total.result(aggregate.function);
    Ok(totals.into_iter().map(result).collect())
}

/// The columns of an argument.
struct ArgumentColumns {
    int: Option<ArrayRef>,
    duration: Option<ArrayRef>,
    float: Option<ArrayRef>,
    other: Option<ArrayRef>,
}

impl ArgumentColumns {
    fn evaluate(run: &Run<'_>, partition: &Partition, argument: &Argument) -> Result<Self> {
        for failure in &argument.failures {
            run.column(*failure, partition)?;
        }
        let column = |id: Option<ExpressionId>| id.map(|id| run.column(id, partition)).transpose();
        Ok(Self {
            int: column(argument.int)?,
            duration: column(argument.duration)?,
            float: column(argument.float)?,
            other: column(argument.other)?,
        })
    }

    fn number(&self, at: usize) -> Option<Number> {
        let integer = |column: &Option<ArrayRef>| {
            let column = column.as_ref()?.as_primitive_opt::<Int64Type>()?;
            column.is_valid(at).then(|| column.value(at))
        };
        let float = || {
            let column = self.float.as_ref()?.as_primitive_opt::<Float64Type>()?;
            let value = column.is_valid(at).then(|| column.value(at));
            // NaN orders with nothing, so it counts as absent.
            value.filter(|value| !value.is_nan()).map(Number::Float)
        };
        integer(&self.int)
            .map(Number::Int)
            .or_else(|| integer(&self.duration).map(Number::Duration))
            .or_else(float)
    }

    fn has_other(&self, at: usize) -> bool {
        let other = self.other.as_ref().and_then(|other| other.as_boolean_opt());
        other.is_some_and(|other| other.is_valid(at) && other.value(at))
    }
}

/// What has been seen of a spanset's values.
#[derive(Debug, Clone, Copy, Default)]
struct Total {
    /// Values that are present, numbers or not.
    count: i64,
    /// The sum of the numbers that have the type of the first.
    sum: Option<Sum>,
    min: Option<Number>,
    max: Option<Number>,
}

/// A sum of numbers of one type. No number of spans overflows it.
#[derive(Debug, Clone, Copy)]
enum Sum {
    Int(i128),
    /// Nanoseconds.
    Duration(i128),
    Float(DoubleDouble),
}

impl From<Number> for Sum {
    fn from(number: Number) -> Self {
        match number {
            Number::Int(value) => Self::Int(value.into()),
            Number::Duration(ns) => Self::Duration(ns.into()),
            Number::Float(value) => Self::Float(value.into()),
        }
    }
}

impl Sum {
    fn add(&mut self, number: Number) {
        match (self, number) {
            (Self::Int(sum), Number::Int(value))
            | (Self::Duration(sum), Number::Duration(value)) => {
                *sum += i128::from(value);
            }
            (Self::Float(sum), Number::Float(value)) => sum.add(value.into()),
            _ => {}
        }
    }

    /// The sum as a number of its type; that of integers wraps, as their addition does.
    #[expect(clippy::cast_possible_truncation, reason = "integers have 64 bits")]
    fn value(self) -> Number {
        match self {
            Self::Int(sum) => Number::Int(sum as i64),
            Self::Duration(ns) => Number::Duration(ns as i64),
            Self::Float(sum) => Number::Float(sum.value()),
        }
    }

    /// The sum shared out among `count`: of durations whole nanoseconds, else a float.
    #[expect(clippy::cast_precision_loss, reason = "that is the average as a float")]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "an average is among its values"
    )]
    fn average(self, count: i64) -> Number {
        match self {
            Self::Int(sum) => Number::Float(sum as f64 / count as f64),
            Self::Duration(ns) => Number::Duration((ns / i128::from(count)) as i64),
            Self::Float(sum) => Number::Float(sum.value() / count as f64),
        }
    }
}

impl Total {
    fn add(&mut self, number: Number) {
        self.count += 1;
        match &mut self.sum {
            Some(sum) => sum.add(number),
            None => self.sum = Some(number.into()),
        }
        let closer = |held: Option<Number>, order: Ordering| match held {
            Some(held) if number.order(held) != Some(order) => Some(held),
            _ => Some(number),
        };
        self.min = closer(self.min, Ordering::Less);
        self.max = closer(self.max, Ordering::Greater);
    }

    fn result(self, function: AggregateFunction) -> Option<Number> {
        match function {
            AggregateFunction::Count => (self.count > 0).then_some(Number::Int(self.count)),
            AggregateFunction::Sum => self.sum.map(Sum::value),
            AggregateFunction::Min => self.min,
            AggregateFunction::Max => self.max,
            AggregateFunction::Avg => self.sum.map(|sum| sum.average(self.count)),
        }
    }
}

#[cfg(test)]
mod tests {
    use AggregateFunction::{Avg, Sum};

    use super::*;

    fn total(numbers: &[Number], function: AggregateFunction) -> Option<Number> {
        let mut total = Total::default();
        for &number in numbers {
            total.add(number);
        }
        total.result(function)
    }

    #[test]
    fn sums_wrap_and_averages_are_exact() {
        let ints = [i64::MAX, i64::MAX, 2].map(Number::Int);
        assert_eq!(total(&ints, Sum), Some(Number::Int(0)));
        assert_eq!(total(&ints, Avg), Some(Number::Float(2_f64.powi(64) / 3.0)));
        let durations = [i64::MAX, i64::MAX - 1].map(Number::Duration);
        assert_eq!(total(&durations, Sum), Some(Number::Duration(-3)));
        assert_eq!(total(&durations, Avg), Some(Number::Duration(i64::MAX - 1)));
    }

    #[test]
    fn floats_lose_nothing_on_the_way() {
        let floats = [1e17, 1.0, 1.0, -1e17].map(Number::Float);
        assert_eq!(total(&floats, Sum), Some(Number::Float(2.0)));
        assert_eq!(total(&floats, Avg), Some(Number::Float(0.5)));
    }
}
