//! Jobs of `compare()`: counts by the values of all attributes.

use std::collections::BTreeSet;

use datafusion::error::Result;
use datafusion::execution::SessionState;
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use futures::TryStreamExt as _;
use storage::block::meta::BlockMeta;
use traceql::ast::Compare;

use super::plan::DataFusionPlan;
use crate::compare::lowered::LoweredCompare;
use crate::compare::tally::Tally;
use crate::grid::Grid;
use crate::limit::MemoryLimit;
use crate::lower::Selected;
use crate::lower::layout::Layout;
use crate::physical::EncodedCompare;
use crate::plan::MetricsPlan;
use crate::scan::{Opened, Scan};

/// A comparing query lowered for one block.
#[derive(Debug)]
pub(super) struct CompareJob {
    pub(super) selected: Selected,
    compare: LoweredCompare,
}

/// The same, planned for one slice of the block.
#[derive(Debug)]
pub(super) enum PlannedCompare {
    /// One operator for all.
    Encoded(Box<EncodedCompare>),
    General(Box<CompareJob>, DataFusionPlan),
}

impl CompareJob {
    /// Lowers a query for a block.
    ///
    /// # Errors
    /// If an attribute or condition cannot be made an expression.
    pub(super) fn lower(
        plan: &MetricsPlan,
        compare: &Compare,
        grid: &Grid,
        block: &BlockMeta,
        limit: MemoryLimit,
    ) -> Result<Self> {
        let layout = Layout::spans(block, plan.dialect);
        let compare = LoweredCompare::lower(compare, block, &layout)?;
        Ok(Self {
            selected: Selected::lower(plan, grid, &layout, limit, compare.expressions())?,
            compare,
        })
    }

    /// Names of the columns that are read.
    pub(super) fn columns(&self) -> BTreeSet<String> {
        self.selected.columns()
    }

    /// Plans the job for the spans of a slice.
    ///
    /// # Errors
    /// If an expression cannot be made ready.
    pub(super) async fn plan(
        self,
        spans: Opened,
        session: &SessionState,
    ) -> Result<PlannedCompare> {
        let encoded = match spans.stored() {
            Some(stored) => EncodedCompare::plan(&self.selected, &self.compare, &stored, session)?,
            None => None,
        };
        if let Some(encoded) = encoded {
            return Ok(PlannedCompare::Encoded(Box::new(encoded)));
        }
        let logical = self.logical_plan(spans.scan(&self.columns())?)?;
        let plan = DataFusionPlan::try_new(&logical, session).await?;
        Ok(PlannedCompare::General(Box::new(self), plan))
    }

    /// The plan over a scan of the block's spans.
    pub(super) fn logical_plan(&self, scan: LogicalPlanBuilder) -> Result<LogicalPlan> {
        self.selected.only_used(scan)
    }
}

impl PlannedCompare {
    /// Counts the slice into a tally.
    ///
    /// # Errors
    /// If the store fails, the block is damaged, an expression fails on a span, or it takes more
    /// memory than the query may hold.
    pub(super) async fn run(&self, scan: &Scan, tally: Tally) -> Result<Tally> {
        let (job, plan) = match self {
            Self::Encoded(encoded) => return encoded.count(&scan.context.pool, tally).await,
            Self::General(job, plan) => (job, plan),
        };
        let task = scan.task_context()?;
        let mut spans = plan.stream(&task)?;
        let reservation = MemoryConsumer::new("compare").register(task.memory_pool());
        let (selected, session) = (&job.selected, &*scan.session);
        let counter = &job.compare;
        let counter = counter.counter(selected, &spans.schema(), session, tally, reservation);
        let mut counter = counter?;
        while let Some(batch) = spans.try_next().await? {
            counter.add(&batch)?;
        }
        counter.finish()
    }

    /// The plan; with the counters of its operators if it has been run.
    pub(super) fn text(&self, has_run: bool) -> String {
        match self {
            Self::Encoded(encoded) => encoded.to_string(),
            Self::General(_, plan) => plan.text(has_run),
        }
    }
}
