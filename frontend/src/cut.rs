//! What there is to do for a metrics query: states that are kept, and jobs for the rest.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use engine::{Fingerprint, Grid, MetricsPlan, Slice};
use storage::ids::BlockId;

use crate::cache::{Keepable, StateCache, Wanted};
use crate::joins::Joins;
use crate::merge::Part;
use crate::split::{Job, JobList, SplitOptions, split};
use crate::survivors::Survivors;

/// What there is to do for a metrics query.
#[derive(Debug)]
pub(crate) struct Cut {
    /// States of earlier jobs, which answer for some row groups.
    kept: Vec<Part>,
    /// Jobs for the row groups and live blocks that are left.
    pub(crate) jobs: JobList,
    /// The traces that are left out of blocks.
    without: HashMap<BlockId, Fingerprint>,
    /// Whether states have spans that may be shown.
    chooses: bool,
}

/// A job, and how its state is kept if it can be.
#[derive(Debug, Clone)]
pub(crate) struct Task {
    pub(crate) job: Job,
    /// Where the state of the job is kept.
    pub(crate) keepable: Option<Keepable>,
}

impl Cut {
    /// Cuts what no kept state answers into jobs.
    pub(crate) fn new(
        plan: &MetricsPlan,
        (grid, chooses): (&Grid, bool),
        survivors: &Survivors,
        joins: &Joins<'_>,
        cache: &StateCache,
        options: &SplitOptions,
    ) -> Self {
        let mut kept = Vec::new();
        let mut stored = Vec::with_capacity(survivors.stored.len());
        let mut running = Vec::new();
        let mut without = HashMap::new();
        for (block, row_groups) in &survivors.stored {
            let left_out = joins.left_out_of(block.block_id);
            without.extend(left_out.map(|traces| (block.block_id, traces)));
            let wanted = Wanted {
                query: plan.fingerprint,
                grid: *grid,
                block,
                without: left_out,
                chooses,
            };
            let cover = cache.cover(&wanted, row_groups);
            let shared = |(state, placement)| Part::Shared(state, placement);
            kept.extend(cover.kept.into_iter().map(shared));
            let of_block = |row_groups| (Arc::clone(block), row_groups);
            running.extend(cover.running.into_iter().map(of_block));
            if !cover.rest.is_empty() || row_groups.is_empty() {
                stored.push(of_block(cover.rest));
            }
        }
        let jobs = split(plan, grid, &stored, &running, &survivors.live, options);
        Self {
            kept,
            jobs: joins.with(jobs),
            without,
            chooses,
        }
    }

    /// The states that are there already, and what has to be run.
    pub(crate) fn into_tasks(
        self,
        plan: &MetricsPlan,
        grid: &Grid,
        cache: &StateCache,
    ) -> (Vec<Part>, Vec<Task>) {
        let mut tasks = Vec::with_capacity(self.jobs.0.len());
        for job in &self.jobs.0 {
            tasks.push(Task {
                job: job.clone(),
                keepable: self.keepable(plan, grid, &job.slice, cache),
            });
        }
        (self.kept, tasks)
    }

    /// How the state of a slice is kept. That of live spans is not, nor that of traces that lie in
    /// several blocks.
    fn keepable(
        &self,
        plan: &MetricsPlan,
        grid: &Grid,
        slice: &Slice,
        cache: &StateCache,
    ) -> Option<Keepable> {
        match slice {
            Slice::Stored { block, row_groups } => {
                let wanted = Wanted {
                    query: plan.fingerprint,
                    grid: *grid,
                    block,
                    without: self.without.get(&block.block_id).copied(),
                    chooses: self.chooses,
                };
                cache.keepable(&wanted, row_groups)
            }
            Slice::Rest { slice, .. } => self.keepable(plan, grid, slice, cache),
            Slice::Live(_) | Slice::Pieces(_) => None,
        }
    }
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} states kept", self.kept.len())
    }
}
