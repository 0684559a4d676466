//! A query with what it gives.

use std::ops::Range;

use storage::ids::SpanId;
use traceql::{Dialect, Query};

use crate::compare::Tolerance;
use crate::reference::grid::Grid;
use crate::reference::search::{SearchWindow, TraceResult};
use crate::reference::series::RefSeries;
use crate::reference::value::Value;

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
    pub(super) expected_lines: Range<usize>,
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
