//! Running the jobs of one metrics query, each once, and merging what they come to.

use std::fmt;
use std::pin::pin;
use std::sync::Arc;

use engine::{
    Candidates, EngineError, ErrorKind, Grid, MetricsPlan, PartialSeries, Placement, SeriesSet,
    Slice, Work,
};
use futures::StreamExt as _;

use crate::cache::{Keepable, Origin, StateCache};
use crate::combine::{Finished, Finishing};
use crate::cut::{Cut, Task};
use crate::error::QueryError;
use crate::merge::{Part, merge};
use crate::observe::Observe;
use crate::schedule::run_jobs;
use crate::stats::QueryStats;
use crate::threads::off_reactor;
use crate::workers::Workers;

/// The merged partial series of all jobs.
#[derive(Debug)]
pub(crate) struct Execution {
    merged: PartialSeries,
    stats: QueryStats,
}

/// Runs jobs of one query. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct JobRunner {
    pub(crate) workers: Workers,
    pub(crate) cache: StateCache,
    pub(crate) plan: Arc<MetricsPlan>,
    pub(crate) grid: Grid,
    /// Whether spans are chosen, too, that may be shown beside the series.
    pub(crate) chooses: bool,
}

impl JobRunner {
    /// Runs the jobs and merges what they come to, as it comes, with what is there already.
    /// With `interim` the observer gets to see the answers on the way that it wants.
    pub(crate) async fn execute(
        self,
        cut: Cut,
        mut stats: QueryStats,
        interim: Option<&Finishing>,
        seen: &mut impl Observe,
    ) -> Result<Execution, QueryError> {
        let grid = self.grid;
        let (kept, tasks) = cut.into_tasks(&self.plan, &grid, &self.cache);
        stats.jobs_total = u64::try_from(tasks.len()).unwrap_or(u64::MAX);
        stats.states_kept = u64::try_from(kept.len()).unwrap_or(u64::MAX);
        let merged = PartialSeries::empty(&self.plan, grid, &self.workers.context);
        let mut merged = merge(merged, kept, grid).await?;
        {
            let options = self.workers.options;
            let run = |task: &Task| self.clone().run(task.clone());
            let results =
                run_jobs(tasks, options, run).ready_chunks(options.concurrent_jobs.max(1));
            let mut results = pin!(results);
            while let Some(chunk) = results.next().await {
                let mut parts = Vec::with_capacity(chunk.len());
                for result in chunk {
                    let completed = result?;
                    let (origin, part) = completed.value;
                    match origin {
                        Origin::Own => {}
                        Origin::Kept => stats.states_kept += 1,
                        Origin::Shared => stats.jobs_shared += 1,
                    }
                    stats.jobs_completed += 1;
                    stats.jobs_retried += u64::from(completed.retries);
                    parts.push(part);
                }
                merged = merge(merged, parts, grid).await?;
                if let Some(finishing) = interim
                    && stats.jobs_completed < stats.jobs_total
                    && seen.wants_interim()
                {
                    stats.set_reads(&self.workers.context.counters);
                    let series;
                    (merged, series) = self.series_so_far(merged).await?;
                    // What is too large to be shown on the way may still be an answer.
                    if let Ok(series) = series {
                        let mut finished = Finished::default();
                        finished.add((series, stats.clone()));
                        seen.interim(finished.combine(finishing, grid).await?).await;
                    }
                }
            }
        }
        stats.set_reads(&self.workers.context.counters);
        Ok(Execution { merged, stats })
    }

    /// The series that there would be if no more were merged, or why they cannot be shown, beside what
    /// more is merged with.
    async fn series_so_far(
        &self,
        merged: PartialSeries,
    ) -> Result<(PartialSeries, Result<SeriesSet, EngineError>), QueryError> {
        let (plan, grid) = (Arc::clone(&self.plan), self.grid);
        let mut copy = PartialSeries::empty(&plan, grid, &self.workers.context);
        let finish = move || {
            let everywhere = Placement {
                from: 0,
                count: grid.intervals,
                at: 0,
            };
            let copied = copy.merge_part(&merged, everywhere);
            let series = copied.and_then(|()| copy.finish(&plan));
            (merged, series)
        };
        off_reactor(finish).await
    }

    async fn run(self, task: Task) -> Result<(Origin, Part), EngineError> {
        let slice = task.job.slice;
        let Some(keepable) = task.keepable else {
            return self.run_alone(slice).await;
        };
        let own_grid = keepable.grid;
        let job = || self.clone().run_over(slice.clone(), own_grid);
        let (origin, state) = self.cache.state(&keepable, job).await;
        match state {
            Ok(state) => Ok((origin, Part::Shared(state, keepable.placement))),
            Err(error) if must_run_alone(error.kind(), origin, &keepable) => {
                self.run_alone(slice).await
            }
            Err(error) => Err(EngineError::of_shared(&error)),
        }
    }

    /// The state of the query's own window.
    async fn run_alone(self, slice: Slice) -> Result<(Origin, Part), EngineError> {
        let grid = self.grid;
        let state = self.run_over(slice, grid).await?;
        Ok((Origin::Own, Part::Own(Box::new(state))))
    }

    async fn run_over(self, slice: Slice, grid: Grid) -> Result<PartialSeries, EngineError> {
        let work = Work::Series {
            plan: self.plan,
            grid,
            chooses: self.chooses,
        };
        self.workers.run_once(work, slice).await
    }
}

/// Whether an error may be none of the query: it came of spans outside its window, or of memory that
/// those took, or that another query could not have.
fn must_run_alone(kind: ErrorKind, origin: Origin, keepable: &Keepable) -> bool {
    let reaches_beyond = keepable.placement.count != keepable.grid.intervals;
    match kind {
        ErrorKind::Execution => reaches_beyond,
        ErrorKind::LimitExceeded => reaches_beyond || origin == Origin::Shared,
        _ => false,
    }
}

impl Execution {
    /// Takes the spans that may be shown beside the series, if there are any.
    pub(crate) fn take_candidates(&mut self) -> Option<Candidates> {
        self.merged.take_candidates()
    }

    /// Makes the series of the query, and says what that took.
    pub(crate) async fn finish(
        self,
        plan: &Arc<MetricsPlan>,
    ) -> Result<(SeriesSet, QueryStats), QueryError> {
        let plan = Arc::clone(plan);
        let series = off_reactor(move || self.merged.finish(&plan)).await??;
        Ok((series, self.stats))
    }
}

impl fmt::Display for Execution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} groups\n  {}", self.merged.group_count(), self.stats)
    }
}
