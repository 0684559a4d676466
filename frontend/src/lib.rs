//! One request to one answer: parse, plan, split into jobs, run, merge, and write as HTTP.
//!
//! [`query`] is the file to read first: a TraceQL metrics query passes through a handful of calls,
//! each returning a value that prints, and EXPLAIN is these printings in order.
//!
//! What holds:
//!
//! - how a query is split into jobs never changes its answer;
//! - both HTTP APIs ask the same [`Frontend`], so equal points in time have equal values;
//! - an answer is complete, or says that it is not and why;
//! - a request that is refused names the limit and the key that sets it;
//! - dropping the future of a query stops all of its jobs.
//!
//! Not here: how a plan runs (see the crate `engine`), how spans are stored, configuration files,
//! sockets.
//!
//! Reading order is [`query`] and then what it calls. From the ground up, where a file imports from
//! its own floor or below:
//!
//! - *words*: [`duration`], [`config`], [`error`], [`stats`], [`answer`], [`observe`], [`limits`],
//!   [`metrics`], `snapshots`, `threads`;
//! - *what to read*: `blocks`, [`split`], `survivors`, [`filter`], `value_sources`;
//! - *who reads it*: `turns`, [`schedule`], `workers`;
//! - *steps*: `joins`, `cache`, `merge`, `cut`, `combine`, `execute`, `exemplars`;
//! - *the path*: [`query`];
//! - *beside the path*: [`names`], `typed_value`, [`values`], [`search`], [`trace`], [`viewer`];
//! - *HTTP*: [`promql`] for the constants that Prometheus clients probe with, and [`api`].

#![deny(missing_docs)]
#![forbid(unsafe_code)]

pub mod answer;
pub mod api;
mod blocks;
mod cache;
mod combine;
pub mod config;
mod cut;
pub mod duration;
pub mod error;
mod execute;
mod exemplars;
pub mod filter;
mod joins;
pub mod limits;
mod merge;
pub mod metrics;
pub mod names;
pub mod observe;
pub mod promql;
pub mod query;
pub mod schedule;
pub mod search;
mod snapshots;
pub mod split;
pub mod stats;
mod survivors;
mod threads;
pub mod trace;
mod turns;
mod typed_value;
mod value_sources;
pub mod values;
pub mod viewer;
mod workers;

pub use answer::{Answer, ExplainMode, Explanation, PartialReason, RangeRequest};
pub use api::{Operations, router};
pub use config::FrontendConfig;
pub use error::{ErrorKind, QueryError};
pub use observe::{Observe, Step};
pub use query::Frontend;
pub use search::{SearchAnswer, SearchRequest};
pub use stats::QueryStats;
pub use trace::{TraceAnswer, TraceRequest};
pub use traceql::Dialect;
