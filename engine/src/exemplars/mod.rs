//! Exemplars: spans shown beside the series that they count in.
//!
//! Of all spans that count, a few are chosen that a reader may want to open: the slowest, and some others,
//! spread over time and series. [`chooser`] chooses in the pass that aggregates, by row and its
//! [`values`], into [`cells`]; [`candidates`] merges what jobs chose, and is kept with their states; [`shown`] says what the few are shown with that
//! are to be seen, [`mod@candidate`]s hold it, and [`mod@attach`] puts them beside the finished series.
//!
//! The choice is made of the stored rows alone. The same stored spans give the same exemplars, whatever the
//! jobs and whatever is kept; stored otherwise they may give others, since to tell spans apart by their
//! ids takes columns that nothing else reads.

mod attach;
mod candidate;
mod candidates;
mod cells;
pub(crate) mod chooser;
pub(crate) mod shown;
pub(crate) mod values;

pub use attach::attach;
pub(crate) use candidate::Candidate;
pub use candidate::{Chosen, ShownSpan, SpanPlace};
pub use candidates::Candidates;
use storage::ids::{SpanId, TraceId};

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
