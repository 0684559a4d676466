//! OTLP as JSON.
//!
//! The rules: lowerCamelCase keys; ids in hex of any case; enumerations as numbers or names; 64-bit
//! integers as numbers or text; bytes in base64; `null` means absent; unknown keys are ignored.

mod message;
mod scalar;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;

/// Levels of objects and lists that are accepted.
const MAX_NESTING: u32 = 64;

/// Text that is no OTLP request in JSON.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JsonError {
    /// Not JSON, or not of the right shape; the message says where.
    #[error("invalid OTLP JSON: {0}")]
    Invalid(#[from] serde_json::Error),
    /// Objects and lists nested too deep.
    #[error("invalid OTLP JSON: nested deeper than {MAX_NESTING} levels")]
    TooDeep,
}

/// Decodes an `ExportTraceServiceRequest` (or `TracesData`, which has the same shape) from JSON.
pub fn decode_json(text: &[u8]) -> Result<ExportTraceServiceRequest, JsonError> {
    if measure(text).nesting > MAX_NESTING {
        return Err(JsonError::TooDeep);
    }
    let request: message::Request = serde_json::from_slice(text)?;
    Ok(request.into())
}

/// The outer shape of JSON text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Shape {
    pub(crate) objects: u64,
    pub(crate) nesting: u32,
}

/// Counts objects and levels without parsing. Right for valid JSON; harmless for other text.
pub(crate) fn measure(text: &[u8]) -> Shape {
    let mut shape = Shape::default();
    let mut level = 0u32;
    let mut in_string = false;
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => in_string = !in_string,
            b'\\' if in_string => {
                bytes.next();
            }
            b'{' | b'[' if !in_string => {
                shape.objects += u64::from(*byte == b'{');
                level += 1;
                shape.nesting = shape.nesting.max(level);
            }
            b'}' | b']' if !in_string => level = level.saturating_sub(1),
            _ => {}
        }
    }
    shape
}

#[cfg(test)]
mod tests;
