//! Bounds of plain requests.

/// What a plain request and its single spans may hold. Lengths in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct PlainBounds {
    pub span_len: usize,
    pub key_len: usize,
    pub value_len: usize,
    pub span_attributes: usize,
    /// Attributes of a resource or a scope.
    pub resource_attributes: usize,
    /// Attributes of an event or a link.
    pub event_attributes: usize,
    pub events: usize,
    pub links: usize,
    /// Levels of arrays and maps in a value.
    pub value_depth: u32,
    /// Latest start, ns since the epoch.
    pub start_ns: u64,
    /// Spans of the request.
    pub spans: u64,
    /// Messages that take memory of their own once they are decoded: resources, scopes, spans, events,
    /// links, attributes, elements of arrays, entity references and their keys.
    pub messages: u64,
}

impl PlainBounds {
    /// No bounds beyond what a block can hold.
    pub const NONE: Self = Self {
        span_len: usize::MAX,
        key_len: usize::MAX,
        value_len: usize::MAX,
        span_attributes: usize::MAX,
        resource_attributes: usize::MAX,
        event_attributes: usize::MAX,
        events: usize::MAX,
        links: usize::MAX,
        value_depth: u32::MAX,
        start_ns: i64::MAX.unsigned_abs(),
        spans: u64::MAX,
        messages: u64::MAX,
    };
}
