//! Durations as TraceQL, Go and Prometheus write them.

use std::time::Duration;

const SECOND: u64 = 1_000_000_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Units, from the longest to the shortest.
const UNITS: [(&str, u64); 10] = [
    ("y", 365 * DAY),
    ("w", 7 * DAY),
    ("d", DAY),
    ("h", HOUR),
    ("m", MINUTE),
    ("s", SECOND),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("µs", 1_000),
    ("ns", 1),
];

/// How durations are written: numbers, each with its unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DurationStyle {
    /// As in Prometheus: whole numbers with units from years down to milliseconds, in that order and
    /// each at most once: `1d12h`.
    Prometheus,
    /// As in Go: decimal numbers with units from hours to nanoseconds, in any order: `1.5h10ms`.
    Go,
    /// As in Go, with units from years to nanoseconds.
    GoWithYears,
    /// As in Go, with units from weeks to microseconds.
    GoWithWeeks,
}

impl DurationStyle {
    /// The duration that `text` is in this style: without a sign, and with a unit even where it is
    /// zero. Digits beyond nanoseconds are cut off.
    #[must_use]
    pub fn parse(self, text: &str) -> Option<Duration> {
        if text.is_empty() {
            return None;
        }
        let mut rest = text;
        let mut units = self.units();
        let mut total: u128 = 0;
        while !rest.is_empty() {
            let (whole, after) = split_while(rest, |c| c.is_ascii_digit());
            let (fraction, after) = match after.strip_prefix('.') {
                Some(after) if self.has_fractions() => split_while(after, |c| c.is_ascii_digit()),
                _ => ("", after),
            };
            if whole.is_empty() && fraction.is_empty() {
                return None;
            }
            let whole = if whole.is_empty() { "0" } else { whole };
            let (name, after) = split_while(after, |c| c != '.' && !c.is_ascii_digit());
            let index = units.iter().position(|(unit, _)| *unit == name)?;
            let unit = units[index].1;
            let part = whole.parse::<u128>().ok()?.checked_mul(unit.into())?;
            total = total.checked_add(part)?;
            total = total.checked_add(fraction_ns(fraction, unit))?;
            if self == Self::Prometheus {
                units = &units[index + 1..];
            }
            rest = after;
        }
        let nanos = u32::try_from(total % u128::from(SECOND)).ok()?;
        let seconds = u64::try_from(total / u128::from(SECOND)).ok()?;
        Some(Duration::new(seconds, nanos))
    }

    /// The nanoseconds of [`parse`](Self::parse); `None`, too, where they are no 64-bit number.
    #[must_use]
    pub fn parse_ns(self, text: &str) -> Option<i64> {
        i64::try_from(self.parse(text)?.as_nanos()).ok()
    }

    fn units(self) -> &'static [(&'static str, u64)] {
        match self {
            Self::Prometheus => &UNITS[..7],
            Self::Go => &UNITS[3..],
            Self::GoWithYears => &UNITS,
            Self::GoWithWeeks => &UNITS[1..9],
        }
    }

    fn has_fractions(self) -> bool {
        self != Self::Prometheus
    }
}

/// The nanoseconds of a literal, written in one of two styles that do not mix.
pub(crate) fn parse(text: &str) -> Option<i64> {
    let parse = |style: DurationStyle| style.parse_ns(text);
    parse(DurationStyle::Prometheus).or_else(|| parse(DurationStyle::Go))
}

/// `0.fraction` of a unit, rounded down. Digits beyond the eighteenth are below a nanosecond for
/// every unit.
fn fraction_ns(fraction: &str, unit: u64) -> u128 {
    let mut value: u128 = 0;
    let mut scale: u128 = 1;
    for digit in fraction.bytes().take(18) {
        value = value * 10 + u128::from(digit - b'0');
        scale *= 10;
    }
    value * u128::from(unit) / scale
}

fn split_while(text: &str, matches: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !matches(c)).unwrap_or(text.len()))
}

/// The duration as Go prints it: `1.5s`, `1m0s`, `100ms`, `0s`. [`parse`](crate::parse) reads it
/// back as the same duration, except for the sign.
#[must_use]
pub fn format_go_duration(ns: i64) -> String {
    let mut out = String::new();
    if ns < 0 {
        out.push('-');
    }
    let ns = ns.unsigned_abs();
    let small = [
        (1_000, 1, "ns"),
        (1_000_000, 1_000, "µs"),
        (SECOND, 1_000_000, "ms"),
    ];
    if ns == 0 {
        out.push_str("0s");
    } else if let Some((_, unit, name)) = small.into_iter().find(|(below, ..)| ns < *below) {
        push_decimal(&mut out, ns, unit);
        out.push_str(name);
    } else {
        // From the first unit that is not zero, every smaller one is shown.
        let (hours, minutes) = (ns / HOUR, ns % HOUR / MINUTE);
        if hours > 0 {
            out.push_str(&hours.to_string());
            out.push('h');
        }
        if ns >= MINUTE {
            out.push_str(&minutes.to_string());
            out.push('m');
        }
        push_decimal(&mut out, ns % MINUTE, SECOND);
        out.push('s');
    }
    out
}

/// `value / unit` with as many decimals as it needs.
fn push_decimal(out: &mut String, value: u64, unit: u64) {
    out.push_str(&(value / unit).to_string());
    let fraction = value % unit;
    if fraction > 0 {
        let width = unit.ilog10() as usize;
        out.push('.');
        out.push_str(format!("{fraction:0width$}").trim_end_matches('0'));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_styles_are_read() {
        for (text, ns) in [
            ("1ns", 1),
            ("1us", 1_000),
            ("5µs", 5_000),
            ("1.5ms", 1_500_000),
            (".5s", 500_000_000),
            ("1.s", 1_000_000_000),
            ("10ms5s", 5_010_000_000),
            ("1m1h", 3_660_000_000_000),
            ("1h30m", 5_400_000_000_000),
            ("1d12h", 129_600_000_000_000),
            ("3w2d", 1_987_200_000_000_000),
            ("1y", 31_536_000_000_000_000),
            ("08.5s", 8_500_000_000),
            ("1d08h", 115_200_000_000_000),
            ("1.9ns", 1),
            ("0.1s", 100_000_000),
            ("9223372036854775807ns", i64::MAX),
        ] {
            assert_eq!(parse(text), Some(ns), "{text}");
        }
    }

    #[test]
    fn mixed_or_broken_durations_are_not() {
        for text in [
            "1.5d",
            "1d1us",
            "1y1ns",
            "1d1.5h",
            "1h1d",
            "1s1m1d",
            "5",
            "s",
            "1.s.",
            "..s",
            "1e3s",
            "1μs",
            "300y",
            "293y",
            "9223372036854775808ns",
            "1h5",
            "1dd",
            "1mm",
            "1su",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn styles_have_their_units() {
        use DurationStyle as Style;
        let styles = [
            Style::Prometheus,
            Style::Go,
            Style::GoWithYears,
            Style::GoWithWeeks,
        ];
        for (text, accepted) in [
            ("1y", [true, false, true, false]),
            ("1w", [true, false, true, true]),
            ("1d12h", [true, false, true, true]),
            ("1h30m", [true, true, true, true]),
            ("5ms", [true, true, true, true]),
            ("5us", [false, true, true, true]),
            ("5µs", [false, true, true, true]),
            ("5ns", [false, true, true, false]),
            ("1m1h", [false, true, true, true]),
            ("1m1m", [false, true, true, true]),
            ("1.5h", [false, true, true, true]),
            (".5s", [false, true, true, true]),
            ("1.s", [false, true, true, true]),
            ("0s", [true, true, true, true]),
            ("", [false; 4]),
            ("0", [false; 4]),
            ("5", [false; 4]),
            ("s", [false; 4]),
            (".s", [false; 4]),
            ("1..5s", [false; 4]),
            ("1.2.3s", [false; 4]),
            ("1h.5m.", [false; 4]),
            ("1e3s", [false; 4]),
            ("10 s", [false; 4]),
            ("-1s", [false; 4]),
            ("+1s", [false; 4]),
            ("1h5", [false; 4]),
        ] {
            let parsed = styles.map(|style| style.parse(text).is_some());
            assert_eq!(parsed, accepted, "{text}");
        }
        assert_eq!(
            Style::GoWithWeeks.parse("18446744073709551615s"),
            Some(Duration::from_secs(u64::MAX))
        );
        assert_eq!(Style::GoWithWeeks.parse("18446744073709551616s"), None);
        assert_eq!(Style::GoWithWeeks.parse_ns("9223372037s"), None);
    }

    #[test]
    fn go_text() {
        for (ns, text) in [
            (0, "0s"),
            (1, "1ns"),
            (1_000, "1µs"),
            (1_500, "1.5µs"),
            (100_000_000, "100ms"),
            (1_500_000_000, "1.5s"),
            (60_000_000_000, "1m0s"),
            (3_600_000_000_000, "1h0m0s"),
            (90_061_000_000_001, "25h1m1.000000001s"),
            (-1_500_000_000, "-1.5s"),
            (i64::MAX, "2562047h47m16.854775807s"),
            (i64::MIN, "-2562047h47m16.854775808s"),
        ] {
            assert_eq!(format_go_duration(ns), text);
            if ns >= 0 {
                assert_eq!(parse(text), Some(ns), "{text}");
            }
        }
    }
}
