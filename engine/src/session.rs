//! What DataFusion is told of the plans of jobs: settings, and the rules that may change them, in order.

use std::sync::Arc;

use datafusion::execution::{SessionState, SessionStateBuilder};
use datafusion::optimizer::OptimizerRule;
use datafusion::optimizer::common_subexpr_eliminate::CommonSubexprEliminate;
use datafusion::optimizer::eliminate_filter::EliminateFilter;
use datafusion::optimizer::optimize_projections::OptimizeProjections;
use datafusion::optimizer::propagate_empty_relation::PropagateEmptyRelation;
use datafusion::optimizer::push_down_filter::PushDownFilter;
use datafusion::optimizer::simplify_expressions::SimplifyExpressions;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::combine_partial_final_agg::CombinePartialFinalAggregate;
use datafusion::physical_optimizer::ensure_coop::EnsureCooperative;
use datafusion::physical_optimizer::filter_pushdown::FilterPushdown;
use datafusion::physical_optimizer::projection_pushdown::ProjectionPushdown;
use datafusion::physical_optimizer::sanity_checker::SanityCheckPlan;
use datafusion::prelude::SessionConfig;

use crate::physical::UseRangeAggregate;
use crate::spanset::node::SpansetQueryPlanner;

/// Rows per batch: large enough that the work per batch is small against the work per row, and small
/// enough that the columns of a batch stay in a core's cache until they are used.
const BATCH_ROWS: usize = 8192;

/// The session of all jobs of an engine.
pub(crate) fn of_jobs() -> SessionState {
    let mut config = SessionConfig::new()
        .with_batch_size(BATCH_ROWS)
        // Jobs are the unit of parallelism; within a job everything runs in one stream.
        .with_target_partitions(1)
        .with_collect_statistics(false);
    let options = config.options_mut();
    options.execution.parquet.pushdown_filters = false;
    // A state per row instead of a state per group would be rows times intervals.
    options
        .execution
        .skip_partial_aggregation_probe_ratio_threshold = 1.0;
    SessionStateBuilder::new()
        .with_config(config)
        .with_default_features()
        .with_query_planner(Arc::new(SpansetQueryPlanner))
        .with_optimizer_rules(logical_rules())
        .with_physical_optimizer_rules(physical_rules())
        .build()
}

/// The rules that can change the logical plan of a job. It has no join, subquery, sort or limit, and
/// the rules for those take a large part of planning only to find nothing.
fn logical_rules() -> Vec<Arc<dyn OptimizerRule + Send + Sync>> {
    vec![
        Arc::new(SimplifyExpressions::new()),
        Arc::new(EliminateFilter::new()),
        Arc::new(PropagateEmptyRelation::new()),
        Arc::new(PushDownFilter::new()),
        Arc::new(CommonSubexprEliminate::new()),
        Arc::new(OptimizeProjections::new()),
    ]
}

/// The rules that can change the physical plan of a job, which runs in one partition.
fn physical_rules() -> Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> {
    vec![
        Arc::new(FilterPushdown::new()),
        Arc::new(CombinePartialFinalAggregate::new()),
        Arc::new(UseRangeAggregate),
        Arc::new(ProjectionPushdown::new()),
        Arc::new(EnsureCooperative::new()),
        Arc::new(SanityCheckPlan::new()),
    ]
}
