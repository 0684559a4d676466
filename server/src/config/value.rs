//! Values of settings: from the texts people write to one canonical JSON form each.

use std::time::Duration;

use serde_json::Value;
use traceql::DurationStyle;

/// What a setting's value looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`.
    Bool,
    /// A whole number, zero or more.
    Int,
    /// A number of bytes: `1048576`, `1MiB`, `64KB`.
    Bytes,
    /// A duration: `500ms`, `10s`, `1m30s`, `2h`; a bare number is seconds.
    Duration,
    /// Any text.
    Text,
    /// A text that is never printed.
    Secret,
    /// One of a few words.
    Choice(&'static [&'static str]),
}

impl Kind {
    /// What to write for such a value, as messages say it.
    #[must_use]
    pub fn expected(self) -> String {
        match self {
            Self::Bool => "true or false".to_owned(),
            Self::Int => "a whole number".to_owned(),
            Self::Bytes => "a number of bytes such as 1048576, 64KiB or 100MB".to_owned(),
            Self::Duration => "a duration such as 500ms, 10s or 1m30s".to_owned(),
            Self::Text | Self::Secret => "a text".to_owned(),
            Self::Choice(words) => format!("one of {}", words.join(", ")),
        }
    }

    /// The canonical form of a value: a boolean, a number (bytes in bytes), or a text (durations as
    /// whole milliseconds with their unit). `None` if the text does not fit.
    #[must_use]
    pub fn parse(self, text: &str) -> Option<Value> {
        let text = text.trim();
        match self {
            Self::Bool => text.parse::<bool>().ok().map(Value::from),
            Self::Int => text.replace('_', "").parse::<u64>().ok().map(Value::from),
            Self::Bytes => parse_bytes(text).map(Value::from),
            Self::Duration => {
                let millis = parse_duration(text)?.as_millis();
                Some(Value::from(if millis == 0 {
                    "0".to_owned()
                } else {
                    format!("{millis}ms")
                }))
            }
            Self::Text | Self::Secret => Some(Value::from(text)),
            Self::Choice(words) => words.contains(&text).then(|| Value::from(text)),
        }
    }
}

/// A number of bytes with an optional unit; `KB` is 1000 bytes, `KiB` 1024.
#[must_use]
pub fn parse_bytes(text: &str) -> Option<u64> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit() && c != '_')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor: u64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kb" => 1000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        _ => return None,
    };
    number
        .replace('_', "")
        .parse::<u64>()
        .ok()?
        .checked_mul(factor)
}

/// A duration as people write it: `500ms`, `10s`, `1m30s`, `168h`, `2d`; a bare number is seconds.
#[must_use]
pub fn parse_duration(text: &str) -> Option<Duration> {
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    DurationStyle::GoWithWeeks.parse(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("0", 0),
            ("1048576", 1 << 20),
            ("64KiB", 65_536),
            ("100MB", 100_000_000),
            ("2 GiB", 2 << 30),
        ] {
            assert_eq!(parse_bytes(text), Some(bytes), "{text}");
        }
        for text in ["", "MiB", "1.5MiB", "-1", "1 apple", "99999999999GiB"] {
            assert_eq!(parse_bytes(text), None, "{text}");
        }
    }

    #[test]
    fn durations() {
        for (text, millis) in [
            ("500ms", 500),
            ("10s", 10_000),
            ("1m30s", 90_000),
            ("1.5h", 5_400_000),
            ("7d", 604_800_000),
            ("30", 30_000),
            ("+30", 30_000),
            ("1m1h", 3_660_000),
            (".5s", 500),
            ("1.s", 1000),
            ("2000us", 2),
            ("99999w", 60_479_395_200_000),
        ] {
            assert_eq!(
                parse_duration(text),
                Some(Duration::from_millis(millis)),
                "{text}"
            );
        }
        for text in [
            "", "s", "-1s", "+1s", "10 s", "10x", "1..5s", "1y", "1ns", "1h5",
        ] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }
}
