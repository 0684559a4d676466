//! Chooses the exemplars of one slice.

use datafusion::error::Result;
use datafusion::physical_plan::execute_stream;
use futures::TryStreamExt as _;
use traceql::ast::{MetricsAggregate, MetricsStage};

use super::PartialExemplars;
use crate::error::EngineError;
use crate::grid::Grid;
use crate::limit::recover;
use crate::lower::lower_exemplars;
use crate::plan::MetricsPlan;
use crate::scan::{Opened, Scan};

/// At most `count` exemplars of the spans of the slice that start in the grid. Comparisons have none.
pub(crate) async fn run(
    scan: &Scan,
    plan: &MetricsPlan,
    grid: Grid,
    count: usize,
) -> std::result::Result<PartialExemplars, EngineError> {
    let limit = scan.context.limit;
    let none = PartialExemplars::new(grid, count, limit);
    let MetricsStage::Aggregate(aggregate) = &plan.stage else {
        return Ok(none);
    };
    if plan.is_never() {
        return Ok(none);
    }
    let Some(opened) = scan.open().await? else {
        return Ok(none);
    };
    let spans = opened.span_count;
    let chosen = choose(scan, opened, plan, aggregate, grid, none).await;
    let chosen = chosen.map_err(|error| recover(error, limit))?;
    scan.count_spans(spans);
    Ok(chosen)
}

async fn choose(
    scan: &Scan,
    opened: Opened,
    plan: &MetricsPlan,
    aggregate: &MetricsAggregate,
    grid: Grid,
    none: PartialExemplars,
) -> Result<PartialExemplars> {
    let session = &scan.session;
    let lowered = lower_exemplars(plan, aggregate, &grid, opened.block(), scan.context.limit)?;
    let spans = opened.scan(&lowered.columns())?;
    let logical = session.optimize(&lowered.logical_plan(spans)?)?;
    let physical = session.create_physical_plan(&logical).await?;
    let mut spans = execute_stream(physical, scan.task_context()?)?;
    let Some(candidates) = lowered.candidates() else {
        return Ok(none);
    };
    let mut collector = candidates.collector(plan, aggregate, &spans.schema(), session, none)?;
    while let Some(batch) = spans.try_next().await? {
        collector.add(&batch)?;
    }
    Ok(collector.chosen)
}
