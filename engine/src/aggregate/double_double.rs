//! Sums that do not depend on the order of their terms.

/// An unevaluated sum of two floats: about 106 bits, so that sums of nanoseconds and of integers are
/// exact and sums of floats round the same whatever the order they came in.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct DoubleDouble {
    /// The sum rounded to a float.
    pub(crate) high: f64,
    /// What the rounding left over.
    pub(crate) low: f64,
}

impl From<i64> for DoubleDouble {
    #[inline]
    #[expect(clippy::cast_precision_loss, reason = "either half is a float exactly")]
    fn from(value: i64) -> Self {
        const HALF: u32 = 32;
        let upper = (value >> HALF) as f64 * (1_u64 << HALF) as f64;
        let lower = (value & ((1 << HALF) - 1)) as f64;
        let (high, low) = two_sum(upper, lower);
        Self { high, low }
    }
}

impl From<i128> for DoubleDouble {
    /// Exact up to 106 bits.
    #[expect(clippy::cast_possible_truncation, reason = "64 bits and twice 32")]
    fn from(value: i128) -> Self {
        const LOW: i128 = (1 << 32) - 1;
        let mut sum = Self::default();
        for (part, bits) in [(value >> 64, 64), (value >> 32 & LOW, 32), (value & LOW, 0)] {
            let Self { high, low } = Self::from(part as i64);
            let scale = 2_f64.powi(bits);
            sum.add(Self {
                high: high * scale,
                low: low * scale,
            });
        }
        sum
    }
}

impl From<f64> for DoubleDouble {
    fn from(high: f64) -> Self {
        Self { high, low: 0.0 }
    }
}

impl DoubleDouble {
    /// Adds another sum (Knuth's two-sum on both parts, renormalised).
    #[inline]
    pub(crate) fn add(&mut self, other: Self) {
        let (high, high_error) = two_sum(self.high, other.high);
        if !high.is_finite() {
            // Error terms of infinities are NaN and would hide the infinity.
            *self = Self { high, low: 0.0 };
            return;
        }
        let (low, low_error) = two_sum(self.low, other.low);
        let (high, carry) = quick_two_sum(high, high_error + low);
        let (high, low) = quick_two_sum(high, carry + low_error);
        *self = Self { high, low };
    }

    /// The sum as one float.
    pub(crate) fn value(self) -> f64 {
        self.high + self.low
    }
}

#[inline]
fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let b_part = sum - a;
    (sum, (a - (sum - b_part)) + (b - b_part))
}

#[inline]
fn quick_two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    (sum, b - (sum - a))
}

#[cfg(test)]
mod tests {
    use super::DoubleDouble;

    fn sum<T: Into<DoubleDouble>>(values: impl IntoIterator<Item = T>) -> DoubleDouble {
        let mut total = DoubleDouble::default();
        for value in values {
            total.add(value.into());
        }
        total
    }

    #[test]
    fn integers_sum_exactly() {
        let total = sum([i64::MAX, 1, -2, i64::MAX, i64::MIN, i64::MIN, 7]);
        assert_eq!(total.value().to_bits(), 4.0_f64.to_bits());
    }

    #[test]
    fn every_integer_is_held_exactly() {
        let around = |value: i64| (-3..=3).map(move |by| value.wrapping_add(by));
        let powers = (0..63).map(|bits| 1_i64 << bits);
        let signed = powers.flat_map(|power| [power, -power, power / 3 * 2]);
        for value in signed.chain([i64::MIN, i64::MAX]).flat_map(around) {
            let DoubleDouble { high, low } = DoubleDouble::from(value);
            #[expect(
                clippy::cast_precision_loss,
                reason = "what is expected of the upper part"
            )]
            let nearest = value as f64;
            assert_eq!(high.to_bits(), nearest.to_bits());
            #[expect(clippy::cast_possible_truncation, reason = "whole numbers of few bits")]
            let whole = high as i128 + low as i128;
            assert_eq!(whole, i128::from(value));
            let many = i128::from(value) * 1_000_003;
            let DoubleDouble { high, low } = DoubleDouble::from(many);
            #[expect(clippy::cast_possible_truncation, reason = "whole numbers of few bits")]
            let whole = high as i128 + low as i128;
            assert_eq!(whole, many);
        }
    }

    #[test]
    fn order_does_not_matter() {
        let values: Vec<f64> = (0..1000)
            .map(|i| 0.1 * f64::from(i) * 1e7_f64.powi(i % 3))
            .collect();
        let forward = sum(values.iter().copied());
        let backward = sum(values.iter().rev().copied());
        assert_eq!(forward.value().to_bits(), backward.value().to_bits());
    }

    #[test]
    fn infinity_stays_infinite() {
        assert!(sum([f64::INFINITY, 1.0]).value().is_infinite());
        assert!(sum([f64::INFINITY, f64::NEG_INFINITY]).value().is_nan());
    }
}
