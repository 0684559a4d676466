//! Exemplars: spans shown beside the series that they count in.
//!
//! Of all spans that count, a few are chosen that a reader may want to open: the slowest, and some at
//! random, spread over time. [`select`] chooses, [`collect`] lowers what a span is shown with and feeds
//! the spans of a slice to the choice, and [`attach`] puts what was chosen beside the
//! finished series.
//!
//! The choice is made of the data alone, so it does not depend on how spans are cut into slices.

mod attach;
pub(crate) mod collect;
mod select;

use storage::ids::{SpanId, TraceId};

use self::select::Choice;
use crate::context::QueryContext;
use crate::error::EngineError;
use crate::grid::Grid;
use crate::limit::MemoryLimit;
use crate::series::Label;

/// Most exemplars that an answer may have, whatever is asked for.
pub const MAX_EXEMPLARS: usize = 100;

/// A span shown as an example of what a series counts.
#[derive(Debug, Clone, PartialEq)]
pub struct Exemplar {
    /// Start of the span, ns since the epoch.
    pub start_ns: i64,
    /// Its trace.
    pub trace_id: TraceId,
    /// The span.
    pub span_id: SpanId,
    /// The aggregated value of the span, durations in seconds; of a series that counts spans, the
    /// series' sample in the interval that the span is in.
    pub value: f64,
    /// The attributes that the query names and the span has, by their canonical names. Arrays, which
    /// have no form as a label, and the two ids are left out.
    pub attributes: Vec<Label>,
}

/// Exemplars chosen of the spans of some jobs.
#[derive(Debug, Clone)]
pub struct PartialExemplars {
    chosen: Choice<Content>,
    limit: MemoryLimit,
}

/// What a chosen span is shown with.
#[derive(Debug, Clone)]
struct Content {
    /// Labels of the series that it counts in; without `p`, because it counts for every quantile.
    labels: Vec<Label>,
    /// What is aggregated of it; `None` if it only counts.
    value: Option<f64>,
    attributes: Vec<Label>,
}

impl PartialExemplars {
    /// None yet, to merge those of jobs into; at most `count`, and never more than [`MAX_EXEMPLARS`].
    #[must_use]
    pub fn empty(grid: Grid, count: usize, context: &QueryContext) -> Self {
        Self {
            chosen: Choice::new(grid, count.min(MAX_EXEMPLARS)),
            limit: context.limit,
        }
    }

    /// Chooses among these and those of other spans of the same query. Order does not matter.
    ///
    /// # Errors
    /// [`EngineError::MemoryLimit`] if what the chosen spans are shown with is more than the query
    /// may hold.
    pub fn merge(&mut self, other: Self) -> Result<(), EngineError> {
        self.chosen.merge(other.chosen);
        self.check_memory()
    }

    fn check_memory(&self) -> Result<(), EngineError> {
        let held = self.chosen.contents().map(Content::bytes).sum();
        self.limit.check(held)
    }
}

impl Content {
    fn bytes(&self) -> usize {
        let labels = self.labels.iter().chain(&self.attributes);
        let bytes =
            |label: &Label| size_of::<Label>() + label.name.len() + label.value.text_bytes();
        size_of::<Self>() + labels.map(bytes).sum::<usize>()
    }
}
