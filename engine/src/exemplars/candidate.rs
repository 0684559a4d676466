//! A span that may be shown, known by its row alone until it is.

use std::cmp::Ordering;
use std::sync::{Arc, OnceLock};

use storage::ids::{BlockId, SpanId, TraceId};

use crate::series::Label;
use crate::spanset::number::Number;

/// A span that may be shown. It is chosen by what aggregating has in hand, and what it is shown with is
/// read only once it is to be shown.
#[derive(Debug)]
pub(crate) struct Candidate {
    pub(super) place: SpanPlace,
    /// What is aggregated of it; its duration in ns if it only counts.
    pub(super) value: Number,
    pub(super) role: Role,
    /// What it is shown with, if that was read.
    shown: OnceLock<ShownSpan>,
}

/// Where a span is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SpanPlace {
    /// The block.
    pub block: BlockId,
    /// Its place among the rows of the block.
    pub row: u64,
}

/// What a candidate stands for among the spans of one interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// It has the largest value.
    Largest,
    /// It is a sample of the others.
    Sample {
        /// Which of several samples, below [`SAMPLES`].
        number: u8,
        /// The smaller, the sooner it is taken.
        order: u64,
    },
}

/// Samples of an interval.
pub(super) const SAMPLES: usize = 2;

/// Most bytes of what a candidate is shown with that are held for others who show it: longer texts are
/// read again.
pub(super) const HELD_BYTES: usize = 512;

/// What a span is shown with.
#[derive(Debug, Clone, PartialEq)]
pub struct ShownSpan {
    /// Start, ns since the epoch.
    pub(super) start_ns: i64,
    pub(super) trace_id: TraceId,
    pub(super) span_id: SpanId,
    /// Labels that the series share which it counts in.
    pub(super) labels: Vec<Label>,
    /// The attributes that the query names and the span has.
    pub(super) attributes: Vec<Label>,
}

/// A candidate that is to be shown.
#[derive(Debug, Clone)]
pub struct Chosen {
    pub(super) candidate: Arc<Candidate>,
    /// What it is shown with, if that is too long to be held by the candidate.
    shown: Option<ShownSpan>,
}

impl Candidate {
    pub(super) const fn new(place: SpanPlace, value: Number, role: Role) -> Self {
        Self {
            place,
            value,
            role,
            shown: OnceLock::new(),
        }
    }

    /// Where the span is.
    pub(crate) const fn place(&self) -> SpanPlace {
        self.place
    }

    /// Says what the span is shown with. What was said before stays.
    pub(crate) fn show(&self, shown: ShownSpan) {
        self.shown.get_or_init(|| shown);
    }

    pub(super) fn shown_bytes(&self) -> usize {
        self.shown.get().map_or(0, ShownSpan::bytes)
    }

    /// Candidates of one role of one interval: the one to keep comes first.
    pub(super) fn first(&self, other: &Self) -> Ordering {
        let by_place = || self.place.cmp(&other.place);
        match (self.role, other.role) {
            (Role::Largest, Role::Largest) => by_value(other.value, self.value).then_with(by_place),
            (
                Role::Sample { number, order },
                Role::Sample {
                    number: other_number,
                    order: other_order,
                },
            ) => {
                let by_order = (number, order).cmp(&(other_number, other_order));
                // Where all is equal else, samples are from both ends.
                by_order.then_with(|| match number {
                    0 => by_place(),
                    _ => by_place().reverse(),
                })
            }
            (Role::Largest, Role::Sample { .. }) => Ordering::Less,
            (Role::Sample { .. }, Role::Largest) => Ordering::Greater,
        }
    }
}

impl Chosen {
    pub(super) const fn new(candidate: Arc<Candidate>) -> Self {
        Self {
            candidate,
            shown: None,
        }
    }

    /// Where the span is, if it is to be read what it is shown with.
    #[must_use]
    pub fn unread(&self) -> Option<SpanPlace> {
        match self.shown() {
            Some(_) => None,
            None => Some(self.candidate.place),
        }
    }

    /// Says what the span is shown with, for this answer, and for all that the candidate is kept for.
    pub fn show(&mut self, shown: ShownSpan) {
        if shown.bytes() <= HELD_BYTES {
            self.candidate.show(shown);
        } else {
            self.shown = Some(shown);
        }
    }

    pub(super) fn shown(&self) -> Option<&ShownSpan> {
        self.shown.as_ref().or_else(|| self.candidate.shown.get())
    }
}

impl ShownSpan {
    /// Bytes held, about.
    pub(crate) fn bytes(&self) -> usize {
        let labels = self.labels.iter().chain(&self.attributes);
        let bytes =
            |label: &Label| size_of::<Label>() + label.name.len() + label.value.text_bytes();
        size_of::<Self>() + labels.map(bytes).sum::<usize>()
    }
}

/// Order by value; no value is NaN.
pub(super) fn by_value(one: Number, other: Number) -> Ordering {
    match (one, other) {
        (Number::Int(one), Number::Int(other)) => one.cmp(&other),
        _ => one.as_float().total_cmp(&other.as_float()),
    }
}

/// Whether a value comes before another that was found sooner.
#[inline]
pub(super) fn is_larger(value: Number, held: Number) -> bool {
    by_value(value, held).is_gt()
}

impl Role {
    /// Numbers roles from 0.
    pub(super) fn number(self) -> usize {
        match self {
            Self::Largest => 0,
            Self::Sample { number, .. } => 1 + usize::from(number),
        }
    }
}
