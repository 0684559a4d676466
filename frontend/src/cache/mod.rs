//! Partial states that are kept, and jobs that several queries wait for.
//!
//! Blocks never change, so what some row groups of a block come to, a *run*, stays true for ever. Kept
//! is the state of all of their spans, whatever the window of the query was that ran the job: over the
//! smallest grid that holds them and has its borders where the query has its own. The next query takes
//! of it the intervals that lie in its window. So a dashboard that is refreshed costs what is new.
//!
//! A state is found by everything that it depends on, see [`StateKey`], and by its row groups. Queries
//! cut blocks into runs in different ways, so [`StateCache::cover`] is asked first which runs of a block
//! there are, and only what they leave is cut into jobs.
//!
//! A job that is wanted again while it runs is not run again. It goes on for as long as someone waits
//! for it. Its errors are everyone's, and are not kept.

mod kept;
mod key;
mod run;
mod running;
#[cfg(test)]
mod tests;

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use engine::{EngineError, Grid, PartialSeries, Placement};
use futures::FutureExt as _;
use futures::future::Shared;

use self::kept::{KeptRun, KeptStates};
pub(crate) use self::key::Wanted;
use self::key::{Borders, StateKey};
use self::run::{Run, own_grid};
use self::running::{JobResult, RunningJobs, SharedJob};
use crate::metrics::CacheMetrics;

/// Keeps states, and knows the jobs that run. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct StateCache {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// Whether anything is kept or shared.
    is_on: bool,
    held: Mutex<Held>,
    metrics: CacheMetrics,
}

#[derive(Debug)]
struct Held {
    kept: KeptStates,
    running: RunningJobs,
}

/// How some row groups of a block are answered for.
#[derive(Debug, Default)]
pub(crate) struct Cover {
    /// By states, and where these count.
    pub(crate) kept: Vec<(Arc<PartialSeries>, Placement)>,
    /// By jobs that run at this moment: their row groups.
    pub(crate) running: Vec<Vec<usize>>,
    /// Not yet.
    pub(crate) rest: Vec<usize>,
}

/// A run whose state can be kept.
#[derive(Debug, Clone)]
pub(crate) struct Keepable {
    key: StateKey,
    run: Run,
    /// The grid of the state.
    pub(crate) grid: Grid,
    /// Where it counts.
    pub(crate) placement: Placement,
}

/// Where a state came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// It was there.
    Kept,
    /// A job of another query, which ran already.
    Shared,
    /// A job of one's own.
    Own,
}

impl StateCache {
    /// A cache of so many bytes; 0 for none at all.
    pub(crate) fn new(capacity_bytes: u64, metrics: CacheMetrics) -> Self {
        let held = Held {
            kept: KeptStates::new(usize::try_from(capacity_bytes).unwrap_or(usize::MAX)),
            running: RunningJobs::default(),
        };
        let inner = Inner {
            is_on: capacity_bytes > 0,
            held: Mutex::new(held),
            metrics,
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Whether anything is kept or shared.
    pub(crate) fn is_on(&self) -> bool {
        self.inner.is_on
    }

    /// Forgets all states.
    pub(crate) fn clear(&self) {
        let dropped = self.inner.held().kept.clear();
        drop(dropped);
        self.inner.metrics.bytes.set(0);
    }

    /// Finds states for some row groups, or jobs that will have them.
    pub(crate) fn cover(&self, wanted: &Wanted<'_>, row_groups: &[usize]) -> Cover {
        let mut cover = Cover::default();
        if !self.is_on() {
            cover.rest = row_groups.to_vec();
            return cover;
        }
        let mut taken: Vec<usize> = Vec::new();
        let mut take = |run: &Run| {
            let wanted = run
                .row_groups
                .iter()
                .any(|group| row_groups.contains(group));
            let free = run.row_groups.iter().all(|group| !taken.contains(group));
            if wanted && free {
                taken.extend(&run.row_groups);
            }
            wanted && free
        };
        let held = &mut *self.inner.held();
        let borders = [None, Some(Borders::of(&wanted.grid))];
        let keys = |borders| wanted.keys(borders).map(move |key| (borders, key));
        for (borders, key) in borders.into_iter().flat_map(keys) {
            let fits = |run: &Run| {
                let (grid, placement) = own_grid(&wanted.grid, run)?;
                (Borders::between(&grid) == borders).then_some(placement)
            };
            for KeptRun { run, state, .. } in held.kept.runs(&key) {
                if let Some(placement) = fits(run)
                    && take(run)
                {
                    cover.kept.push((Arc::clone(state), placement));
                }
            }
            for run in held.running.runs(&key) {
                if fits(run).is_some() && take(run) {
                    cover.running.push(run.row_groups.clone());
                }
            }
        }
        let rest = row_groups.iter().filter(|group| !taken.contains(group));
        cover.rest = rest.copied().collect();
        self.inner.metrics.hits.inc_by(cover.kept.len() as u64);
        cover
    }

    /// How the state of these row groups is kept, if it can be.
    pub(crate) fn keepable(&self, wanted: &Wanted<'_>, row_groups: &[usize]) -> Option<Keepable> {
        if !self.is_on() {
            return None;
        }
        let run = Run::of(wanted.block, row_groups)?;
        let (grid, placement) = own_grid(&wanted.grid, &run)?;
        Some(Keepable {
            key: wanted.key(Borders::between(&grid)),
            run,
            grid,
            placement,
        })
    }

    /// The state of a run: the one that is kept, or that of a job, which is kept from then on. Where
    /// such a job runs already, its state, and `job` is not called.
    ///
    /// Dropping the future stops the job, unless somebody else waits for it.
    pub(crate) async fn state<F>(
        &self,
        keepable: &Keepable,
        job: impl FnOnce() -> F,
    ) -> (Origin, JobResult)
    where
        F: Future<Output = Result<PartialSeries, EngineError>> + Send + 'static,
    {
        let Keepable { key, run, .. } = keepable;
        let (origin, job) = {
            let held = &mut *self.inner.held();
            if let Some(state) = held.kept.get(key, run) {
                self.inner.metrics.hits.inc();
                return (Origin::Kept, Ok(state));
            }
            match held.running.get(key, run) {
                Some(job) => (Origin::Shared, job),
                None => (Origin::Own, self.start(held, key, run, job())),
            }
        };
        let counter = match origin {
            Origin::Shared => &self.inner.metrics.shared,
            Origin::Kept | Origin::Own => &self.inner.metrics.misses,
        };
        counter.inc();
        (origin, job.await)
    }

    /// Makes a job known to others.
    fn start(
        &self,
        held: &mut Held,
        key: &StateKey,
        run: &Run,
        job: impl Future<Output = Result<PartialSeries, EngineError>> + Send + 'static,
    ) -> Shared<SharedJob> {
        let ticket = Ticket {
            cache: Arc::downgrade(&self.inner),
            key: key.clone(),
            run: run.clone(),
            number: held.running.next_number(),
        };
        let number = ticket.number;
        let job: SharedJob = async move {
            // Dropped with the job, whether that comes to its end or not.
            let ticket = ticket;
            let state = Arc::new(job.await.map_err(Arc::new)?);
            ticket.keep(&state);
            Ok(state)
        }
        .boxed();
        let job = job.shared();
        held.running.add(key, run, number, &job);
        job
    }
}

impl Inner {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running job's entry in the cache.
struct Ticket {
    cache: Weak<Inner>,
    key: StateKey,
    run: Run,
    number: u64,
}

impl Ticket {
    fn keep(&self, state: &Arc<PartialSeries>) {
        let Some(cache) = self.cache.upgrade() else {
            return;
        };
        let kept = KeptRun::new(self.run.clone(), Arc::clone(state));
        let (dropped, bytes) = {
            let mut held = cache.held();
            let dropped = held.kept.keep(&self.key, kept);
            (dropped, held.kept.bytes())
        };
        let evicted: usize = dropped.iter().map(Vec::len).sum();
        cache.metrics.evictions.inc_by(evicted as u64);
        cache
            .metrics
            .bytes
            .set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let Some(cache) = self.cache.upgrade() else {
            return;
        };
        cache.held().running.remove(&self.key, self.number);
    }
}
