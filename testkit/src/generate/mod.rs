//! Traces and queries from a seed.
//!
//! - [`Workload`]: traffic of a shop of many services, for benchmarks; as much as one asks for, with
//!   the skew of real data.
//! - [`nasty_traces`], with [`random_query`] and [`random_search`]: small traces that break
//!   assumptions, and queries over them, for property tests; [`mod@cut`] spreads the traces over parts.
//!
//! The same seed gives the same output on every machine.

mod catalog;
mod conditions;
mod cut;
mod keys;
mod nasty;
mod pipelines;
mod query;
mod query_words;
mod resources;
mod sampling;
mod story;
mod vocabulary;
mod workload;

pub use self::cut::cut;
pub use self::nasty::{NASTY_STEP_NS, nasty_grid, nasty_traces};
pub use self::query::{
    random_comparison, random_filter, random_query, random_search, random_span_local_query,
};
pub use self::workload::{Batches, Workload, request};
