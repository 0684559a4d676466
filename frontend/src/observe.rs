//! Watching a metrics query on its way.
//!
//! The path shows its observer each value as it is made. Answering is the path with an observer that
//! looks away, `()`; EXPLAIN is the same path with one that prints.

use std::fmt;

use crate::answer::{Answer, ExplainMode, Explanation};

/// A step of the path, in the order in which it is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Text to typed query.
    Parse,
    /// What the tenants' spans are. Shown again if a block went away: then all that follows is made
    /// anew.
    Snapshot,
    /// What a metrics query needs. From here on up to [`Step::Execute`] each metrics query of a query
    /// takes the steps by itself.
    Analyse,
    /// The blocks that may hold selected spans.
    Prune,
    /// The traces that lie in several blocks.
    Join,
    /// What is kept of earlier queries.
    Cache,
    /// The jobs for the rest.
    Split,
    /// DataFusion's plan of the first job. The engine lowers each job by itself; this step is taken
    /// only to be shown.
    Lower,
    /// The merged partial series of all jobs.
    Execute,
    /// The series of the whole query.
    Merge,
    /// Spans shown beside the series.
    Exemplars,
}

impl Step {
    /// The name under which EXPLAIN shows the step.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Parse => "parse",
            Self::Snapshot => "snapshot",
            Self::Analyse => "analyse",
            Self::Prune => "prune",
            Self::Join => "join",
            Self::Cache => "cache",
            Self::Split => "split",
            Self::Lower => "lower",
            Self::Execute => "execute",
            Self::Merge => "merge",
            Self::Exemplars => "exemplars",
        }
    }
}

/// Watches a metrics query.
pub trait Observe: Send {
    /// Whether a step is taken. Without [`Step::Execute`] the path ends before it, and there is no
    /// answer; [`Step::Lower`] costs the planning of a job, and with [`Step::Execute`] running it once
    /// more; of other steps nobody asks.
    fn takes(&self, step: Step) -> bool {
        step != Step::Lower
    }

    /// Is shown the value that a step made.
    fn step(&mut self, step: Step, value: &dyn fmt::Display);

    /// Whether an answer of what has been read so far is wanted. Asked whenever more has been read
    /// and not all yet, and only where the series of the query are those of one metrics query: what
    /// is computed of the beginnings of several means nothing.
    fn wants_interim(&self) -> bool {
        false
    }

    /// Is shown the answer that the query would have if there were no more spans than those that have
    /// been read. It has no exemplars. The query goes on when the future ends.
    fn interim(&mut self, answer: Answer) -> impl Future<Output = ()> + Send {
        drop(answer);
        std::future::ready(())
    }
}

/// Looks away.
impl Observe for () {
    fn step(&mut self, _: Step, _: &dyn fmt::Display) {}
}

/// Prints each step.
#[derive(Debug)]
pub(crate) struct Explain {
    mode: ExplainMode,
    printed: Explanation,
}

impl Explain {
    pub(crate) fn new(mode: ExplainMode) -> Self {
        let printed = Explanation { steps: Vec::new() };
        Self { mode, printed }
    }

    /// The steps that were taken.
    pub(crate) fn printed(self) -> Explanation {
        self.printed
    }
}

impl Observe for Explain {
    fn takes(&self, step: Step) -> bool {
        step != Step::Execute || self.mode == ExplainMode::Analyze
    }

    fn step(&mut self, step: Step, value: &dyn fmt::Display) {
        self.printed.steps.push((step.name(), value.to_string()));
    }
}
