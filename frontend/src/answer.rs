//! What is asked of the central path, and what it answers.

use std::fmt;
use std::time::Duration;

use engine::{Exemplar, Grid, SeriesSet};
use storage::ids::TenantId;
use traceql::Dialect;

use crate::stats::QueryStats;

/// A metrics query over time. An instant query is one over a grid of one interval,
/// [`Grid::instant`].
#[derive(Debug, Clone, PartialEq)]
pub struct RangeRequest {
    /// Whose spans; more than one tenant are queried as if their spans were of one.
    pub tenants: Vec<TenantId>,
    /// The query text.
    pub query: String,
    /// Which TraceQL the text is in.
    pub dialect: Dialect,
    /// The intervals that get a sample each.
    pub grid: Grid,
    /// Most series to answer, besides the limit of the configuration.
    pub max_series: Option<usize>,
    /// Most exemplars to answer, unless a hint of the query says: `with(exemplars=10)`. With 0 there
    /// are none, whatever the query says, and nothing is done for them.
    pub exemplars: usize,
    /// Longest time to take; it only ever shortens the configured one.
    pub timeout: Option<Duration>,
}

/// The answer of a query.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The series, in canonical order.
    pub series: SeriesSet,
    /// The exemplars of each series, in order of time; empty if there are none at all.
    pub exemplars: Vec<Vec<Exemplar>>,
    /// What answering the query took.
    pub stats: QueryStats,
    /// Why the answer is not complete, if it is not.
    pub partial: Option<PartialReason>,
    /// What is worth knowing about the query.
    pub notices: Vec<String>,
}

/// Why an answer is not complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PartialReason {
    /// There were as many series as an answer may have, or more.
    SeriesLimit {
        /// How many series an answer may have.
        limit: usize,
    },
}

/// How much EXPLAIN does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExplainMode {
    /// Shows the plans of a query only.
    Plan,
    /// Runs the query, too.
    Analyze,
}

/// The steps of a query, printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// Name and printing of each step, in order.
    pub steps: Vec<(&'static str, String)>,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let intervals = self.series.grid.intervals;
        write!(
            f,
            "{} series over {intervals} intervals",
            self.series.series.len()
        )?;
        if let Some(reason) = &self.partial {
            write!(f, "\n  partial: {reason}")?;
        }
        for notice in &self.notices {
            write!(f, "\n  notice: {notice}")?;
        }
        Ok(())
    }
}

impl fmt::Display for PartialReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SeriesLimit { limit } => write!(
                f,
                "the limit of {limit} series is reached, further series are left out \
                 (maxSeries, query_frontend.metrics.max_response_series)"
            ),
        }
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, printing) in &self.steps {
            writeln!(f, "{name}:")?;
            for line in printing.lines() {
                writeln!(f, "  {line}")?;
            }
        }
        Ok(())
    }
}
