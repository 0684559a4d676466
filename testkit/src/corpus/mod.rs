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
//! - **Grids**: `range START END step STEP` and `instant START END` hold for the queries below.
//! - **Expectations**: `spans 1 2` or `spans none`; `series` with a line for each, or `series none`;
//!   `fails` for a query that fails at run time. `tolerance 1%` before `series` allows for sketches.
//!   What is missing, or `series` with no line below it, is completed by running the tests with
//!   `UPDATE_CORPUS=1`. A point is `seconds:value`; points not written are missing. For an instant query it is the
//!   value alone.
//!
//! A label with a number is a float if it has a point or an exponent: `p=0.5`, `p=1.0`, `z=1`.

mod cases;
mod print;
mod run;
mod text;
mod traces;

use std::ops::Range;
use std::path::{Path, PathBuf};

use storage::ids::SpanId;
use storage::model::SpanGroup;

pub use self::run::{complete, run_metrics, run_selections};
use crate::compare::Tolerance;
use crate::reference::{Grid, RefSeries};

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
    /// The grid in force; `None` where the file has none yet.
    pub grid: Option<Grid>,
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
    /// The series of a metrics query, in the order of the file.
    Series(Vec<RefSeries>),
    /// A failure at run time.
    Fails,
    /// Nothing is written down yet.
    Missing,
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
