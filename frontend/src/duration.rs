//! Durations in settings and parameters.
//!
//! Go's grammar (`1h30m`, `1.5s`) is what settings and the Tempo API use; Prometheus has its own
//! (`1d12h`, whole numbers only, or plain seconds).

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use traceql::DurationStyle;

/// A duration of a setting, written as in Go: `30s`, `1h30m`, `0s`; days and weeks are accepted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct GoDuration(Duration);

impl GoDuration {
    /// No time at all; as a limit, none.
    pub const ZERO: Self = Self(Duration::ZERO);

    /// A number of seconds.
    #[must_use]
    pub const fn from_secs(secs: u64) -> Self {
        Self(Duration::from_secs(secs))
    }

    /// The duration.
    #[must_use]
    pub const fn get(self) -> Duration {
        self.0
    }

    /// The duration in nanoseconds, `i64::MAX` where it is longer.
    #[must_use]
    pub fn as_ns(self) -> i64 {
        i64::try_from(self.0.as_nanos()).unwrap_or(i64::MAX)
    }

    /// The duration, or `None` for 0, which turns a limit off.
    #[must_use]
    pub fn limit(self) -> Option<Duration> {
        (!self.0.is_zero()).then_some(self.0)
    }
}

impl fmt::Display for GoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format_ns(self.as_ns()))
    }
}

impl Serialize for GoDuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for GoDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl serde::de::Visitor<'_> for Visitor {
            type Value = GoDuration;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration such as \"30s\" or \"1h30m\", or 0")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<GoDuration, E> {
                let ns = parse_go(text).and_then(|ns| u64::try_from(ns).ok());
                let ns =
                    ns.ok_or_else(|| E::invalid_value(serde::de::Unexpected::Str(text), &self))?;
                Ok(GoDuration(Duration::from_nanos(ns)))
            }

            // YAML reads a bare 0 as a number. Other numbers have no unit and are refused.
            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<GoDuration, E> {
                if number == 0 {
                    return Ok(GoDuration::ZERO);
                }
                Err(E::invalid_value(
                    serde::de::Unexpected::Unsigned(number),
                    &self,
                ))
            }

            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<GoDuration, E> {
                if number == 0 {
                    return Ok(GoDuration::ZERO);
                }
                Err(E::invalid_value(
                    serde::de::Unexpected::Signed(number),
                    &self,
                ))
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

/// A duration as Go prints it: `24h0m0s`.
#[must_use]
pub fn format_ns(ns: i64) -> String {
    traceql::format_go_duration(ns)
}

/// Nanoseconds of a duration in Go's grammar, with days, weeks and years besides; not negative.
#[must_use]
pub fn parse_go(text: &str) -> Option<i64> {
    if text == "0" {
        return Some(0);
    }
    DurationStyle::GoWithYears.parse_ns(text.strip_prefix('+').unwrap_or(text))
}

/// Nanoseconds of a duration in Prometheus' grammar: whole numbers with units from years down to
/// milliseconds, each at most once.
#[must_use]
pub fn parse_prometheus(text: &str) -> Option<i64> {
    if text == "0" {
        return Some(0);
    }
    DurationStyle::Prometheus.parse_ns(text)
}

/// Nanoseconds of a number of seconds, to the nearest; `None` if that is no 64-bit number.
#[must_use]
#[expect(
    clippy::cast_possible_truncation,
    reason = "the range is checked, and the value is whole"
)]
pub fn ns_of_seconds(seconds: f64) -> Option<i64> {
    let ns = (seconds * 1e9).round();
    // 2^63 is the first float beyond the range, -2^63 the last within.
    (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0)
        .contains(&ns)
        .then_some(ns as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: i64 = 1_000_000_000;

    #[test]
    fn go_grammar() {
        for (text, ns) in [
            ("0", 0),
            ("0s", 0),
            ("15s", 15 * S),
            ("500ms", S / 2),
            ("1h30m", 5400 * S),
            ("1.5h", 5400 * S),
            (".5s", S / 2),
            ("1m1h", 3660 * S),
            ("1d", 86_400 * S),
            ("+1y1ns", 31_536_000 * S + 1),
        ] {
            assert_eq!(parse_go(text), Some(ns), "{text}");
        }
        for text in [
            "", "5", "s", "1.2.3s", "-1s", "1x", "1e3s", ".s", "9999999y", "+", "++1s", "+0",
        ] {
            assert_eq!(parse_go(text), None, "{text}");
        }
    }

    #[test]
    fn prometheus_grammar() {
        for (text, ns) in [
            ("0", 0),
            ("1h30m", 5400 * S),
            ("1d12h", 129_600 * S),
            ("5ms", 5_000_000),
        ] {
            assert_eq!(parse_prometheus(text), Some(ns), "{text}");
        }
        for text in [
            "", "1.5h", "1m1h", "1m1m", "h", "1", "1us", "+1s", "-1s", "300y",
        ] {
            assert_eq!(parse_prometheus(text), None, "{text}");
        }
    }

    #[test]
    fn seconds_do_not_overflow() {
        assert_eq!(ns_of_seconds(0.5), Some(S / 2));
        assert_eq!(ns_of_seconds(1.724e12), None);
        assert_eq!(ns_of_seconds(f64::NAN), None);
        assert_eq!(ns_of_seconds(f64::INFINITY), None);
    }
}
