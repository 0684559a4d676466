//! Cases as text files: traces, queries over them, and what they give.
//!
//! ```text
//! # A comment.
//! trace 1
//!   shop/root @10s +100ms server error i=5 f=2.5 s="x" arr=["x","y"] resource.zone="b"
//!     shop/child @10.5s +50ms client scope:name="lib" scope.lang="go"
//!       event e1 +5ms x="a"
//!       link 2 3 reason="retry"
//!   -/orphan #7 ^9 @11s +1ms
//!
//! query { name = "root" }
//! spans 1
//!
//! range 10s 40s step 10s
//! query { } | count_over_time() by (name)
//! series
//!   {name="root"} 10:1 20:0 30:0 40:0
//! ```
//!
//! - **Spans**: `service/name`, then in any order `@start`, `+duration` (may be negative), a kind, a
//!   status, attributes. A service of `-` is none at all. A span is a child of the one it is
//!   indented under; `^9` names another parent, `^-` none. Ids count up through the file from 1;
//!   `#7` sets another.
//! - **Attributes**: `key=value` of the span, `resource.key`, `scope.key`; `scope:name`,
//!   `scope:version` and `statusMessage` are fields. Values: `"text"`, `5`, `2.5`, `true`,
//!   `[1,2]`, `{key=1}`, bytes `0x00ff`, and `nil` for a value that is empty.
//! - **Grids**: `range START END step STEP` and `instant START END` hold for the metrics queries below.
//!   `window START END` holds for the searches below, `window none` ends it.
//! - **Dialects**: `dialect tempo` holds for the queries below, `dialect spandrel` ends it.
//! - **Expectations** of metrics queries: `series` with a line for each, or `series none`. A point is
//!   `seconds:value`; points not written are missing. For an instant query it is the value alone.
//!   `tolerance 1%` before `series` allows for sketches.
//! - **Expectations** of searches come in three forms, from short to complete: `spans 1 2`, all spans
//!   of all spansets; `spansets` with a line for each, its attributes and its spans; `search` with
//!   everything an answer holds. `none` stands for an empty one.
//! - `fails` is the expectation for a query that fails at run time. What is missing, or is a word
//!   without the lines below it, is completed by running the tests with `UPDATE_CORPUS=1`.
//!
//! ```text
//! query { name =~ "ch.*" } | by(kind) | count() = 1
//! spansets
//!   {by(kind)="client", count()=1} 2
//!
//! query { name =~ "ch.*" && status = unset } | by(kind) | select(name, resource.zone)
//! search
//!   trace 1 shop/root @10 +0.6 shop:2/1 "":1
//!     spanset {by(kind)="client"}
//!       2 "child" @10.5 +0.05 {kind="client", status="unset", zone="b"}
//! ```
//!
//! A trace is shown with its id, root, start, duration, and the spans of each service, after a `/`
//! those with an error. The order of the traces counts, that of the spansets and spans does not.
//!
//! A label with a number is a float if it has a point or an exponent: `p=0.5`, `p=1.0`, `z=1`.

mod case;
mod cases;
mod cursor;
mod file;
mod line;
mod print;
mod run;
mod searches;
mod text;
mod traces;

pub use self::case::{Case, Expectation, FoundSpanset, SearchForm};
pub use self::file::{CorpusError, CorpusFile, load_dir};
pub use self::run::{complete, run_metrics, run_searches};
