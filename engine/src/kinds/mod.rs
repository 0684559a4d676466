//! The kinds of jobs, each in the same four parts: lower for a block, plan for a slice, run, print.
//!
//! [`mod@aggregate`] and [`mod@compare`] come to series, [`mod@exemplars`] to spans that are shown
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

use datafusion::error::Result as DataFusionResult;
use datafusion::execution::SessionState;
use storage::block::meta::BlockMeta;
use traceql::ast::{MetricsAggregate, MetricsStage};

use self::aggregate::{AggregateJob, PlannedAggregate};
use self::compare::{CompareJob, PlannedCompare};
use self::exemplars::ExemplarJob;
use crate::compare::tally::Tally;
use crate::error::EngineError;
use crate::exemplars::PartialExemplars;
use crate::grid::Grid;
use crate::limit::{MemoryLimit, recover};
use crate::lower::Selected;
use crate::partial::{Aggregates, PartialSeries};
use crate::plan::MetricsPlan;
use crate::prune::picks_few;
use crate::scan::{Opened, Scan};

/// A metrics query, planned for the spans of one slice.
pub(crate) struct MetricsJob<'a> {
    scan: &'a Scan,
    plan: &'a MetricsPlan,
    grid: Grid,
    planned: Planned<'a>,
    /// Spans that are read.
    span_count: u64,
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
    /// Lowers and plans a query; `None` if there is nothing to run it on.
    ///
    /// # Errors
    /// If the slice cannot be opened, or the query not be planned.
    pub(crate) async fn plan(
        scan: &'a Scan,
        plan: &'a MetricsPlan,
        grid: Grid,
    ) -> Result<Option<Self>, EngineError> {
        let limit = scan.context.limit;
        let Some(spans) = open(scan, plan).await? else {
            return Ok(None);
        };
        let span_count = spans.span_count;
        let planned = async {
            let lowered = Lowered::lower(plan, &grid, spans.block(), limit)?;
            lowered.plan(plan, spans, &scan.session).await
        };
        let planned = planned.await.map_err(|error| recover(error, limit))?;
        Ok(Some(Self {
            scan,
            plan,
            grid,
            planned,
            span_count,
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
                PartialSeries::from(planned.run(self.scan, none).await?)
            }
            Planned::Compare(planned) => {
                let tally = planned.run(self.scan, Tally::new(self.grid, limit)).await;
                PartialSeries::from(tally.map_err(|error| recover(error, limit))?)
            }
        };
        self.scan.count_spans(self.span_count);
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
        grid: &Grid,
        block: &BlockMeta,
        limit: MemoryLimit,
    ) -> DataFusionResult<Self> {
        Ok(match &plan.stage {
            MetricsStage::Aggregate(aggregate) => {
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
    Ok(Lowered::lower(plan, grid, block, NO_LIMIT)?.columns())
}

/// At most `count` exemplars of the spans of a slice that start in the grid. Comparisons have none.
///
/// # Errors
/// As for [`MetricsJob::plan`] and [`MetricsJob::run`].
pub(crate) async fn exemplars(
    scan: &Scan,
    plan: &MetricsPlan,
    grid: Grid,
    count: usize,
) -> Result<PartialExemplars, EngineError> {
    let limit = scan.context.limit;
    let none = PartialExemplars::empty(grid, count, &scan.context);
    let MetricsStage::Aggregate(aggregate) = &plan.stage else {
        return Ok(none);
    };
    let Some(spans) = open(scan, plan).await? else {
        return Ok(none);
    };
    let span_count = spans.span_count;
    let chosen = async {
        let job = ExemplarJob::lower(plan, aggregate, &grid, spans.block(), limit)?;
        let planned = job.plan(spans, &scan.session).await?;
        planned.run(scan, plan, aggregate, none).await
    };
    let chosen = chosen.await.map_err(|error| recover(error, limit))?;
    scan.count_spans(span_count);
    Ok(chosen)
}

/// The spans of a slice; `None` if there are none, or the query selects none whatever they are: then
/// nothing is evaluated, so nothing can fail.
async fn open(scan: &Scan, plan: &MetricsPlan) -> Result<Option<Opened>, EngineError> {
    if plan.is_never() {
        return Ok(None);
    }
    scan.open().await
}
