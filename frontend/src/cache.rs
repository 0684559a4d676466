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

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use engine::{EngineError, Fingerprint, Grid, PartialSeries, Placement};
use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared, WeakShared};
use lru::LruCache;
use storage::block::meta::BlockMeta;
use storage::ids::{BlockId, TenantId};

use crate::metrics::CacheMetrics;

/// Most intervals of a state that reaches beyond the window of its query.
const MAX_INTERVALS: u32 = 16_384;
/// A state larger than this share of the cache is not kept: it would drive out too many others.
const LARGEST_SHARE: usize = 8;
/// What a run takes besides its state, about: its key, its row groups, its place in the order of use.
const RUN_BYTES: usize = 512;

/// Keeps states, and knows the jobs that run. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct StateCache {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    capacity_bytes: usize,
    held: Mutex<Held>,
    metrics: CacheMetrics,
}

#[derive(Debug)]
struct Held {
    /// Of each key, runs without a row group in common.
    kept: LruCache<StateKey, Vec<KeptRun>>,
    kept_bytes: usize,
    running: HashMap<StateKey, Vec<RunningRun>>,
    next_ticket: u64,
}

/// What a state depends on, besides its row groups.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct StateKey {
    block: BlockId,
    tenant: TenantId,
    /// Traces that are left out because parts of them lie in other blocks, too.
    without: Option<Fingerprint>,
    query: Fingerprint,
    /// `None` where all spans lie in one interval, so that it does not matter where others end.
    borders: Option<Borders>,
}

/// Where intervals end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Borders {
    step_ns: i64,
    phase_ns: i64,
}

/// Some row groups of a block, ascending, and when the first and the last of their spans start.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Run {
    row_groups: Vec<usize>,
    first_ns: i64,
    last_ns: i64,
}

#[derive(Debug)]
struct KeptRun {
    run: Run,
    state: Arc<PartialSeries>,
    bytes: usize,
}

#[derive(Debug)]
struct RunningRun {
    run: Run,
    ticket: u64,
    job: WeakShared<SharedJob>,
}

type SharedJob = BoxFuture<'static, Result<Arc<PartialSeries>, Arc<EngineError>>>;

/// What a query wants states of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) query: Fingerprint,
    pub(crate) grid: Grid,
    pub(crate) block: &'a BlockMeta,
    pub(crate) without: Option<Fingerprint>,
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
            kept: LruCache::unbounded(),
            kept_bytes: 0,
            running: HashMap::new(),
            next_ticket: 0,
        };
        let inner = Inner {
            capacity_bytes: usize::try_from(capacity_bytes).unwrap_or(usize::MAX),
            held: Mutex::new(held),
            metrics,
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Whether anything is kept or shared.
    pub(crate) fn is_on(&self) -> bool {
        self.inner.capacity_bytes > 0
    }

    /// Forgets all states.
    pub(crate) fn clear(&self) {
        let dropped = {
            let mut held = self.inner.held();
            held.kept_bytes = 0;
            std::mem::replace(&mut held.kept, LruCache::unbounded())
        };
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
        for borders in [None, Some(Borders::of(&wanted.grid))] {
            let key = wanted.key(borders);
            let fits = |run: &Run| {
                let (grid, placement) = own_grid(&wanted.grid, run)?;
                (Borders::between(&grid) == borders).then_some(placement)
            };
            for KeptRun { run, state, .. } in held.kept.get(&key).into_iter().flatten() {
                if let Some(placement) = fits(run)
                    && take(run)
                {
                    cover.kept.push((Arc::clone(state), placement));
                }
            }
            for RunningRun { run, .. } in held.running.get(&key).into_iter().flatten() {
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
    ) -> (Origin, Result<Arc<PartialSeries>, Arc<EngineError>>)
    where
        F: Future<Output = Result<PartialSeries, EngineError>> + Send + 'static,
    {
        let Keepable { key, run, .. } = keepable;
        let (origin, job) = {
            let held = &mut *self.inner.held();
            if let Some(state) = held.kept(key, run) {
                self.inner.metrics.hits.inc();
                return (Origin::Kept, Ok(state));
            }
            match held.running(key, run) {
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
            number: held.next_ticket,
        };
        held.next_ticket += 1;
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
        if let Some(weak) = job.downgrade() {
            let running = held.running.entry(key.clone()).or_default();
            running.push(RunningRun {
                run: run.clone(),
                ticket: number,
                job: weak,
            });
        }
        job
    }
}

impl Inner {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn kept(&mut self, key: &StateKey, run: &Run) -> Option<Arc<PartialSeries>> {
        let kept = self.kept.get(key)?.iter().find(|kept| kept.run == *run)?;
        Some(Arc::clone(&kept.state))
    }

    fn running(&self, key: &StateKey, run: &Run) -> Option<Shared<SharedJob>> {
        let mut running = self.running.get(key)?.iter();
        running.find_map(|running| {
            let same = running.run == *run;
            same.then(|| running.job.upgrade()).flatten()
        })
    }

    /// Keeps a state, and gives back what has to go for it, to be dropped outside of the lock.
    fn keep(&mut self, key: &StateKey, kept: KeptRun, capacity_bytes: usize) -> Vec<Vec<KeptRun>> {
        let mut dropped = Vec::new();
        if kept.bytes > capacity_bytes / LARGEST_SHARE {
            return dropped;
        }
        let runs = self.kept.get_or_insert_mut(key.clone(), Vec::new);
        // Two queries may have cut the block in different ways at the same time.
        if runs.iter().any(|held| held.run.overlaps(&kept.run)) {
            return dropped;
        }
        self.kept_bytes += kept.bytes;
        runs.push(kept);
        while self.kept_bytes > capacity_bytes
            && let Some((_, runs)) = self.kept.pop_lru()
        {
            let bytes: usize = runs.iter().map(|run| run.bytes).sum();
            self.kept_bytes = self.kept_bytes.saturating_sub(bytes);
            dropped.push(runs);
        }
        dropped
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
        let kept = KeptRun {
            bytes: state.memory_bytes()
                + self.run.row_groups.len() * size_of::<usize>()
                + RUN_BYTES,
            run: self.run.clone(),
            state: Arc::clone(state),
        };
        let (dropped, bytes) = {
            let mut held = cache.held();
            let dropped = held.keep(&self.key, kept, cache.capacity_bytes);
            (dropped, held.kept_bytes)
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
        let mut held = cache.held();
        if let Some(running) = held.running.get_mut(&self.key) {
            running.retain(|running| running.ticket != self.number);
            if running.is_empty() {
                held.running.remove(&self.key);
            }
        }
    }
}

impl Wanted<'_> {
    fn key(&self, borders: Option<Borders>) -> StateKey {
        StateKey {
            block: self.block.block_id,
            tenant: self.block.tenant.clone(),
            without: self.without,
            query: self.query,
            borders,
        }
    }
}

impl Borders {
    fn of(grid: &Grid) -> Self {
        Self {
            step_ns: grid.step_ns,
            phase_ns: grid.phase_ns(),
        }
    }

    /// The borders inside a grid.
    fn between(grid: &Grid) -> Option<Self> {
        (grid.intervals > 1).then(|| Self::of(grid))
    }
}

impl Run {
    /// `None` for no row groups, and for some that the catalog does not describe.
    fn of(block: &BlockMeta, row_groups: &[usize]) -> Option<Self> {
        let metas = row_groups.iter().map(|&index| block.row_groups.get(index));
        let metas: Vec<_> = metas.collect::<Option<_>>()?;
        Some(Self {
            row_groups: row_groups.to_vec(),
            first_ns: metas.iter().map(|meta| meta.min_start_ns).min()?,
            last_ns: metas.iter().map(|meta| meta.max_start_ns).max()?,
        })
    }

    fn overlaps(&self, other: &Self) -> bool {
        let mut groups = self.row_groups.iter();
        groups.any(|group| other.row_groups.contains(group))
    }
}

/// The grid over which the state of a run is kept for queries of some grid, and where that stands in
/// theirs. `None` if no interval does, or the state is not worth keeping: instant queries hardly ever
/// have the same borders twice, so only what lies in one interval is kept of them.
fn own_grid(grid: &Grid, run: &Run) -> Option<(Grid, Placement)> {
    let own = grid.covering(run.first_ns, run.last_ns)?;
    let placement = grid.place(&own)?;
    let is_inside = placement.count == own.intervals;
    let is_worth = grid.intervals > 1 && own.intervals <= MAX_INTERVALS;
    (is_inside || is_worth).then_some((own, placement))
}
