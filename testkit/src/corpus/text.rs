//! Ids, times and values as corpus files write them, and back.

use traceql::DurationStyle;

use crate::reference::series::LabelValue;
use crate::reference::value::Value;

/// An id in hex, padded with zeros on the left.
pub(super) fn id<const BYTES: usize>(hex: &str) -> Result<[u8; BYTES], String> {
    if hex.len() > BYTES * 2 {
        return Err(format!("id `{hex}` is longer than {BYTES} bytes"));
    }
    let bytes = id_bytes(&format!("{hex:0>width$}", width = BYTES * 2))?;
    bytes
        .try_into()
        .map_err(|_| format!("id `{hex}` is not {BYTES} bytes"))
}

/// The bytes of a text in hex.
pub(super) fn id_bytes(hex: &str) -> Result<Vec<u8>, String> {
    let digit = |c: char| {
        c.to_digit(16)
            .map(|digit| digit as u8)
            .ok_or_else(|| format!("not hexadecimal: `{hex}`"))
    };
    let digits: Vec<u8> = hex.chars().map(digit).collect::<Result<_, _>>()?;
    if digits.len() % 2 == 1 {
        return Err(format!("half a byte in `{hex}`"));
    }
    Ok(digits
        .chunks(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect())
}

/// An id without the zeros in front.
pub(super) fn short_hex(id: &impl ToString) -> String {
    let hex = id.to_string();
    match hex.trim_start_matches('0') {
        "" => "0".to_owned(),
        digits => digits.to_owned(),
    }
}

/// A time or duration: as in Go, or a decimal number of seconds. Exact to the ns.
pub(super) fn nanoseconds(text: &str) -> Result<i64, String> {
    let (sign, magnitude) = match text.strip_prefix('-') {
        Some(magnitude) => (-1, magnitude),
        None => (1, text),
    };
    let has_unit = magnitude.contains(char::is_alphabetic);
    let unit = if has_unit { "" } else { "s" };
    DurationStyle::Go
        .parse_ns(&format!("{magnitude}{unit}"))
        .map(|ns| sign * ns)
        .ok_or_else(|| format!("not a time: `{text}`"))
}

/// Seconds, exactly, without needless digits.
pub(super) fn seconds(ns: i64) -> String {
    let (sign, ns) = if ns < 0 {
        ("-", ns.unsigned_abs())
    } else {
        ("", ns.unsigned_abs())
    };
    let text = format!("{sign}{}.{:09}", ns / 1_000_000_000, ns % 1_000_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A text in quotes, as a cursor reads it.
pub(super) fn quoted(text: &str) -> String {
    format!(
        "\"{}\"",
        text.replace('\\', "\\\\")
            .replace('"', "\\\"")
            .replace('\n', "\\n")
    )
}

/// An attribute of a spanset or a span as answers show it.
pub(super) fn value(value: &Value) -> String {
    match value {
        Value::Array(elements) => {
            let elements: Vec<String> = elements.iter().map(self::value).collect();
            format!("[{}]", elements.join(", "))
        }
        other => LabelValue::of_value(other).map_or_else(|| "nil".to_owned(), |it| label(&it)),
    }
}

/// A label's value: in quotes if it is a text, so that each type is told from the others.
pub(super) fn label(value: &LabelValue) -> String {
    match value {
        LabelValue::String(text) => quoted(text),
        LabelValue::Int(number) => number.to_string(),
        // Always with a point or an exponent.
        LabelValue::Float(number) => format!("{number:?}"),
        LabelValue::Bool(flag) => flag.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        assert_eq!(nanoseconds("10.000000001"), Ok(10_000_000_001));
        assert_eq!(nanoseconds("1.5ms"), Ok(1_500_000));
        assert_eq!(nanoseconds("-5us"), Ok(-5_000));
        assert!(nanoseconds("5 parsecs").is_err());
        assert!(nanoseconds("").is_err());
    }
}
