//! Searches: which traces match a query, and what their matching spans look like.
//!
//! A search runs the program of [`crate::spanset`] over the same whole traces as a metrics query, and
//! keeps the newest that match. Reading order: [`plan`], [`result`], [`job`],
//! [`candidates`], [`collect`], [`show`].

mod candidates;
mod collect;
pub(crate) mod job;
mod plan;
mod result;
pub(crate) mod show;

pub use collect::SearchLimits;
pub use job::SearchWindow;
pub use plan::SearchPlan;
pub use result::{ServiceStats, SpanMatch, SpansetMatch, TraceMatch, Value};
