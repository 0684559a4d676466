//! From the spans of one series to its values.

use traceql::ast::MetricsFunction;

use super::buckets::{bucket_counts, log2_quantile, rank};
use super::value::Value;

/// What one series has in one interval.
#[derive(Debug, Clone, Default)]
pub struct Interval {
    /// How many spans.
    pub spans: usize,
    /// Values of the aggregated attribute: Int, Float and Duration, nothing else.
    pub values: Vec<Value>,
}

impl Interval {
    /// Adds a span and, if it is one to aggregate, its value.
    pub fn add(&mut self, value: Option<Value>) {
        self.spans += 1;
        self.values.extend(value.filter(is_aggregated));
    }

    /// The values as numbers, Durations in seconds.
    fn numbers(&self) -> Vec<f64> {
        self.values.iter().map(number).collect()
    }
}

/// How quantiles are computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuantileMethod {
    /// The value of nearest rank, of which engines may be off by a bounded relative error.
    NearestRank,
    /// Interpolated in power-of-two buckets.
    Log2Buckets,
}

/// The values of the one series of a plain function; `None` if it has no value at all.
#[must_use]
pub fn plain_values(
    function: &MetricsFunction,
    intervals: &[Interval],
    step_seconds: f64,
) -> Option<Vec<Option<f64>>> {
    let value_of = |interval: &Interval| -> Option<f64> {
        let numbers = interval.numbers();
        match function {
            MetricsFunction::Rate => Some(interval.spans as f64 * (1.0 / step_seconds)),
            MetricsFunction::CountOverTime => Some(interval.spans as f64),
            MetricsFunction::MinOverTime => numbers.into_iter().reduce(f64::min),
            MetricsFunction::MaxOverTime => numbers.into_iter().reduce(f64::max),
            MetricsFunction::SumOverTime => (!numbers.is_empty()).then(|| sum(&numbers)),
            MetricsFunction::AvgOverTime => {
                (!numbers.is_empty()).then(|| sum(&numbers) / numbers.len() as f64)
            }
            MetricsFunction::HistogramOverTime | MetricsFunction::QuantileOverTime { .. } => {
                unreachable!("has more than one series: {function:?}")
            }
        }
    };
    let values: Vec<Option<f64>> = intervals.iter().map(value_of).collect();
    values.iter().any(Option::is_some).then_some(values)
}

/// The values of quantile `q`; `None` if there is no observation in any interval.
#[must_use]
pub fn quantile_values(
    q: f64,
    method: QuantileMethod,
    intervals: &[Interval],
) -> Option<Vec<Option<f64>>> {
    let value_of = |interval: &Interval| match method {
        QuantileMethod::NearestRank => nearest_rank(q, interval.numbers()),
        QuantileMethod::Log2Buckets => log2_quantile(q, &bucket_counts(&interval.values)),
    };
    let values: Vec<Option<f64>> = intervals.iter().map(value_of).collect();
    let observed = values.iter().any(Option::is_some);
    observed.then(|| {
        values
            .into_iter()
            .map(|value| Some(value.unwrap_or(0.0)))
            .collect()
    })
}

/// The series of a histogram: for each bucket its upper bound and its counts.
#[must_use]
pub fn histogram(intervals: &[Interval]) -> Vec<(f64, Vec<Option<f64>>)> {
    let counts: Vec<Vec<(f64, usize)>> = intervals
        .iter()
        .map(|it| bucket_counts(&it.values))
        .collect();
    let mut bounds: Vec<f64> = counts.iter().flatten().map(|&(bound, _)| bound).collect();
    bounds.sort_by(f64::total_cmp);
    bounds.dedup();
    let count_in = |counts: &[(f64, usize)], bound: f64| {
        counts
            .iter()
            .find(|&&(other, _)| other == bound)
            .map_or(0, |&(_, count)| count) as f64
    };
    bounds
        .into_iter()
        .map(|bound| {
            (
                bound,
                counts
                    .iter()
                    .map(|counts| Some(count_in(counts, bound)))
                    .collect(),
            )
        })
        .collect()
}

/// Absent and other values are skipped; NaN, which orders with nothing, counts as absent.
fn is_aggregated(value: &Value) -> bool {
    match value {
        Value::Int(_) | Value::Duration(_) => true,
        Value::Float(number) => !number.is_nan(),
        _ => false,
    }
}

pub(crate) fn number(value: &Value) -> f64 {
    match value {
        Value::Int(number) => *number as f64,
        Value::Float(number) => *number,
        Value::Duration(ns) => *ns as f64 / 1e9,
        other => unreachable!("not an aggregated value: {other:?}"),
    }
}

/// Neumaier's compensated sum, so that the order of the spans does not show.
pub(super) fn sum(numbers: &[f64]) -> f64 {
    let (mut sum, mut lost) = (0.0_f64, 0.0_f64);
    for &number in numbers {
        let next = sum + number;
        lost += if sum.abs() >= number.abs() {
            (sum - next) + number
        } else {
            (number - next) + sum
        };
        sum = next;
    }
    // Infinities leave NaN as what was lost.
    if lost.is_finite() { sum + lost } else { sum }
}

/// The value at 1-based rank `max(1, ceil(q·N))`.
fn nearest_rank(q: f64, mut numbers: Vec<f64>) -> Option<f64> {
    numbers.sort_by(f64::total_cmp);
    let rank = rank(q, numbers.len());
    numbers.get(rank - 1).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interval(values: &[Value]) -> Interval {
        let mut interval = Interval::default();
        for value in values {
            interval.add(Some(value.clone()));
        }
        interval
    }

    #[test]
    fn only_numbers_are_aggregated() {
        let mixed = interval(&[
            Value::Int(3),
            Value::Nil,
            Value::String("9".into()),
            Value::Float(2.5),
            Value::Float(f64::NAN),
            Value::Bool(true),
        ]);
        assert_eq!(mixed.spans, 6);
        assert_eq!(
            plain_values(&MetricsFunction::SumOverTime, &[mixed], 1.0),
            Some(vec![Some(5.5)])
        );
    }

    #[test]
    fn nearest_rank_is_exact() {
        let values = [0.2, 0.4, 0.3].map(Value::Float);
        let quantile = |q| {
            quantile_values(
                q,
                QuantileMethod::NearestRank,
                &[interval(&values), Interval::default()],
            )
        };
        assert_eq!(quantile(0.0), Some(vec![Some(0.2), Some(0.0)]));
        assert_eq!(quantile(0.5), Some(vec![Some(0.3), Some(0.0)]));
        assert_eq!(quantile(1.0), Some(vec![Some(0.4), Some(0.0)]));
        assert_eq!(
            quantile_values(0.5, QuantileMethod::NearestRank, &[Interval::default()]),
            None
        );
    }

    #[test]
    fn rate_divides_as_the_specification_does() {
        let three = interval(&[Value::Nil, Value::Nil, Value::Nil]);
        assert_eq!(
            plain_values(&MetricsFunction::Rate, &[three], 10.0),
            Some(vec![Some(0.300_000_000_000_000_04)])
        );
    }

    #[test]
    fn the_sum_is_compensated() {
        assert_eq!(sum(&[1e16, 1.0, -1e16, 1.0]), 2.0);
        assert_eq!(sum(&[f64::INFINITY, 1.0]), f64::INFINITY);
    }
}
