//! Power-of-two buckets, compatible with Tempo's histograms and quantile estimates.

use super::buckets::Buckets;

/// Counts per bucket `(2^(k−1), 2^k]`, keyed by `k`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Log2Histogram(pub(crate) Buckets);

/// The bucket of an integer or a duration in ns. Values below 2 belong to none.
#[inline]
pub(crate) fn int_bucket(value: i64) -> Option<i32> {
    let below = u64::try_from(value).ok().filter(|&value| value >= 2)? - 1;
    i32::try_from(64 - below.leading_zeros()).ok()
}

/// The bucket of a float. Zero, negative and non-finite values belong to none.
#[expect(
    clippy::cast_possible_truncation,
    reason = "a float's exponent fits in 12 bits"
)]
pub(crate) fn float_bucket(value: f64) -> Option<i32> {
    if !(value > 0.0 && value.is_finite()) {
        return None;
    }
    // The logarithm may be off by a little next to a power of two, where it decides the bucket.
    let mut bucket = value.log2().ceil() as i32;
    while bound(bucket - 1) >= value {
        bucket -= 1;
    }
    while bound(bucket) < value {
        bucket += 1;
    }
    Some(bucket)
}

/// Upper bound of a bucket.
pub(crate) fn bound(bucket: i32) -> f64 {
    2_f64.powi(bucket)
}

impl Log2Histogram {
    /// Tempo's estimate of quantile `q`: exponential interpolation between the bound of the bucket
    /// that holds the rank and the bound of the previous bucket *with something in it*.
    ///
    /// `None` if nothing was counted.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "ranks and counts are exact far beyond any number of spans"
    )]
    pub(crate) fn quantile(&self, q: f64) -> Option<f64> {
        let total = self.0.total();
        if total == 0 {
            return None;
        }
        let rank = ((q * total as f64).ceil() as u64).max(1);
        let mut seen = 0;
        let mut previous = None;
        for (bucket, count) in self.0.iter() {
            if seen + count > rank {
                let high = f64::from(bucket);
                let low = previous.map_or(high - 1.0, f64::from);
                let fraction = (rank - seen) as f64 / count as f64;
                return Some(2_f64.powf(low + (high - low) * fraction));
            }
            seen += count;
            if seen == rank {
                return Some(bound(bucket));
            }
            previous = Some(bucket);
        }
        previous.map(bound)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[i64]) -> Log2Histogram {
        let mut histogram = Log2Histogram::default();
        for &value in values {
            if let Some(bucket) = int_bucket(value) {
                histogram.0.add(bucket, 1);
            }
        }
        histogram
    }

    #[test]
    fn integers_fall_into_right_closed_buckets() {
        let cases = [
            (i64::MIN, None),
            (0, None),
            (1, None),
            (2, Some(1)),
            (3, Some(2)),
            (4, Some(2)),
        ];
        for (value, bucket) in cases {
            assert_eq!(int_bucket(value), bucket, "{value}");
        }
        assert_eq!(int_bucket(1 << 62), Some(62));
        assert_eq!(int_bucket((1 << 62) + 1), Some(63));
        assert_eq!(int_bucket(i64::MAX), Some(63));
    }

    #[test]
    fn floats_fall_into_the_same_buckets() {
        for value in 2..5000_i32 {
            assert_eq!(
                float_bucket(f64::from(value)),
                int_bucket(i64::from(value)),
                "{value}"
            );
        }
        assert_eq!(float_bucket(0.5), Some(-1));
        assert_eq!(float_bucket(0.75), Some(0));
        assert_eq!(float_bucket(0.0), None);
        assert_eq!(float_bucket(-1.0), None);
        assert_eq!(float_bucket(f64::NAN), None);
    }

    #[test]
    fn quantiles_interpolate_as_tempo_does() {
        let durations = of(&[200_000_000, 300_000_000, 400_000_000]);
        // The last bit depends on the platform's power function.
        let median = durations.quantile(0.5).expect("not empty") / 1e9;
        assert!((median - 0.379_625_062_497_006_3).abs() < 1e-15, "{median}");
        assert_eq!(
            durations.quantile(0.9).map(|v| v / 1e9),
            Some(0.536_870_912)
        );
        let ints = of(&[3, 4]);
        let median = ints.quantile(0.5).expect("not empty");
        assert!((median - 8_f64.sqrt()).abs() < 1e-15, "{median}");
        assert_eq!(of(&[2, 3]).quantile(0.0), Some(2.0));
        assert_eq!(of(&[2, 3]).quantile(1.0), Some(4.0));
        assert_eq!(of(&[]).quantile(1.0), None);
    }
}
