//! Jobs that aggregate: states by group, and spans that may be shown.
//!
//! `Aggregate[by labels; range state] ← selected spans`, as one operator over encoded columns where
//! the query and the block allow it.

use std::collections::BTreeSet;

use datafusion::error::{DataFusionError, Result};
use datafusion::execution::SessionState;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use futures::TryStreamExt as _;
use storage::block::meta::BlockMeta;
use traceql::ast::MetricsAggregate;

use super::plan::DataFusionPlan;
use crate::aggregate::StateKind;
use crate::columns::{ROW, column};
use crate::error::EngineError;
use crate::exemplars::Candidates;
use crate::exemplars::chooser::Chooser;
use crate::functions::range_udaf::RangeArguments;
use crate::grid::Grid;
use crate::key::KeyKind;
use crate::limit::{MemoryLimit, recover};
use crate::lower::layout::Layout;
use crate::lower::{LoweredAggregate, Selected};
use crate::partial::Aggregates;
use crate::physical::{EncodedAggregate, RangeAggregateExec, RowChooser};
use crate::plan::MetricsPlan;
use crate::provider::Spans;
use crate::scan::{Opened, Scan};

/// Name of the column of states in the result; the group keys stand before it.
const STATE: &str = "state";

/// An aggregating query lowered for one block.
#[derive(Debug)]
pub(super) struct AggregateJob {
    pub(super) selected: Selected,
    aggregate: LoweredAggregate,
    /// Whether spans are chosen that may be shown.
    chooses: bool,
}

/// The same, planned for one slice of the block.
#[derive(Debug)]
pub(super) struct PlannedAggregate {
    key_kinds: Vec<KeyKind>,
    way: Way,
    chooses: bool,
}

/// How the slice is aggregated.
#[derive(Debug)]
enum Way {
    /// One operator for all.
    Encoded(Box<EncodedAggregate>),
    General(General),
}

/// A plan of DataFusion, over these spans.
#[derive(Debug)]
struct General {
    plan: DataFusionPlan,
    spans: Spans,
    kind: StateKind,
    arguments: RangeArguments,
}

impl AggregateJob {
    /// Lowers a query for a block. If the job `chooses`, it also chooses spans that may be shown.
    ///
    /// # Errors
    /// If an attribute or condition cannot be made an expression.
    pub(super) fn lower(
        plan: &MetricsPlan,
        aggregate: &MetricsAggregate,
        (grid, chooses): (&Grid, bool),
        block: &BlockMeta,
        limit: MemoryLimit,
    ) -> Result<Self> {
        let layout = Layout::spans(block, plan.dialect);
        let aggregate = LoweredAggregate::lower(aggregate, plan.log2_quantiles, &layout)?;
        let row = chooses.then(|| column(ROW));
        let used = aggregate.expressions().chain(&row);
        Ok(Self {
            selected: Selected::lower(plan, grid, &layout, limit, used)?,
            aggregate,
            chooses,
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
                let own = spans.spans().clone();
                let logical = self.logical_plan(spans.scan(&self.columns())?)?;
                Way::General(General {
                    plan: DataFusionPlan::try_new(&logical, session).await?,
                    spans: own,
                    kind: self.aggregate.kind,
                    arguments: self.selected.arguments,
                })
            }
        };
        Ok(PlannedAggregate {
            key_kinds: self.aggregate.key_kinds,
            way,
            chooses: self.chooses,
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
        let row = self.chooses.then(|| column(ROW));
        let state = arguments.call(*kind, time.clone(), value.clone(), row);
        let spans = self.selected.rows(scan)?;
        spans.aggregate(keys, [state.alias(STATE)])?.build()
    }
}

impl PlannedAggregate {
    /// Aggregates the slice into `series`, which has none yet, and chooses spans that may be shown, if
    /// the job does.
    ///
    /// # Errors
    /// If the store fails, the block is damaged, an expression fails on a span, or it takes more
    /// memory than the query may hold.
    pub(super) async fn run(
        &self,
        scan: &Scan,
        mut series: Aggregates,
    ) -> std::result::Result<(Aggregates, Option<Candidates>), EngineError> {
        let recovered = |error| recover(error, scan.context.limit);
        let general = match &self.way {
            Way::Encoded(encoded) => {
                let aggregated = encoded.aggregate(&scan.context.pool, self.chooses).await;
                let (groups, candidates) = aggregated.map_err(recovered)?;
                series.add(groups, &self.key_kinds)?;
                return Ok((series, candidates));
            }
            Way::General(general) => general,
        };
        let task = scan.task_context().map_err(recovered)?;
        let physical = &general.plan.physical;
        if let Some(aggregate) = physical.downcast_ref::<RangeAggregateExec>() {
            let chooser = if self.chooses {
                Some(general.chooser().await.map_err(recovered)?)
            } else {
                None
            };
            let aggregated = aggregate.aggregate(task, chooser).await;
            let (groups, candidates) = aggregated.map_err(recovered)?;
            series.add(groups, &self.key_kinds)?;
            return Ok((series, candidates));
        }
        // Where no span of the block can match, the optimizer has left nothing to aggregate.
        let states = general.plan.stream(&task).map_err(recovered)?;
        let mut states = states.map_err(recovered);
        while let Some(batch) = states.try_next().await? {
            if self.chooses && batch.num_rows() > 0 {
                let message = "nothing chooses spans in this plan".to_owned();
                return Err(EngineError::Internal(DataFusionError::Internal(message)));
            }
            series.add_batch(&batch, &self.key_kinds)?;
        }
        Ok((series, None))
    }

    /// The plan; with the counters of its operators if it has been run.
    pub(super) fn text(&self, has_run: bool) -> String {
        match &self.way {
            Way::Encoded(encoded) => encoded.to_string(),
            Way::General(general) => general.plan.text(has_run),
        }
    }
}

impl General {
    async fn chooser(&self) -> Result<RowChooser> {
        let block = self.spans.block().block_id;
        let chooser = Chooser::new(block, self.kind, &self.arguments);
        RowChooser::try_new(chooser, &self.spans).await
    }
}
