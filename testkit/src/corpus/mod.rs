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

mod cases;
mod cursor;
mod print;
mod run;
mod searches;
mod text;
mod traces;

use std::ops::Range;
use std::path::{Path, PathBuf};

use storage::ids::SpanId;
use storage::model::SpanGroup;
use traceql::{Dialect, Query};

pub use self::run::{complete, run_metrics, run_searches};
use crate::compare::Tolerance;
use crate::reference::value::Value;
use crate::reference::{Grid, RefSeries, SearchWindow, TraceResult};

/// A corpus file.
#[derive(Debug)]
pub struct CorpusFile {
    /// Where it came from.
    pub path: PathBuf,
    /// The spans of its traces.
    pub groups: Vec<SpanGroup>,
    /// Its cases, in order.
    pub cases: Vec<Case>,
    lines: Vec<String>,
}

/// A query with what it gives.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// Line of the query, from 1.
    pub line: usize,
    /// The query.
    pub query: String,
    /// The dialect that it is in.
    pub dialect: Dialect,
    /// The grid in force; `None` where the file has none yet.
    pub grid: Option<Grid>,
    /// The window of searches in force.
    pub window: Option<SearchWindow>,
    /// What the query gives.
    pub expected: Expectation,
    /// How near values have to be.
    pub tolerance: Tolerance,
    /// The lines of the expectation.
    expected_lines: Range<usize>,
}

/// What a query gives.
#[derive(Debug, Clone, PartialEq)]
pub enum Expectation {
    /// The spans that a search selects, sorted.
    Spans(Vec<SpanId>),
    /// The spansets that a search finds, in any order.
    Spansets(Vec<FoundSpanset>),
    /// The whole answer to a search.
    Search(Vec<TraceResult>),
    /// The series of a metrics query, in the order of the file.
    Series(Vec<RefSeries>),
    /// A failure at run time.
    Fails,
    /// Nothing is written down yet; of a search it will be in this form.
    Missing(SearchForm),
}

/// How much an expectation says about a search.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SearchForm {
    /// The spans.
    Spans,
    /// The spansets with their attributes.
    Spansets,
    /// Everything.
    Search,
}

/// One spanset of a search.
#[derive(Debug, Clone, PartialEq)]
pub struct FoundSpanset {
    /// Values of `by(…)` and aggregates, in the order of the pipeline.
    pub attributes: Vec<(String, Value)>,
    /// Its spans, sorted.
    pub spans: Vec<SpanId>,
}

/// Why a corpus file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CorpusError {
    /// A file or folder cannot be read.
    #[error("cannot read {}", path.display())]
    Io {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A line does not have the form it should have.
    #[error("{}:{line}: {reason}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
}

/// All corpus files (`*.test`) of a folder, by name.
///
/// # Errors
/// A file cannot be read or does not parse.
pub fn load_dir(dir: &Path) -> Result<Vec<CorpusFile>, CorpusError> {
    let failed = |source| CorpusError::Io {
        path: dir.to_path_buf(),
        source,
    };
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "test")
        {
            paths.push(path);
        }
    }
    paths.sort();
    paths.iter().map(|path| CorpusFile::load(path)).collect()
}

impl CorpusFile {
    /// Reads and parses a file.
    ///
    /// # Errors
    /// The file cannot be read or does not parse.
    pub fn load(path: &Path) -> Result<Self, CorpusError> {
        let text = std::fs::read_to_string(path).map_err(|source| CorpusError::Io {
            path: path.to_path_buf(),
            source,
        })?;
        Self::parse(path, &text)
    }

    /// Parses the text of a file.
    ///
    /// # Errors
    /// A line does not have the form it should have.
    pub fn parse(path: &Path, text: &str) -> Result<Self, CorpusError> {
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let at = |(line, reason)| CorpusError::Line {
            path: path.to_path_buf(),
            line: line + 1,
            reason,
        };
        let groups = traces::parse(&lines).map_err(at)?;
        let cases = cases::parse(&lines).map_err(at)?;
        Ok(Self {
            path: path.to_path_buf(),
            groups,
            cases,
            lines,
        })
    }

    /// The file with those of its cases whose query, if it compiles, is one to keep.
    #[must_use]
    pub fn retain(mut self, mut keep: impl FnMut(&Query) -> bool) -> Self {
        self.cases
            .retain(|case| case.compile().map_or(true, |query| keep(&query)));
        self
    }
}

impl Case {
    /// The query, compiled.
    ///
    /// # Errors
    /// Why it does not compile.
    pub fn compile(&self) -> Result<Query, String> {
        traceql::compile_with(&self.query, &self.dialect.into()).map_err(|error| error.to_string())
    }
}

/// What is wrong with a line, by its index.
type LineError = (usize, String);

/// Whether the line begins something new rather than continuing what is above it.
fn is_heading(line: &str) -> bool {
    line.starts_with(|first: char| !first.is_whitespace() && first != '#')
}

/// Whether the line says nothing.
fn is_blank(line: &str) -> bool {
    let line = line.trim_start();
    line.is_empty() || line.starts_with('#')
}
