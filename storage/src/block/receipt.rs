//! How a span came here: what no span says of itself.

/// When a span arrived, and how long it was then. Not part of the span: a repeat of it arrives later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Receipt {
    /// Whole seconds since the epoch, rounded up; `None` if nobody knows.
    pub(crate) second: Option<i64>,
    /// Bytes of its message in protobuf; `None` if nobody knows.
    pub(crate) bytes: Option<u32>,
}
