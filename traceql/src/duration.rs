//! Durations as TraceQL and Go write them.

const SECOND: u64 = 1_000_000_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Units of the calendar style, in the only order in which they may stand.
const CALENDAR_UNITS: [(&str, u64); 7] = [
    ("y", 365 * DAY),
    ("w", 7 * DAY),
    ("d", DAY),
    ("h", HOUR),
    ("m", MINUTE),
    ("s", SECOND),
    ("ms", 1_000_000),
];

/// The nanoseconds of `text`, written in one of two styles that do not mix: whole numbers with
/// units from years down to milliseconds (`1d12h`), or decimal numbers with Go's units in any order
/// (`1.5h10ms`).
pub(crate) fn parse(text: &str) -> Option<i64> {
    parse_calendar(text).or_else(|| parse_go(text))
}

fn parse_calendar(text: &str) -> Option<i64> {
    let mut rest = text;
    let mut units = CALENDAR_UNITS.as_slice();
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let (digits, after) = split_while(rest, |c| c.is_ascii_digit());
        let (unit, after) = split_while(after, |c| !c.is_ascii_digit());
        let index = units.iter().position(|(name, _)| *name == unit)?;
        let part = digits.parse::<u64>().ok()?.checked_mul(units[index].1)?;
        total = total.checked_add(part)?;
        units = &units[index + 1..];
        rest = after;
    }
    i64::try_from(total).ok()
}

fn parse_go(text: &str) -> Option<i64> {
    let mut rest = text;
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let (whole, after) = split_while(rest, |c| c.is_ascii_digit());
        let (fraction, after) = match after.strip_prefix('.') {
            Some(after) => split_while(after, |c| c.is_ascii_digit()),
            None => ("", after),
        };
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let (unit, after) = split_while(after, |c| c != '.' && !c.is_ascii_digit());
        let unit = match unit {
            "ns" => 1,
            "us" | "µs" => 1_000,
            "ms" => 1_000_000,
            "s" => SECOND,
            "m" => MINUTE,
            "h" => HOUR,
            _ => return None,
        };
        let whole = if whole.is_empty() {
            0
        } else {
            whole.parse::<u64>().ok()?
        };
        let part = whole
            .checked_mul(unit)?
            .checked_add(fraction_ns(fraction, unit))?;
        total = total.checked_add(part)?;
        rest = after;
    }
    i64::try_from(total).ok()
}

/// `0.fraction` of a unit, rounded down. Digits beyond the eighteenth are below a nanosecond for
/// every unit.
fn fraction_ns(fraction: &str, unit: u64) -> u64 {
    let mut value: u128 = 0;
    let mut scale: u128 = 1;
    for digit in fraction.bytes().take(18) {
        value = value * 10 + u128::from(digit - b'0');
        scale *= 10;
    }
    // Below `unit`, because the fraction is below one.
    u64::try_from(value * u128::from(unit) / scale).unwrap_or(0)
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
