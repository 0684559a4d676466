//! Searches: which traces match a query, and what their matching spans look like.

mod result;

pub use result::{ServiceStats, SpanMatch, SpansetMatch, TraceMatch, Value};
