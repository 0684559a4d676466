//! Spans shown as examples of what the series of an answer count.

use std::fmt;
use std::pin::pin;
use std::sync::Arc;

use engine::{Exemplar, MAX_EXEMPLARS, MetricsPlan, PartialExemplars, Work};
use futures::StreamExt as _;

use crate::answer::Answer;
use crate::error::QueryError;
use crate::split::JobList;
use crate::stats::QueryStats;
use crate::workers::Workers;

/// How many exemplars an answer gets: as many as the request asks for, unless the query says.
pub(crate) fn exemplar_count(plan: &MetricsPlan, asked: usize) -> usize {
    match asked {
        0 => 0,
        asked => plan.exemplars.unwrap_or(asked).min(MAX_EXEMPLARS),
    }
}

/// The exemplars of each series of an answer, printed as how many there are.
#[derive(Debug)]
pub(crate) struct Chosen<'a>(pub(crate) &'a [Vec<Exemplar>]);

impl fmt::Display for Chosen<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count: usize = self.0.iter().map(Vec::len).sum();
        let series = self.0.iter().filter(|chosen| !chosen.is_empty());
        write!(f, "{count} exemplars of {} series", series.count())
    }
}

/// Adds at most `count` exemplars to an answer, chosen among the spans that some jobs read. Which
/// spans those are is known only after another look at them.
pub(crate) async fn add_exemplars(
    plan: &Arc<MetricsPlan>,
    count: usize,
    jobs: JobList,
    workers: &Workers,
    answer: &mut Answer,
) -> Result<(), QueryError> {
    let grid = answer.series.grid;
    let stats = &mut answer.stats;
    stats.jobs_total += u64::try_from(jobs.0.len()).unwrap_or(u64::MAX);
    let mut merged = PartialExemplars::empty(grid, count, &workers.context);
    let work = Work::Exemplars {
        plan: Arc::clone(plan),
        grid,
        count,
    };
    let slices = jobs.0.into_iter().map(|job| job.slice).collect();
    {
        let mut results = pin!(workers.run_all::<PartialExemplars>(work, slices));
        while let Some(result) = results.next().await {
            let completed = result?;
            stats.jobs_completed += 1;
            stats.jobs_retried += u64::from(completed.retries);
            merged.merge(completed.value)?;
        }
    }
    let mut reads = QueryStats::default();
    reads.set_reads(&workers.context.counters);
    stats.add(&reads);
    answer.exemplars = merged.attach(plan, &answer.series);
    Ok(())
}
