//! A job as a plan of DataFusion.

use std::sync::Arc;

use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, SessionState, TaskContext};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::display::DisplayableExecutionPlan;
use datafusion::physical_plan::{ExecutionPlan, displayable, execute_stream};

/// A plan that any slice can be read by.
#[derive(Debug)]
pub(super) struct DataFusionPlan {
    /// The optimized logical plan, printed.
    logical: String,
    pub(super) physical: Arc<dyn ExecutionPlan>,
}

impl DataFusionPlan {
    /// Optimizes a plan and makes it one that runs.
    ///
    /// # Errors
    /// If a rule fails, or an expression has no type.
    pub(super) async fn try_new(logical: &LogicalPlan, session: &SessionState) -> Result<Self> {
        let logical = session.optimize(logical)?;
        Ok(Self {
            logical: logical.display_indent().to_string(),
            physical: session.create_physical_plan(&logical).await?,
        })
    }

    /// What the plan comes to, as batches.
    ///
    /// # Errors
    /// If it cannot be started.
    pub(super) fn stream(&self, task: &Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        execute_stream(Arc::clone(&self.physical), Arc::clone(task))
    }

    /// The logical plan, then the physical one, with its counters if it has been run.
    pub(super) fn text(&self, has_run: bool) -> String {
        let physical = self.physical.as_ref();
        let physical = if has_run {
            DisplayableExecutionPlan::with_metrics(physical)
                .indent(false)
                .to_string()
        } else {
            displayable(physical).indent(false).to_string()
        };
        format!("{}\n{physical}", self.logical)
    }
}
