//! Points in time, in the formats that both APIs share.

use chrono::DateTime;

/// A time in RFC 3339, in ns since the epoch; the nearest 64-bit number where there is none.
pub(super) fn parse_rfc3339(text: &str) -> Option<i64> {
    let time = DateTime::parse_from_rfc3339(text).ok()?;
    let limit = if time.timestamp() < 0 {
        i64::MIN
    } else {
        i64::MAX
    };
    Some(time.timestamp_nanos_opt().unwrap_or(limit))
}

/// Seconds since the epoch, rounded to a millisecond as in Prometheus and Tempo; the nearest 64-bit
/// number of nanoseconds where there is none.
#[expect(clippy::cast_possible_truncation, reason = "casting a float saturates")]
pub(super) fn ns_of_epoch_seconds(seconds: f64) -> Option<i64> {
    seconds
        .is_finite()
        .then(|| ((seconds * 1000.0).round() as i64).saturating_mul(1_000_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_clamped() {
        assert_eq!(ns_of_epoch_seconds(1.5), Some(1_500_000_000));
        assert_eq!(ns_of_epoch_seconds(0.0004), Some(0));
        assert_eq!(ns_of_epoch_seconds(1_724_000_000_000.0), Some(i64::MAX));
        assert_eq!(ns_of_epoch_seconds(-1e300), Some(i64::MIN));
        assert_eq!(ns_of_epoch_seconds(f64::NAN), None);
        assert_eq!(
            parse_rfc3339("1970-01-01T00:00:01.000000005Z"),
            Some(1_000_000_005)
        );
        assert_eq!(parse_rfc3339("1970-01-01T01:00:00+01:00"), Some(0));
        assert_eq!(parse_rfc3339("9999-01-01T00:00:00Z"), Some(i64::MAX));
        assert_eq!(parse_rfc3339("1970-01-01"), None);
    }
}
