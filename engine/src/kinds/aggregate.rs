//! Jobs that aggregate: states by group.
//!
//! `Aggregate[by labels; range state] ← selected spans`, as one operator over encoded columns where
//! the query and the block allow it.

use std::collections::BTreeSet;

use datafusion::error::Result;
use datafusion::execution::SessionState;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use futures::TryStreamExt as _;
use storage::block::meta::BlockMeta;
use traceql::ast::MetricsAggregate;

use super::plan::DataFusionPlan;
use crate::error::EngineError;
use crate::grid::Grid;
use crate::key::KeyKind;
use crate::limit::{MemoryLimit, recover};
use crate::lower::layout::Layout;
use crate::lower::{LoweredAggregate, Selected};
use crate::partial::Aggregates;
use crate::physical::{EncodedAggregate, RangeAggregateExec};
use crate::plan::MetricsPlan;
use crate::scan::{Opened, Scan};

/// Name of the column of states in the result; the group keys stand before it.
const STATE: &str = "state";

/// An aggregating query lowered for one block.
#[derive(Debug)]
pub(super) struct AggregateJob {
    pub(super) selected: Selected,
    aggregate: LoweredAggregate,
}

/// The same, planned for one slice of the block.
#[derive(Debug)]
pub(super) struct PlannedAggregate {
    key_kinds: Vec<KeyKind>,
    way: Way,
}

/// How the slice is aggregated.
#[derive(Debug)]
enum Way {
    /// One operator for all.
    Encoded(Box<EncodedAggregate>),
    General(DataFusionPlan),
}

impl AggregateJob {
    /// Lowers a query for a block.
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
        let aggregate = LoweredAggregate::lower(aggregate, plan.log2_quantiles, &layout)?;
        Ok(Self {
            selected: Selected::lower(plan, grid, &layout, limit, aggregate.expressions())?,
            aggregate,
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
    ) -> Result<PlannedAggregate> {
        let encoded = match spans.stored() {
            Some(stored) => {
                EncodedAggregate::plan(&self.selected, &self.aggregate, &stored, session)?
            }
            None => None,
        };
        let way = match encoded {
            Some(encoded) => Way::Encoded(Box::new(encoded)),
            None => {
                let logical = self.logical_plan(spans.scan(&self.columns())?)?;
                Way::General(DataFusionPlan::try_new(&logical, session).await?)
            }
        };
        Ok(PlannedAggregate {
            key_kinds: self.aggregate.key_kinds,
            way,
        })
    }

    /// The plan over a scan of the block's spans.
    pub(super) fn logical_plan(&self, scan: LogicalPlanBuilder) -> Result<LogicalPlan> {
        let LoweredAggregate {
            keys, value, kind, ..
        } = &self.aggregate;
        let keys = keys.iter().enumerate();
        let keys = keys.map(|(index, key)| key.clone().alias(format!("key_{index}")));
        let Selected {
            time, arguments, ..
        } = &self.selected;
        let state = arguments.call(*kind, time.clone(), value.clone());
        let spans = self.selected.rows(scan)?;
        spans.aggregate(keys, [state.alias(STATE)])?.build()
    }
}

impl PlannedAggregate {
    /// Aggregates the slice into `series`, which has none yet.
    ///
    /// # Errors
    /// If the store fails, the block is damaged, an expression fails on a span, or it takes more
    /// memory than the query may hold.
    pub(super) async fn run(
        &self,
        scan: &Scan,
        mut series: Aggregates,
    ) -> std::result::Result<Aggregates, EngineError> {
        let recovered = |error| recover(error, scan.context.limit);
        let plan = match &self.way {
            Way::Encoded(encoded) => {
                let groups = encoded.aggregate(&scan.context.pool).await;
                series.add(groups.map_err(recovered)?, &self.key_kinds)?;
                return Ok(series);
            }
            Way::General(plan) => plan,
        };
        let task = scan.task_context().map_err(recovered)?;
        if let Some(aggregate) = plan.physical.downcast_ref::<RangeAggregateExec>() {
            let groups = aggregate.aggregate(task).await;
            series.add(groups.map_err(recovered)?, &self.key_kinds)?;
            return Ok(series);
        }
        let mut states = plan.stream(&task).map_err(recovered)?.map_err(recovered);
        while let Some(batch) = states.try_next().await? {
            series.add_batch(&batch, &self.key_kinds)?;
        }
        Ok(series)
    }

    /// The plan; with the counters of its operators if it has been run.
    pub(super) fn text(&self, has_run: bool) -> String {
        match &self.way {
            Way::Encoded(encoded) => encoded.to_string(),
            Way::General(plan) => plan.text(has_run),
        }
    }
}
