//! The JSON of times and values.

use serde::ser::{Serialize, SerializeTuple, Serializer};

/// A value at a time.
pub(super) struct Sample {
    pub(super) time_ns: i64,
    pub(super) value: f64,
}

impl Serialize for Sample {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut pair = serializer.serialize_tuple(2)?;
        pair.serialize_element(&Seconds(self.time_ns))?;
        pair.serialize_element(&format_value(self.value))?;
        pair.end()
    }
}

/// A time as a JSON number of seconds with at most three decimals.
pub(super) struct Seconds(pub(super) i64);

impl Serialize for Seconds {
    #[expect(
        clippy::cast_precision_loss,
        reason = "milliseconds of 64-bit ns are below 2^53"
    )]
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let ms = self.0.div_euclid(1_000_000);
        if ms % 1000 == 0 {
            serializer.serialize_i64(ms / 1000)
        } else {
            serializer.serialize_f64(ms as f64 / 1000.0)
        }
    }
}

/// A value as Prometheus writes it: the shortest text that reads back the same, with an exponent
/// below 1e-6 and from 1e21.
pub(super) fn format_value(value: f64) -> String {
    let size = value.abs();
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned()
    } else if size != 0.0 && !(1e-6..1e21).contains(&size) {
        let text = format!("{value:e}");
        // Go writes the exponent with a sign and at least two digits.
        match text.split_once('e') {
            Some((digits, exponent)) => match exponent.strip_prefix('-') {
                Some(exponent) => format!("{digits}e-{exponent:0>2}"),
                None => format!("{digits}e+{exponent:0>2}"),
            },
            None => text,
        }
    } else {
        value.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_as_prometheus_writes_them() {
        for (value, text) in [
            (2.0, "2"),
            (-0.5, "-0.5"),
            (0.300_000_000_000_000_04, "0.30000000000000004"),
            (1e-6, "0.000001"),
            (9.5e-7, "9.5e-07"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (-1.5e300, "-1.5e+300"),
            (0.0, "0"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
        ] {
            assert_eq!(format_value(value), text);
        }
    }
}
