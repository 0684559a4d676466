//! Points in time as people write them, and steps that fit a time range.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat};

use crate::config::value::parse_duration;

/// Nanoseconds in a second.
pub const SECOND_NS: i64 = 1_000_000_000;

/// A text that is no point in time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a time: `{text}`; write 2024-12-13T12:37:00Z, seconds since 1970, now, now-1h or -1h")]
pub struct NotATime {
    text: String,
}

/// The time range and step of a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeRange {
    /// Time of the first sample, ns since the epoch; for an instant query the exclusive start.
    pub start_ns: i64,
    /// Time of the last sample, ns since the epoch, inclusive.
    pub end_ns: i64,
    /// Time between samples, ns.
    pub step_ns: i64,
}

/// A duration in ns.
#[must_use]
pub fn duration_ns(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

/// Reads a point in time: RFC 3339, seconds since the epoch (also with a fraction; 13 digits are
/// milliseconds, 19 nanoseconds), or relative to `now_ns`.
///
/// # Errors
/// The text is none of these.
pub fn parse(text: &str, now_ns: i64) -> Result<i64, NotATime> {
    let trimmed = text.trim();
    let parsed = relative(trimmed, now_ns)
        .or_else(|| epoch(trimmed))
        .or_else(|| {
            DateTime::parse_from_rfc3339(trimmed)
                .ok()
                .and_then(|time| time.timestamp_nanos_opt())
        });
    parsed.ok_or_else(|| NotATime {
        text: text.to_owned(),
    })
}

fn relative(text: &str, now_ns: i64) -> Option<i64> {
    let offset = text.strip_prefix("now").unwrap_or(text);
    if offset.is_empty() {
        return (!text.is_empty()).then_some(now_ns);
    }
    let (sign, duration) = match (offset.strip_prefix('-'), offset.strip_prefix('+')) {
        (Some(duration), _) => (-1, duration),
        (_, Some(duration)) => (1, duration),
        _ => return None,
    };
    // "-60" reads as 60 seconds ago: nobody means 1969.
    now_ns.checked_add(sign * i64::try_from(parse_duration(duration)?.as_nanos()).ok()?)
}

fn epoch(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits_only = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || fraction.len() > 9 || !digits_only(whole) || !digits_only(fraction) {
        return None;
    }
    let number: i64 = whole.parse().ok()?;
    let unit = match whole.len() {
        ..=11 => SECOND_NS,
        12..=14 => 1_000_000,
        15..=17 => 1000,
        _ => return Some(number),
    };
    let below: i64 = format!("{fraction:0<9}").parse().ok()?;
    number
        .checked_mul(unit)?
        .checked_add(below / (SECOND_NS / unit))
}

/// A point in time as RFC 3339 in UTC, to the millisecond where it has any.
#[must_use]
pub fn format(ns: i64) -> String {
    let time = DateTime::from_timestamp_nanos(ns);
    let precision = if ns % SECOND_NS == 0 {
        SecondsFormat::Secs
    } else {
        SecondsFormat::Millis
    };
    time.to_rfc3339_opts(precision, true)
}

/// The time of day alone.
#[must_use]
pub fn format_clock(ns: i64) -> String {
    DateTime::from_timestamp_nanos(ns)
        .format("%H:%M:%S")
        .to_string()
}

/// The date and the minute.
#[must_use]
pub fn format_minute(ns: i64) -> String {
    DateTime::from_timestamp_nanos(ns)
        .format("%m-%d %H:%M")
        .to_string()
}

/// A step of a round length that cuts a range into about `points` intervals, at least 1 s.
#[must_use]
pub fn round_step_ns(range_ns: i64, points: i64) -> i64 {
    const ROUND_SECONDS: [i64; 16] = [
        1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21_600, 86_400,
    ];
    let wanted = range_ns / points.max(1);
    let rounded = ROUND_SECONDS
        .into_iter()
        .map(|seconds| seconds * SECOND_NS)
        .find(|step| *step >= wanted);
    rounded.unwrap_or_else(|| (wanted / (86_400 * SECOND_NS) + 1) * 86_400 * SECOND_NS)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_734_093_420 * SECOND_NS;

    #[test]
    fn times_are_read_as_people_write_them() {
        let cases = [
            ("now", NOW),
            ("now-1h", NOW - 3600 * SECOND_NS),
            ("-1h30m", NOW - 5400 * SECOND_NS),
            ("now+10s", NOW + 10 * SECOND_NS),
            ("2024-12-13T12:37:00Z", NOW),
            ("2024-12-13T13:37:00.5+01:00", NOW + SECOND_NS / 2),
            ("1734093420", NOW),
            ("1734093420.25", NOW + SECOND_NS / 4),
            ("1734093420001", NOW + 1_000_000),
            ("1734093420000000007", NOW + 7),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text, NOW), Ok(expected), "{text}");
        }
        for text in ["", "yesterday", "now-", "1.2.3", "12:37", "now 1h"] {
            assert!(parse(text, NOW).is_err(), "{text}");
        }
    }

    #[test]
    fn times_print_in_utc() {
        assert_eq!(format(NOW), "2024-12-13T12:37:00Z");
        assert_eq!(format(NOW + 250_000_000), "2024-12-13T12:37:00.250Z");
        assert_eq!(format_clock(NOW), "12:37:00");
    }

    #[test]
    fn steps_are_round() {
        assert_eq!(round_step_ns(3600 * SECOND_NS, 60), 60 * SECOND_NS);
        assert_eq!(round_step_ns(250 * SECOND_NS, 60), 5 * SECOND_NS);
        assert_eq!(round_step_ns(10, 60), SECOND_NS);
        assert_eq!(
            round_step_ns(86_400 * 60 * 5 * SECOND_NS, 60),
            86_400 * 6 * SECOND_NS
        );
    }
}
