//! Typed TraceQL queries to series, over blocks and live spans. DataFusion lives here.
//!
//! A query runs as independent *jobs*: some [`Work`] over one [`Slice`], which is some row groups of one
//! block, one live block, or traces put together out of several. [`SeriesPlan::analyse`] decides what
//! a query needs: one [`MetricsPlan`], or several whose series it computes with. [`prune()`] drops what
//! cannot match, [`Jobs::run`] lowers such a plan to one of DataFusion for one slice and runs it to a
//! [`PartialSeries`], partial series [merge](PartialSeries::merge) in any order, and
//! [`PartialSeries::finish`] makes the [`SeriesSet`].
//!
//! Invariants: how spans are cut into slices never changes an answer; every query that compiles
//! runs; a query's memory is bounded by its [`QueryContext`].
//!
//! Absent on purpose: HTTP, configuration files, query text (see the crate `traceql`), and the
//! scheduling of jobs (see the crate `frontend`).
//!
//! Reading order, from the ground up; a file imports from its own floor or from below:
//!
//! - *words*: [`error`] and its `limit`, [`grid`], `types`, `columns`, `fingerprint`, `operator`,
//!   `batch`, `index`, `rows`, `threads`;
//! - *questions*, what a query needs before data, without DataFusion: [`plan`], [`prune`](mod@prune);
//! - *numbers*: `aggregate` (states), `functions`, [`series`], `key` (what a group is called);
//! - *traces*: `slice`, [`pieces`] with `pair_cache`, [`context`], `spanset`;
//! - *lowering*: `lower`, a query to expressions over the columns of one block;
//! - *reading*: `scan`, `provider`;
//! - *features*: `physical` (operators), `compare`, [`partial`] (mergeable results), `show`, [`search`],
//!   [`exemplars`];
//! - *jobs*: `session`, `kinds` (lower, plan, run and print, a file for each kind), `read_size`;
//! - *engine*: [`executor`], [`work`].

mod aggregate;
mod batch;
mod columns;
mod compare;
pub mod context;
pub mod error;
pub mod executor;
pub mod exemplars;
mod fingerprint;
mod functions;
pub mod grid;
mod index;
mod key;
mod kinds;
mod limit;
mod lower;
mod operator;
mod pair_cache;
pub mod partial;
mod physical;
pub mod pieces;
pub mod plan;
mod provider;
pub mod prune;
mod read_size;
mod rows;
mod scan;
pub mod search;
pub mod series;
mod session;
mod show;
mod slice;
mod spanset;
mod threads;
mod types;
pub mod work;

pub use context::{QueryContext, QueryCounters};
pub use error::{EngineError, ErrorKind, EvaluationError};
pub use executor::{Engine, EngineOptions};
pub use exemplars::{Candidates, Chosen, Exemplar, MAX_EXEMPLARS, ShownSpan, SpanPlace, attach};
pub use fingerprint::Fingerprint;
pub use grid::{Grid, Placement};
pub use pair_cache::PairCache;
pub use partial::PartialSeries;
pub use pieces::{Pieces, REACH_NS};
pub use plan::{MetricsPlan, SeriesPlan};
pub use prune::{PruneReason, may_count, may_search, prune, prune_search};
pub use read_size::{ReadSizes, bytes_to_search};
pub use series::{AttributeValue, Label, LabelValue, Series, SeriesSet, Values};
pub use slice::{PieceSource, Slice};
pub use work::{Found, Jobs, Work};
