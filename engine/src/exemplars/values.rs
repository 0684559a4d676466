//! Values of rows, and the intervals that rows are in.

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use datafusion::error::Result;

use super::candidate::is_larger;
use crate::aggregate::StateKind;
use crate::aggregate::histogram::{float_bucket, int_bucket};
use crate::aggregate::interval::OUTSIDE;
use crate::index::index;
use crate::spanset::number::Number;

/// Values of rows: what is aggregated of them, or their durations where they are only counted.
#[derive(Debug, Clone)]
pub(crate) enum RowValues {
    Int(Int64Array),
    Float(Float64Array),
    /// Of rows that are all in one interval, the first with the largest.
    Largest {
        at: usize,
        value: i64,
    },
}

/// In which intervals rows are.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Located<'a> {
    /// In none.
    Outside,
    /// All in one.
    One(usize),
    /// Each in its own, or [`OUTSIDE`].
    Each {
        intervals: &'a [u32],
        first: usize,
        last: usize,
    },
}

impl<'a> Located<'a> {
    /// By the intervals of rows.
    pub(super) fn of(intervals: &'a [u32]) -> Self {
        let least = intervals.iter().copied().min().unwrap_or(OUTSIDE);
        if least == OUTSIDE {
            return Self::Outside;
        }
        let inside = |&interval: &u32| if interval == OUTSIDE { 0 } else { interval };
        let last = intervals.iter().map(inside).max().unwrap_or(least);
        let (first, last) = (index(least), index(last));
        if first == last && !intervals.contains(&OUTSIDE) {
            return Self::One(first);
        }
        Self::Each {
            intervals,
            first,
            last,
        }
    }
}

impl RowValues {
    /// Values as they are aggregated.
    ///
    /// # Errors
    /// If they are no numbers.
    pub(crate) fn try_new(values: &ArrayRef) -> Result<Self> {
        Ok(if values.data_type().is_floating() {
            let values = cast(values, &DataType::Float64)?;
            Self::Float(values.as_primitive::<Float64Type>().clone())
        } else {
            let values = cast(values, &DataType::Int64)?;
            Self::Int(values.as_primitive::<Int64Type>().clone())
        })
    }

    /// The value of a row; `None` if it does not count.
    pub(super) fn get(&self, row: usize, kind: StateKind) -> Option<Number> {
        let value = match self {
            Self::Int(values) if values.is_valid(row) => Number::Int(values.value(row)),
            Self::Float(values) if values.is_valid(row) => Number::Float(values.value(row)),
            Self::Largest { .. } => Number::Int(0),
            _ => return None,
        };
        counts(value, kind).then_some(value)
    }

    /// Hands over each row that counts, and its value.
    pub(super) fn each(&self, kind: StateKind, mut act: impl FnMut(usize, Number)) {
        match self {
            Self::Int(values) if values.null_count() == 0 && kind != StateKind::Log2 => {
                let values = values.values().iter().enumerate();
                values.for_each(|(row, value)| act(row, Number::Int(*value)));
            }
            _ => {
                for row in 0..self.len() {
                    if let Some(value) = self.get(row, kind) {
                        act(row, value);
                    }
                }
            }
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Int(values) => values.len(),
            Self::Float(values) => values.len(),
            // It is of rows that are all in one interval, and looked at as such.
            Self::Largest { .. } => 0,
        }
    }

    /// The first of the rows with the largest value among those that count, and the value.
    pub(super) fn largest(&self, kind: StateKind) -> Option<(usize, Number)> {
        match self {
            &Self::Largest { at, value } => {
                let value = Number::Int(value);
                counts(value, kind).then_some((at, value))
            }
            Self::Int(values) if values.null_count() == 0 => {
                let most = values.values().iter().copied().max()?;
                let at = values.values().iter().position(|value| *value == most)?;
                let value = Number::Int(most);
                counts(value, kind).then_some((at, value))
            }
            _ => {
                let mut largest: Option<(usize, Number)> = None;
                self.each(kind, |row, value| {
                    if largest.is_none_or(|(_, held)| is_larger(value, held)) {
                        largest = Some((row, value));
                    }
                });
                largest
            }
        }
    }
}

/// Whether a function that keeps such states counts a span with this value.
fn counts(value: Number, kind: StateKind) -> bool {
    let is_nan = matches!(value, Number::Float(value) if value.is_nan());
    !is_nan && (kind != StateKind::Log2 || bucket(value).is_some())
}

/// The bucket of a histogram that a value is in.
pub(super) fn bucket(value: Number) -> Option<i32> {
    match value {
        Number::Int(value) | Number::Duration(value) => int_bucket(value),
        Number::Float(value) => float_bucket(value),
    }
}
