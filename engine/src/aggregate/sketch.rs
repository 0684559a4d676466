//! A mergeable quantile sketch with a bounded relative error.
//!
//! Values are counted in log-linear buckets: each power of two is cut into 64 equal parts, so a
//! bucket's number is simply the leading 18 bits of the float. A bucket `[a, b)` is represented by
//! the harmonic mean of its ends, `2ab / (a + b)`, which is off by at most `(b − a) / (a + b)`, that
//! is 1/129 or 0.78 %, for any value in it. The rank is exact. Zero has a bucket of its own, negative
//! values mirror the positive ones, and merging is adding counts, so order never matters.

use super::buckets::Buckets;

const SUB_BUCKET_BITS: u32 = 6;
const MANTISSA_BITS: u32 = 52;
const SHIFT: u32 = MANTISSA_BITS - SUB_BUCKET_BITS;

/// Counts of values in log-linear buckets.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sketch(pub(crate) Buckets);

/// The bucket of a value: ordered as the values are, 0 for zero.
#[inline]
fn bucket_of(value: f64) -> i32 {
    let magnitude = value.abs().to_bits() >> SHIFT;
    // Eleven exponent bits and six mantissa bits: always fits.
    let bucket = i32::try_from(magnitude).unwrap_or(i32::MAX - 1);
    if value == 0.0 {
        0
    } else if value > 0.0 {
        bucket + 1
    } else {
        -(bucket + 1)
    }
}

/// The value that stands for a bucket.
fn representative(bucket: i32) -> f64 {
    if bucket == 0 {
        return 0.0;
    }
    let bits = u64::from(bucket.unsigned_abs() - 1);
    let low = f64::from_bits(bits << SHIFT);
    let high = f64::from_bits((bits + 1) << SHIFT);
    let magnitude = if high.is_finite() && low > 0.0 {
        // The same as 2ab / (a + b), but without overflow for the largest floats.
        low * (high / (low / 2.0 + high / 2.0))
    } else {
        low
    };
    if bucket > 0 { magnitude } else { -magnitude }
}

impl Sketch {
    /// Counts one value. NaN is no value and is not counted. Returns the bytes that this allocated.
    #[inline]
    pub(crate) fn add(&mut self, value: f64) -> usize {
        if value.is_nan() {
            0
        } else {
            self.0.increment(bucket_of(value))
        }
    }

    /// The value at rank `max(1, ceil(q · total))` of the sorted values, within the relative error.
    /// `None` if nothing was counted.
    pub(crate) fn quantile(&self, q: f64) -> Option<f64> {
        let rank = rank_of(q, self.0.total())?;
        self.0.at_rank(rank).map(representative)
    }
}

/// The 1-based rank of quantile `q` among `total` sorted values; `None` if there are none.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rank is a whole number between 1 and the total"
)]
pub(crate) fn rank_of(q: f64, total: u64) -> Option<u64> {
    (total > 0).then(|| ((q * total as f64).ceil() as u64).clamp(1, total))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_within_one_percent() {
        let mut value = 1e-300_f64;
        while value < 1e300 {
            for signed in [value, -value] {
                let mut sketch = Sketch::default();
                sketch.add(signed);
                let answer = sketch.quantile(0.5).expect("one value");
                assert!(
                    ((answer - signed) / signed).abs() <= 1.0 / 129.0 + 1e-12,
                    "{signed} {answer}"
                );
            }
            value *= 1.003;
        }
    }

    #[test]
    fn ranks_are_exact_over_signs_and_zero() {
        let mut sketch = Sketch::default();
        for value in [-8.0, -1.0, 0.0, -0.0, 1.0, 4.0, 16.0] {
            sketch.add(value);
        }
        let near = |q: f64, expected: f64| {
            let answer = sketch.quantile(q).expect("not empty");
            assert!(
                (answer - expected).abs() <= expected.abs() * 0.01,
                "{q}: {answer} {expected}"
            );
        };
        near(0.0, -8.0);
        near(1.0 / 7.0, -8.0);
        near(2.0 / 7.0, -1.0);
        near(0.5, 0.0);
        near(5.0 / 7.0, 1.0);
        near(1.0, 16.0);
    }

    #[test]
    fn extremes_do_not_overflow() {
        let mut sketch = Sketch::default();
        for value in [
            f64::MAX,
            f64::MIN,
            f64::INFINITY,
            f64::NEG_INFINITY,
            5e-324,
            f64::NAN,
        ] {
            sketch.add(value);
        }
        assert_eq!(sketch.0.total(), 5);
        assert_eq!(sketch.quantile(1.0), Some(f64::INFINITY));
        assert_eq!(sketch.quantile(0.0), Some(f64::NEG_INFINITY));
        let largest = sketch.quantile(0.8).expect("not empty");
        assert!(largest.is_finite() && largest > f64::MAX * 0.99);
    }

    #[test]
    fn empty_has_no_quantile() {
        assert_eq!(Sketch::default().quantile(0.5), None);
    }
}
