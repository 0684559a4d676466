//! Spans that are turned away.

use std::fmt;

/// A span that was turned away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// Why.
    pub reason: RejectionReason,
    /// The span's name.
    pub span_name: String,
}

/// Why a span was turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum RejectionReason {
    /// The trace id is not 16 bytes, or all zero.
    InvalidTraceId,
    /// The span id is not 8 bytes, or all zero.
    InvalidSpanId,
    /// The parent span id is neither empty nor 8 bytes.
    InvalidParentSpanId,
    /// A time lies beyond the year 2262.
    TimeOutOfRange,
    /// A link has an invalid trace id or span id.
    InvalidLink,
    /// An attribute value is nested too deeply.
    ValueTooDeep,
}

impl RejectionReason {
    /// A short name, for metrics and messages.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidTraceId => "invalid_trace_id",
            Self::InvalidSpanId => "invalid_span_id",
            Self::InvalidParentSpanId => "invalid_parent_span_id",
            Self::TimeOutOfRange => "time_out_of_range",
            Self::InvalidLink => "invalid_link",
            Self::ValueTooDeep => "value_too_deep",
        }
    }
}

impl fmt::Display for RejectionReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
