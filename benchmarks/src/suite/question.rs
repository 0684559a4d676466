//! A question: what is asked in TraceQL, and what SQL is made of for the rivals.

use super::window::Cut;

/// What is computed for every label and interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Value {
    /// The number of spans; TraceQL's `rate()` is this, divided by the step.
    Count,
    /// A quantile of the duration.
    Quantile(f64),
    /// The mean of the duration in seconds.
    Average,
    /// Nothing: which labels there are is the answer.
    Present,
    /// What `compare()` answers; SQL has nothing like it.
    Compare,
}

/// How Spandrel is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ask {
    /// A metrics query.
    Series,
    /// A search; the answer is the ids of the traces.
    Search,
    /// A trace by id; the answer is the ids of its spans.
    Trace,
    /// The values of an attribute.
    Values,
}

/// A question of a suite.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Question {
    /// Short name, for tables and the command line.
    pub(crate) name: &'static str,
    pub(crate) ask: Ask,
    /// TraceQL; the id of a trace, or the name of an attribute.
    pub(crate) text: &'static str,
    pub(crate) cut: Cut,
    pub(crate) value: Value,
    /// What to group by, besides the interval.
    pub(crate) label: Option<&'static str>,
    /// Condition; empty if there is none.
    pub(crate) condition: &'static str,
    /// Only so many of each interval, the largest.
    pub(crate) top: Option<u32>,
    /// Whether each label and interval comes with the trace of its slowest span: what SQL can do of
    /// exemplars, which Spandrel answers instead.
    pub(crate) slowest: bool,
    /// Whether SQL can ask it.
    pub(crate) rivals: bool,
}

/// How finely series are cut unless a question says another.
const FINE: Cut = Cut::Intervals(240);

pub(super) const fn count(name: &'static str, text: &'static str) -> Question {
    Question {
        name,
        ask: Ask::Series,
        text,
        cut: FINE,
        value: Value::Count,
        label: None,
        condition: "",
        top: None,
        slowest: false,
        rivals: true,
    }
}

pub(super) const fn quantile(name: &'static str, text: &'static str, q: f64) -> Question {
    Question {
        value: Value::Quantile(q),
        ..count(name, text)
    }
}

pub(super) const fn lookup(name: &'static str, ask: Ask, text: &'static str) -> Question {
    Question {
        ask,
        value: Value::Present,
        cut: Cut::Whole,
        ..count(name, text)
    }
}

impl Question {
    /// Whether some span counts in every series that is answered, and so can be shown as its exemplar.
    pub(crate) fn is_plain_aggregate(&self) -> bool {
        self.value != Value::Compare && self.top.is_none()
    }

    pub(super) const fn by(self, label: &'static str) -> Self {
        Self {
            label: Some(label),
            ..self
        }
    }

    pub(super) const fn of(self, condition: &'static str) -> Self {
        Self { condition, ..self }
    }

    pub(super) const fn cut(self, cut: Cut) -> Self {
        Self { cut, ..self }
    }

    pub(crate) const fn with_slowest(self) -> Self {
        Self {
            slowest: true,
            ..self
        }
    }

    pub(super) const fn alone(self) -> Self {
        Self {
            rivals: false,
            ..self
        }
    }
}
