//! Mergeable results of jobs, and the series they become.

mod aggregates;
mod finish;
mod group_table;
mod labels;
mod top;

pub(crate) use aggregates::Aggregates;
pub(crate) use labels::base_labels;
use traceql::ast::MetricsStage;

use crate::compare::tally::Tally;
use crate::context::QueryContext;
use crate::error::EngineError;
use crate::exemplars::Candidates;
use crate::grid::{Grid, Placement};
use crate::plan::MetricsPlan;
use crate::series::SeriesSet;

/// What the spans of some jobs come to.
#[derive(Debug)]
pub struct PartialSeries {
    kind: Kind,
    /// Spans that may be shown beside the series; none if they were not asked for.
    candidates: Option<Candidates>,
}

#[derive(Debug)]
enum Kind {
    Aggregates(Aggregates),
    Comparison(Tally),
}

impl From<(Aggregates, Option<Candidates>)> for PartialSeries {
    fn from((aggregates, candidates): (Aggregates, Option<Candidates>)) -> Self {
        Self {
            kind: Kind::Aggregates(aggregates),
            candidates,
        }
    }
}

impl From<Tally> for PartialSeries {
    fn from(tally: Tally) -> Self {
        Self {
            kind: Kind::Comparison(tally),
            candidates: None,
        }
    }
}

impl PartialSeries {
    /// No series yet, to merge those of jobs into.
    #[must_use]
    pub fn empty(plan: &MetricsPlan, grid: Grid, context: &QueryContext) -> Self {
        let limit = context.limit;
        match &plan.stage {
            MetricsStage::Aggregate(aggregate) => {
                let none = Aggregates::new(plan, aggregate, grid, limit);
                let intervals = (grid.start_ns, grid.step_ns, grid.intervals);
                Self::from((none, Some(Candidates::new(intervals, limit))))
            }
            MetricsStage::Compare(_) => Self::from(Tally::new(grid, limit)),
        }
    }

    /// Adds what other spans of the same query come to. Order does not matter.
    ///
    /// # Errors
    /// [`EngineError::MemoryLimit`] if all together is more than the query may hold.
    pub fn merge(&mut self, other: Self) -> Result<(), EngineError> {
        if let (Some(held), Some(other)) = (&mut self.candidates, other.candidates) {
            held.merge(other)?;
        }
        match (&mut self.kind, other.kind) {
            (Kind::Aggregates(held), Kind::Aggregates(other)) => held.merge(other),
            (Kind::Comparison(held), Kind::Comparison(other)) => held.merge(other),
            (Kind::Aggregates(_), Kind::Comparison(_))
            | (Kind::Comparison(_), Kind::Aggregates(_)) => Err(EngineError::other_query()),
        }
    }

    /// Adds what other spans come to in some intervals, and leaves that as it is. The query may be
    /// another one of the same [fingerprint](MetricsPlan::fingerprint). Order does not matter.
    ///
    /// # Errors
    /// As for [`Self::merge`].
    pub fn merge_part(&mut self, part: &Self, placement: Placement) -> Result<(), EngineError> {
        if let (Some(held), Some(part)) = (&mut self.candidates, &part.candidates) {
            held.merge_part(part, placement)?;
        }
        match (&mut self.kind, &part.kind) {
            (Kind::Aggregates(held), Kind::Aggregates(part)) => held.merge_part(part, placement),
            (Kind::Comparison(held), Kind::Comparison(part)) => held.merge_part(part, placement),
            (Kind::Aggregates(_), Kind::Comparison(_))
            | (Kind::Comparison(_), Kind::Aggregates(_)) => Err(EngineError::other_query()),
        }
    }

    /// Bytes held, about.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        let states = match &self.kind {
            Kind::Aggregates(aggregates) => aggregates.bytes(),
            Kind::Comparison(tally) => tally.bytes(),
        };
        let candidates = self.candidates.as_ref();
        states + candidates.map_or(0, Candidates::bytes)
    }

    /// Number of label sets, about.
    #[must_use]
    pub fn group_count(&self) -> usize {
        match &self.kind {
            Kind::Aggregates(aggregates) => aggregates.group_count(),
            Kind::Comparison(tally) => tally.value_count(),
        }
    }

    /// Takes the spans that may be shown beside the series, if there are any.
    #[must_use]
    pub fn take_candidates(&mut self) -> Option<Candidates> {
        self.candidates.take()
    }

    /// Makes the series, applies the second stages, and puts them in canonical order.
    ///
    /// # Errors
    /// [`EngineError::MemoryLimit`] if the series are larger than the query may hold.
    pub fn finish(self, plan: &MetricsPlan) -> Result<SeriesSet, EngineError> {
        match (self.kind, &plan.stage) {
            (Kind::Aggregates(held), MetricsStage::Aggregate(aggregate)) => {
                held.finish(plan, aggregate)
            }
            (Kind::Comparison(held), MetricsStage::Compare(compare)) => held.finish(compare.top_n),
            _ => Err(EngineError::other_query()),
        }
    }
}
