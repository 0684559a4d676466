//! Power-of-two buckets, and quantiles interpolated in them.

use std::collections::BTreeMap;

use super::value::Value;

/// A non-negative float as a map key; its bits sort as it does.
type Bits = u64;

/// The buckets the values fall into: upper bound (seconds for Durations) and count, ascending.
#[must_use]
pub fn bucket_counts(values: &[Value]) -> Vec<(f64, usize)> {
    let mut counts: BTreeMap<Bits, usize> = BTreeMap::new();
    for bound in values.iter().filter_map(upper_bound) {
        *counts.entry(bound.to_bits()).or_default() += 1;
    }
    counts
        .into_iter()
        .map(|(bits, count)| (f64::from_bits(bits), count))
        .collect()
}

/// The least power of two not below the value; `None` for values that are not observed.
fn upper_bound(value: &Value) -> Option<f64> {
    match value {
        Value::Int(number) if *number >= 2 => Some(power_of_two_from(*number)),
        Value::Duration(ns) if *ns >= 2 => Some(power_of_two_from(*ns) / 1e9),
        Value::Float(number) if *number > 0.0 => Some(float_power_of_two_from(*number)),
        _ => None,
    }
}

fn power_of_two_from(number: i64) -> f64 {
    number.unsigned_abs().next_power_of_two() as f64
}

/// Found by doubling and halving, which is exact, unlike a logarithm.
fn float_power_of_two_from(number: f64) -> f64 {
    let mut bound = 1.0_f64;
    while bound < number {
        bound *= 2.0;
    }
    while bound / 2.0 >= number {
        bound /= 2.0;
    }
    bound
}

/// The 1-based rank of quantile `q` among `count` values; 1 if there are none.
pub(super) fn rank(q: f64, count: usize) -> usize {
    ((q * count as f64).ceil() as usize).max(1)
}

/// Quantile `q` of the buckets of one interval; `None` if they are empty.
#[must_use]
pub fn log2_quantile(q: f64, buckets: &[(f64, usize)]) -> Option<f64> {
    let rank = rank(q, buckets.iter().map(|&(_, count)| count).sum());
    let mut below = 0;
    for (index, &(bound, count)) in buckets.iter().enumerate() {
        if below + count < rank {
            below += count;
            continue;
        }
        if below + count == rank {
            return Some(bound);
        }
        let high = bound.log2();
        // The previous bucket that has something in it, however far away.
        let low = if index == 0 {
            high - 1.0
        } else {
            buckets[index - 1].0.log2()
        };
        return Some((low + (high - low) * (rank - below) as f64 / count as f64).exp2());
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn milliseconds(values: &[i64]) -> Vec<(f64, usize)> {
        bucket_counts(
            &values
                .iter()
                .map(|ms| Value::Duration(ms * 1_000_000))
                .collect::<Vec<_>>(),
        )
    }

    fn assert_close(actual: Option<f64>, expected: f64) {
        let actual = actual.expect("there are observations");
        assert!(
            (actual - expected).abs() <= 1e-12 * expected,
            "{actual} is not {expected}"
        );
    }

    #[test]
    fn examples_of_the_specification() {
        let buckets = milliseconds(&[200, 300, 400]);
        assert_eq!(buckets, [(0.268_435_456, 1), (0.536_870_912, 2)]);
        assert_close(log2_quantile(0.5, &buckets), 0.379_625_062_497_006_3);
        assert_close(log2_quantile(0.9, &buckets), 0.536_870_912);
        let ints = bucket_counts(&[Value::Int(3), Value::Int(4)]);
        assert_eq!(ints, [(4.0, 2)]);
        assert_close(log2_quantile(0.5, &ints), 2.828_427_124_746_19);
        assert_close(log2_quantile(0.0, &[(2.0, 1), (8.0, 1)]), 2.0);
        assert_close(log2_quantile(1.0, &[(2.0, 1), (8.0, 1)]), 8.0);
        assert_eq!(log2_quantile(0.5, &[]), None);
    }

    #[test]
    fn small_values_are_not_observed() {
        let values = [
            Value::Int(1),
            Value::Int(0),
            Value::Int(-5),
            Value::Duration(1),
            Value::Float(0.0),
            Value::Float(-1.0),
        ];
        assert_eq!(bucket_counts(&values), []);
    }

    #[test]
    fn bounds_are_inclusive() {
        let values = [
            Value::Int(2),
            Value::Int(3),
            Value::Int(4),
            Value::Int(i64::MAX),
            Value::Float(0.3),
            Value::Float(0.25),
        ];
        assert_eq!(
            bucket_counts(&values),
            [
                (0.25, 1),
                (0.5, 1),
                (2.0, 1),
                (4.0, 2),
                (9_223_372_036_854_775_808.0, 1)
            ]
        );
    }
}
