//! Searches: which traces match a query, and what their matching spans look like.
//!
//! A search runs the program of [`crate::spanset`] over the same whole traces as a metrics query, and
//! keeps the newest that match. Reading order: [`result`], [`candidates`],
//! [`collect`]; [`crate::kinds::search`] runs it.

pub(crate) mod candidates;
pub(crate) mod collect;
pub(crate) mod result;

pub use crate::plan::{SearchLimits, SearchPlan, SearchWindow};
pub use result::{ServiceStats, SpanMatch, SpansetMatch, TraceMatch};
