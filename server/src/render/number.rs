//! Numbers for people: short, and still telling apart what differs.

/// A number to five significant digits, with a prefix above a million and below a thousandth.
#[must_use]
pub fn short(value: f64) -> String {
    let magnitude = value.abs();
    if !value.is_finite() {
        return if value.is_nan() {
            "NaN".to_owned()
        } else if value > 0.0 {
            "+Inf".to_owned()
        } else {
            "-Inf".to_owned()
        };
    }
    let (scaled, suffix) = match magnitude {
        m if m >= 1e15 => return format!("{value:.3e}"),
        m if m >= 1e9 => (value / 1e9, "G"),
        m if m >= 1e6 => (value / 1e6, "M"),
        m if m < 1e-9 && m > 0.0 => return format!("{value:.3e}"),
        m if m < 1e-3 && m > 0.0 => (value * 1e6, "µ"),
        _ => (value, ""),
    };
    let decimals = match scaled.abs() {
        m if m >= 10_000.0 => 0,
        m if m >= 1000.0 => 1,
        m if m >= 100.0 => 2,
        m if m >= 10.0 => 3,
        _ => 4,
    };
    let text = format!("{scaled:.decimals$}");
    let trimmed = if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.')
    } else {
        &text
    };
    format!("{trimmed}{suffix}")
}

/// A number of bytes.
#[must_use]
pub fn bytes(count: u64) -> String {
    indicatif::HumanBytes(count).to_string()
}

/// A count with its thousands set apart.
#[must_use]
pub fn count(count: u64) -> String {
    indicatif::HumanCount(count).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_distinct() {
        let cases = [
            (0.0, "0"),
            (1.0, "1"),
            (-2.5, "-2.5"),
            (0.1 + 0.2, "0.3"),
            (123.456_789, "123.46"),
            (98_765.4, "98765"),
            (1_234_567.0, "1.2346M"),
            (2e9, "2G"),
            (0.000_25, "250µ"),
            (0.012_345_6, "0.0123"),
            (1e20, "1.000e20"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
        ];
        for (value, expected) in cases {
            assert_eq!(short(value), expected);
        }
    }

    #[test]
    fn counts_and_bytes() {
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(bytes(2048), "2.00 KiB");
    }
}
