//! Jobs that choose exemplars.

use datafusion::error::Result;
use datafusion::execution::SessionState;
use futures::TryStreamExt as _;
use storage::block::meta::BlockMeta;
use traceql::ast::MetricsAggregate;

use super::plan::DataFusionPlan;
use crate::exemplars::PartialExemplars;
use crate::exemplars::collect::Candidates;
use crate::grid::Grid;
use crate::limit::MemoryLimit;
use crate::lower::Selected;
use crate::lower::layout::Layout;
use crate::plan::MetricsPlan;
use crate::scan::{Opened, Scan};

/// The choice of an aggregating query's exemplars, lowered for one block.
#[derive(Debug)]
pub(super) struct ExemplarJob {
    selected: Selected,
    candidates: Candidates,
}

/// The same, planned for one slice of the block.
#[derive(Debug)]
pub(super) struct PlannedExemplars {
    candidates: Candidates,
    plan: DataFusionPlan,
}

impl ExemplarJob {
    /// Lowers the choice for a block.
    ///
    /// # Errors
    /// If an attribute or condition cannot be made an expression.
    pub(super) fn lower(
        plan: &MetricsPlan,
        aggregate: &MetricsAggregate,
        grid: &Grid,
        block: &BlockMeta,
        limit: MemoryLimit,
    ) -> Result<Self> {
        let layout = Layout::spans(block, plan.dialect);
        let candidates = Candidates::lower(plan, aggregate, &layout)?;
        Ok(Self {
            selected: Selected::lower(plan, grid, &layout, limit, candidates.expressions())?,
            candidates,
        })
    }

    /// Plans the job for the spans of a slice.
    ///
    /// # Errors
    /// If an expression cannot be made ready.
    pub(super) async fn plan(
        self,
        spans: Opened,
        session: &SessionState,
    ) -> Result<PlannedExemplars> {
        let scan = spans.scan(&self.selected.columns())?;
        let logical = self.selected.only_used(scan)?;
        Ok(PlannedExemplars {
            plan: DataFusionPlan::try_new(&logical, session).await?,
            candidates: self.candidates,
        })
    }
}

impl PlannedExemplars {
    /// Chooses among the spans of the slice and those that are `chosen` already.
    ///
    /// # Errors
    /// If the store fails, the block is damaged, an expression fails on a span, or it takes more
    /// memory than the query may hold.
    pub(super) async fn run(
        &self,
        scan: &Scan,
        plan: &MetricsPlan,
        aggregate: &MetricsAggregate,
        chosen: PartialExemplars,
    ) -> Result<PartialExemplars> {
        let mut spans = self.plan.stream(&scan.task_context()?)?;
        let (schema, session) = (spans.schema(), &*scan.session);
        let candidates = &self.candidates;
        let mut collector = candidates.collector(plan, aggregate, &schema, session, chosen)?;
        while let Some(batch) = spans.try_next().await? {
            collector.add(&batch)?;
        }
        Ok(collector.chosen)
    }
}
