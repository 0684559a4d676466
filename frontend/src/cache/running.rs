//! The jobs that run at this moment, for all who want their states.

use std::collections::HashMap;
use std::sync::Arc;

use engine::{EngineError, PartialSeries};
use futures::future::{BoxFuture, Shared, WeakShared};

use super::key::StateKey;
use super::run::Run;

/// A job that several may wait for.
pub(super) type SharedJob = BoxFuture<'static, JobResult>;

/// The state that a job makes. Its error is that of all who wait.
pub(super) type JobResult = Result<Arc<PartialSeries>, Arc<EngineError>>;

/// Jobs by what their states depend on.
#[derive(Debug, Default)]
pub(super) struct RunningJobs {
    jobs: HashMap<StateKey, Vec<RunningJob>>,
    next_number: u64,
}

#[derive(Debug)]
struct RunningJob {
    run: Run,
    number: u64,
    job: WeakShared<SharedJob>,
}

impl RunningJobs {
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// The runs of a key for which jobs run.
    pub(super) fn runs(&self, key: &StateKey) -> impl Iterator<Item = &Run> {
        let jobs = self.jobs.get(key).into_iter().flatten();
        jobs.map(|running| &running.run)
    }

    /// The job for a run, if somebody still waits for it.
    pub(super) fn get(&self, key: &StateKey, run: &Run) -> Option<Shared<SharedJob>> {
        let mut jobs = self.jobs.get(key)?.iter();
        jobs.find_map(|running| {
            let same = running.run == *run;
            same.then(|| running.job.upgrade()).flatten()
        })
    }

    /// A number for a job that will be added, which no other has.
    pub(super) fn next_number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number
    }

    /// Makes a job known to others.
    pub(super) fn add(&mut self, key: &StateKey, run: &Run, number: u64, job: &Shared<SharedJob>) {
        if let Some(job) = job.downgrade() {
            let run = run.clone();
            let jobs = self.jobs.entry(key.clone()).or_default();
            jobs.push(RunningJob { run, number, job });
        }
    }

    /// Forgets a job.
    pub(super) fn remove(&mut self, key: &StateKey, number: u64) {
        if let Some(jobs) = self.jobs.get_mut(key) {
            jobs.retain(|running| running.number != number);
            if jobs.is_empty() {
                self.jobs.remove(key);
            }
        }
    }
}
