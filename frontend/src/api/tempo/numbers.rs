//! Numbers in the proto3 JSON mapping.

use serde::ser::{Serialize, Serializer};

/// A 64-bit integer, which the mapping writes as text.
pub(super) struct Wide<T>(pub(super) T);

impl<T: std::fmt::Display> Serialize for Wide<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// A float, which the mapping writes as text where JSON has no number for it.
pub(super) struct Double(pub(super) f64);

impl Serialize for Double {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        /// Below this, a whole float is exactly an integer and is written as one, as Go does.
        const WHOLE: f64 = 1e15;
        let value = self.0;
        if value.is_nan() {
            serializer.serialize_str("NaN")
        } else if value.is_infinite() {
            serializer.serialize_str(if value > 0.0 { "Infinity" } else { "-Infinity" })
        } else if value.fract() == 0.0 && value.abs() < WHOLE {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "whole, and within the range"
            )]
            serializer.serialize_i64(value as i64)
        } else {
            serializer.serialize_f64(value)
        }
    }
}
