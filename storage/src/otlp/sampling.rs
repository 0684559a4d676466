//! How many spans a sampled span stands for, by what samplers wrote into its trace state.

/// Longest value of OpenTelemetry's entry of a trace state, in bytes.
const MAX_LENGTH: usize = 256;
/// Digits of a threshold and of a randomness, four bits each.
const DIGITS: usize = 14;
/// Thresholds are less than this; what is less than its threshold was not sampled.
const RANGE: u64 = 1 << 56;

/// The adjusted count of a span by its W3C trace state: 2^56 / (2^56 − T), where T is the threshold `th`
/// of OpenTelemetry's entry, which has up to 14 hexadecimal digits and is extended by zeros to 14. At
/// least 1, at most 2^56. `None` if there is no threshold, or anything in the first entry of
/// OpenTelemetry is not as its syntax says.
///
/// The explicit randomness `rv` must be well-formed, and decides nothing: whoever sampled the span has
/// compared the two.
///
/// Sources: OpenTelemetry's
/// [probability sampling](https://opentelemetry.io/docs/specs/otel/trace/tracestate-probability-sampling/) and
/// [trace state handling](https://opentelemetry.io/docs/specs/otel/trace/tracestate-handling/).
///
/// ```
/// use storage::otlp::adjusted_count;
///
/// // Of four spans three were rejected.
/// assert_eq!(adjusted_count("vendor=x,ot=th:c;rv:d0000000000000"), Some(4.0));
/// assert_eq!(adjusted_count("ot=th:0"), Some(1.0));
/// assert_eq!(adjusted_count("vendor=x"), None);
/// ```
#[must_use]
#[expect(
    clippy::cast_precision_loss,
    reason = "a count of 56 bits as near as a float comes"
)]
pub fn adjusted_count(trace_state: &str) -> Option<f64> {
    let mut entries = trace_state.split(',').map(str::trim);
    let entry = entries.find_map(|entry| entry.strip_prefix("ot="))?;
    let threshold = threshold(entry)?;
    Some(RANGE as f64 / (RANGE - threshold) as f64)
}

/// The threshold in the value of OpenTelemetry's entry.
fn threshold(entry: &str) -> Option<u64> {
    if entry.len() > MAX_LENGTH {
        return None;
    }
    let mut threshold = None;
    for member in entry.split(';') {
        let (key, value) = member.split_once(':')?;
        if !is_key(key) || !value.bytes().all(is_value) {
            return None;
        }
        match key {
            "th" => threshold = Some(hex(value)? << (4 * (DIGITS - value.len()))),
            "rv" => drop(hex(value).filter(|_| value.len() == DIGITS)?),
            _ => {}
        }
    }
    threshold
}

/// A number of 1 to 14 hexadecimal digits.
fn hex(digits: &str) -> Option<u64> {
    if digits.len() > DIGITS || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    u64::from_str_radix(digits, 16).ok()
}

fn is_key(key: &str) -> bool {
    key.starts_with(|first: char| first.is_ascii_lowercase())
        && key
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}

fn is_value(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(trace_state: &str, expected: f64) {
        let count = adjusted_count(trace_state).unwrap();
        assert!((count / expected - 1.0).abs() < 1e-12, "{trace_state}");
    }

    #[test]
    fn examples_of_the_specification() {
        // 100 %: tracestate-handling, "Sampling threshold value `th`".
        assert_eq!(adjusted_count("ot=th:0"), Some(1.0));
        // 1 % with five digits of precision: tracestate-probability-sampling, "Rejection Threshold".
        close(
            "ot=th:fd70a4",
            1.0 / (1.0 - f64::from(0xfd_70a4) / 16_777_216.0),
        );
        assert!((adjusted_count("ot=th:fd70a4").unwrap() - 100.0).abs() < 1e-4);
        // Entries of other concerns, and of times before thresholds: tracestate-handling.
        assert_eq!(adjusted_count("ot=p:8;r:62"), None);
        assert_eq!(adjusted_count("ot=foo:bar;k1:13"), None);
        assert_eq!(adjusted_count("ot=k1:13;th:8;rv:abcdefabcdefab"), Some(2.0));
    }

    #[test]
    fn thresholds_are_extended_by_zeros() {
        let halves = ["ot=th:8", "ot=th:80", "ot=th:80000000000000", "ot=th:8000"];
        for state in halves {
            assert_eq!(adjusted_count(state), Some(2.0), "{state}");
        }
        assert_eq!(adjusted_count("ot=th:C"), Some(4.0));
        assert_eq!(adjusted_count("ot=th:f"), Some(16.0));
        close("ot=th:555", 1.0 / (1.0 - f64::from(0x555) / 4096.0));
        close("ot=th:aab", 1.0 / (1.0 - f64::from(0xaab) / 4096.0));
        let all_but_one = adjusted_count("ot=th:ffffffffffffff");
        assert_eq!(all_but_one, Some(72_057_594_037_927_936.0));
    }

    #[test]
    fn the_entry_is_found_among_others() {
        for state in [
            "a=1,ot=th:8",
            "a=1 , ot=th:8 , b=2",
            "\tot=th:8\t",
            "ot=th:8,ot=th:c",
            "not=th:c,ot=th:8",
            "t@ot=th:c,ot=th:8",
            "ot=th:c;th:8",
            "ot=x:0X1FFF;y:.-_-.;z:;th:8",
        ] {
            assert_eq!(adjusted_count(state), Some(2.0), "{state}");
        }
        for state in ["", "ot", "OT=th:8", "not=th:8", "ot =th:8", "a=ot=th:8"] {
            assert_eq!(adjusted_count(state), None, "{state}");
        }
    }

    #[test]
    fn what_is_not_well_formed_says_nothing() {
        let no_threshold = [
            "",
            "th:",
            "th:$",
            "th:0x1p+3",
            "th:14.5",
            "th:-1",
            "th:_1",
            "th:fffffffffffffff",
            "th:100000000000000",
        ];
        let no_list = [
            "th:1;",
            ";th:1",
            "th:1;;p:2",
            "th:1=p:2",
            "th:1;p:2=s:3",
            ":1;th:1",
            ":;th:1",
            ":;:",
            ":",
            "th:1;p=1",
            "1:1;th:1",
            "X:1;th:1",
            "th",
            "th:1;k",
            "th:1;k:ü",
            "th:1; k:1",
        ];
        let no_randomness = [
            "th:8;rv:",
            "th:8;rv:3",
            "rv:100000000000000;th:8",
            "th:8;rv:fffffffffffffff",
            "th:8;rv:gggggggggggggg",
            "th:8;rv:-0000000000000",
        ];
        for value in [&no_threshold[..], &no_list, &no_randomness].concat() {
            let state = format!("ot={value}");
            assert_eq!(adjusted_count(&state), None, "{state}");
        }
        let filled = |length| format!("ot=th:8;x:{}", "_".repeat(length - "th:8;x:".len()));
        assert_eq!(adjusted_count(&filled(MAX_LENGTH)), Some(2.0));
        assert_eq!(adjusted_count(&filled(MAX_LENGTH + 1)), None);
        // A later entry does not stand in for the first.
        assert_eq!(adjusted_count("ot=th:,ot=th:8"), None);
    }

    #[test]
    fn randomness_changes_nothing() {
        for state in ["ot=th:8;rv:80000000000000", "ot=rv:00000000000000;th:8"] {
            assert_eq!(adjusted_count(state), Some(2.0), "{state}");
        }
    }
}
