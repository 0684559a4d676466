//! The kinds of jobs, each in the same four parts: lower for a block, plan for a slice, run, print.
//!
//! [`mod@aggregate`] and [`mod@compare`] come to series, [`mod@exemplars`] to what spans are shown with
//! beside them, [`mod@search`] to traces. What is lowered is expressions over the columns of one block;
//! what is planned is one operator over encoded columns, or a [`mod@plan`] of DataFusion, which can
//! do all of it.

mod aggregate;
mod compare;
mod exemplars;
mod plan;
pub(crate) mod search;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::execution::SessionState;
use storage::block::meta::BlockMeta;
use traceql::ast::{MetricsAggregate, MetricsStage};

use self::aggregate::{AggregateJob, PlannedAggregate};
use self::compare::{CompareJob, PlannedCompare};
use self::exemplars::ExemplarJob;
use crate::compare::tally::Tally;
use crate::error::EngineError;
use crate::exemplars::{Candidate, Candidates, ShownSpan};
use crate::grid::Grid;
use crate::limit::{MemoryLimit, recover};
use crate::lower::Selected;
use crate::partial::{Aggregates, PartialSeries};
use crate::plan::MetricsPlan;
use crate::prune::{is_without, picks_few};
use crate::scan::{Opened, Scan};

/// A metrics query, planned for the spans of one slice.
pub(crate) struct MetricsJob<'a> {
    scan: &'a Scan,
    plan: &'a MetricsPlan,
    grid: Grid,
    planned: Planned<'a>,
    spans: Opened,
}

#[derive(Debug)]
enum Lowered<'a> {
    Aggregate(&'a MetricsAggregate, AggregateJob),
    Compare(CompareJob),
}

#[derive(Debug)]
enum Planned<'a> {
    Aggregate(&'a MetricsAggregate, PlannedAggregate),
    Compare(PlannedCompare),
}

impl<'a> MetricsJob<'a> {
    /// Lowers and plans a query; `None` if there is nothing to run it on. If the job `chooses`, it also
    /// chooses spans that may be shown beside the series.
    ///
    /// # Errors
    /// If the slice cannot be opened, or the query not be planned.
    pub(crate) async fn plan(
        scan: &'a Scan,
        plan: &'a MetricsPlan,
        (grid, chooses): (Grid, bool),
    ) -> Result<Option<Self>, EngineError> {
        let limit = scan.context.limit;
        let Some(spans) = open(scan, plan).await? else {
            return Ok(None);
        };
        let planned = async {
            let lowered = Lowered::lower(plan, (&grid, chooses), spans.block(), limit)?;
            lowered.plan(plan, spans.clone(), &scan.session).await
        };
        let planned = planned.await.map_err(|error| recover(error, limit))?;
        Ok(Some(Self {
            scan,
            plan,
            grid,
            planned,
            spans,
        }))
    }

    /// What the spans come to.
    ///
    /// # Errors
    /// If the store fails, the block is damaged, an expression fails on a span, or it takes more
    /// memory than the query may hold.
    pub(crate) async fn run(&self) -> Result<PartialSeries, EngineError> {
        let limit = self.scan.context.limit;
        let series = match &self.planned {
            Planned::Aggregate(aggregate, planned) => {
                let none = Aggregates::new(self.plan, aggregate, self.grid, limit);
                let (series, candidates) = planned.run(self.scan, none).await?;
                if let (Some(candidates), false) = (&candidates, self.spans.is_stored()) {
                    // Later these rows may be in no block any more.
                    show(self.scan, &self.spans, self.plan, candidates).await?;
                }
                PartialSeries::from((series, candidates))
            }
            Planned::Compare(planned) => {
                let tally = planned.run(self.scan, Tally::new(self.grid, limit)).await;
                PartialSeries::from(tally.map_err(|error| recover(error, limit))?)
            }
        };
        self.scan.count_spans(self.spans.span_count);
        Ok(series)
    }

    /// The plan; with the counters of its operators if it has been run.
    pub(crate) fn text(&self, has_run: bool) -> String {
        match &self.planned {
            Planned::Aggregate(_, planned) => planned.text(has_run),
            Planned::Compare(planned) => planned.text(has_run),
        }
    }
}

impl<'a> Lowered<'a> {
    fn lower(
        plan: &'a MetricsPlan,
        (grid, chooses): (&Grid, bool),
        block: &BlockMeta,
        limit: MemoryLimit,
    ) -> DataFusionResult<Self> {
        Ok(match &plan.stage {
            MetricsStage::Aggregate(aggregate) => {
                let grid = (grid, chooses);
                let job = AggregateJob::lower(plan, aggregate, grid, block, limit)?;
                Self::Aggregate(aggregate, job)
            }
            MetricsStage::Compare(compare) => {
                Self::Compare(CompareJob::lower(plan, compare, grid, block, limit)?)
            }
        })
    }

    async fn plan(
        self,
        plan: &MetricsPlan,
        mut spans: Opened,
        session: &SessionState,
    ) -> DataFusionResult<Planned<'a>> {
        // Inside the Parquet reader nothing would be left of an error but its text.
        if picks_few(plan) && !self.selected().can_fail() {
            spans.expect_few();
        }
        Ok(match self {
            Self::Aggregate(aggregate, job) => {
                Planned::Aggregate(aggregate, job.plan(spans, session).await?)
            }
            Self::Compare(job) => Planned::Compare(job.plan(spans, session).await?),
        })
    }

    fn selected(&self) -> &Selected {
        match self {
            Self::Aggregate(_, job) => &job.selected,
            Self::Compare(job) => &job.selected,
        }
    }

    fn columns(&self) -> BTreeSet<String> {
        match self {
            Self::Aggregate(_, job) => job.columns(),
            Self::Compare(job) => job.columns(),
        }
    }
}

/// Names of the columns that a metrics query reads of a block.
///
/// # Errors
/// If an attribute or condition cannot be made an expression.
pub(crate) fn columns(
    plan: &MetricsPlan,
    grid: &Grid,
    block: &BlockMeta,
) -> DataFusionResult<BTreeSet<String>> {
    const NO_LIMIT: MemoryLimit = MemoryLimit {
        bytes: u64::MAX,
        key: "",
    };
    Ok(Lowered::lower(plan, (grid, false), block, NO_LIMIT)?.columns())
}

/// What the spans of some rows of a slice's block, ascending, are shown with beside a query's series.
///
/// # Errors
/// If the slice cannot be opened, the store fails, the block is damaged or has no such rows, or an
/// expression fails on one.
pub(crate) async fn exemplars(
    scan: &Scan,
    plan: &MetricsPlan,
    rows: &[u64],
) -> Result<Vec<ShownSpan>, EngineError> {
    match open(scan, plan).await? {
        Some(spans) => read_shown(scan, &spans, plan, rows).await,
        None => Ok(Vec::new()),
    }
}

/// Says what the candidates of one block are shown with.
async fn show(
    scan: &Scan,
    spans: &Opened,
    plan: &MetricsPlan,
    candidates: &Candidates,
) -> Result<(), EngineError> {
    let row = |candidate: &Arc<Candidate>| candidate.place().row;
    let mut rows: Vec<u64> = candidates.spans().map(row).collect();
    rows.sort_unstable();
    rows.dedup();
    let shown = read_shown(scan, spans, plan, &rows).await?;
    for candidate in candidates.spans() {
        let at = rows.binary_search(&row(candidate));
        if let Some(shown) = at.ok().and_then(|at| shown.get(at)) {
            candidate.show(shown.clone());
        }
    }
    Ok(())
}

async fn read_shown(
    scan: &Scan,
    spans: &Opened,
    plan: &MetricsPlan,
    rows: &[u64],
) -> Result<Vec<ShownSpan>, EngineError> {
    let limit = scan.context.limit;
    let (MetricsStage::Aggregate(aggregate), [_, ..]) = (&plan.stage, rows) else {
        return Ok(Vec::new());
    };
    let rows = rows.iter().map(|&row| usize::try_from(row));
    let rows: Vec<usize> = rows.map(|row| row.unwrap_or(usize::MAX)).collect();
    let shown = async {
        let job = ExemplarJob::lower(plan, aggregate, spans.block())?;
        job.run(spans, &rows, aggregate, &*scan.session).await
    };
    let shown = shown.await.map_err(|error| recover(error, limit))?;
    if shown.len() != rows.len() {
        let message = format!("{} of {} rows", shown.len(), rows.len());
        return Err(EngineError::Internal(DataFusionError::Internal(message)));
    }
    limit.check(shown.iter().map(ShownSpan::bytes).sum())?;
    Ok(shown)
}

/// The spans of a slice; `None` if there are none, or the query selects none whatever they are: then
/// nothing is evaluated, so nothing can fail.
async fn open(scan: &Scan, plan: &MetricsPlan) -> Result<Option<Opened>, EngineError> {
    if plan.is_never() {
        return Ok(None);
    }
    let lacks = scan.lacks_what_is_named(|block, lacks| is_without(plan, block, lacks));
    if lacks.await? {
        return Ok(None);
    }
    scan.open().await
}
