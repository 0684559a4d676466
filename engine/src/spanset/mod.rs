//! Queries about whole traces: spanset operators, pipelines, scalar filters.
//!
//! ```text
//! stages ──lower──▶ Program ─────────────┐
//!                                        ▼
//! spans ──TraceCutter──▶ whole traces ──run──▶ Partition: which spanset each span is in
//! ```
//!
//! A [`program::Program`] is evaluated over some thousand spans of whole traces at once. What looks
//! at a span alone is a vectorised expression; what relates spans is a linear pass over masks
//! ([`relation`]). Reading order: [`program`], [`whole_traces`], [`mod@derive`], [`traces`], [`relation`],
//! [`partition`], [`run`], [`scalar`]; [`node`] and [`exec`] make it an operator of DataFusion plans.

pub(crate) mod derive;
mod exec;
pub(crate) mod node;
pub(crate) mod number;
pub(crate) mod partition;
pub(crate) mod program;
pub(crate) mod relation;
mod run;
mod scalar;
pub(crate) mod traces;
mod whole_traces;
