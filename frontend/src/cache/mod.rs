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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use engine::{MetricsPlan, QueryContext, SeriesPlan};
    use futures::channel::oneshot;
    use prometheus::Registry;
    use storage::block::meta::{RowGroupMeta, TraceIdFilter};
    use ulid::Ulid;

    use super::*;
    use crate::metrics::Metrics;

    fn cache(capacity_bytes: u64) -> StateCache {
        let metrics = Metrics::register(&Registry::new()).unwrap();
        StateCache::new(capacity_bytes, metrics.cache)
    }

    /// A block of row groups of these times.
    fn block(number: u128, row_groups: &[(i64, i64)]) -> BlockMeta {
        let group = |&(min_start_ns, max_start_ns): &(i64, i64)| RowGroupMeta {
            row_count: 1,
            min_start_ns,
            max_start_ns,
        };
        BlockMeta {
            format_version: 1,
            block_id: BlockId(Ulid(number)),
            tenant: TenantId::single(),
            row_count: row_groups.len() as u64,
            trace_count: 1,
            min_start_ns: row_groups.iter().map(|times| times.0).min().unwrap(),
            max_start_ns: row_groups.iter().map(|times| times.1).max().unwrap(),
            max_end_ns: 0,
            file: None,
            row_groups: row_groups.iter().map(group).collect(),
            columns: Vec::new(),
            attributes: Vec::new(),
            attributes_complete: true,
            services: None,
            trace_ids: TraceIdFilter { bits: Vec::new() },
        }
    }

    fn plan() -> Arc<MetricsPlan> {
        let query = traceql::compile("{} | rate()").unwrap();
        Arc::clone(&SeriesPlan::analyse(&query).unwrap().operands()[0])
    }

    fn grid(first_ns: i64, last_ns: i64, step_ns: i64) -> Grid {
        Grid::of_samples(first_ns, last_ns, step_ns).unwrap()
    }

    fn wanted(block: &BlockMeta, grid: Grid) -> Wanted<'_> {
        Wanted {
            query: plan().fingerprint,
            grid,
            block,
            without: None,
        }
    }

    fn state() -> PartialSeries {
        PartialSeries::empty(&plan(), grid(1, 1, 1), &QueryContext::new(1 << 20, "k"))
    }

    async fn keep(cache: &StateCache, wanted: &Wanted<'_>, row_groups: &[usize]) -> Origin {
        let keepable = cache.keepable(wanted, row_groups).unwrap();
        let (origin, result) = cache.state(&keepable, || async { Ok(state()) }).await;
        result.unwrap();
        origin
    }

    #[tokio::test]
    async fn a_moved_window_finds_what_it_needs() {
        let cache = cache(1 << 20);
        let block = block(1, &[(11, 19), (15, 32), (31, 49), (50, 60)]);
        let now = wanted(&block, grid(10, 60, 10));
        assert_eq!(keep(&cache, &now, &[1, 2]).await, Origin::Own);
        assert_eq!(keep(&cache, &now, &[1, 2]).await, Origin::Kept);

        let cover = cache.cover(&now, &[0, 1, 2, 3]);
        assert_eq!((cover.kept.len(), cover.rest), (1, vec![0, 3]));
        assert_eq!(
            cover.kept[0].1,
            Placement {
                from: 0,
                count: 4,
                at: 1
            }
        );

        // Row group 1 is before the window.
        let later = wanted(&block, grid(50, 90, 10));
        let cover = cache.cover(&later, &[2, 3]);
        assert_eq!((cover.kept.len(), cover.rest), (1, vec![3]));
        assert_eq!(
            cover.kept[0].1,
            Placement {
                from: 3,
                count: 1,
                at: 0
            }
        );

        // Other borders, another query, other traces left out.
        let others = [
            wanted(&block, grid(11, 61, 10)),
            wanted(&block, grid(10, 60, 5)),
            Wanted {
                without: Some(plan().fingerprint),
                ..now
            },
        ];
        for other in others {
            assert!(cache.cover(&other, &[1, 2]).kept.is_empty());
        }
        cache.clear();
        assert!(cache.cover(&now, &[1, 2]).kept.is_empty());
    }

    #[tokio::test]
    async fn what_lies_in_one_interval_is_kept_whatever_the_borders() {
        let cache = cache(1 << 20);
        let block = block(1, &[(11, 19), (15, 32)]);
        let instant = |first, last| wanted(&block, Grid::instant(first, last).unwrap());
        keep(&cache, &instant(10, 33), &[0, 1]).await;
        for (first, last, kept) in [(10, 32, 1), (0, 99, 1), (11, 32, 0), (10, 31, 0)] {
            let cover = cache.cover(&instant(first, last), &[0, 1]);
            assert_eq!(cover.kept.len(), kept, "{first} {last}");
        }
        // Part of the block, in a window that hardly ever comes again.
        assert!(cache.keepable(&instant(11, 32), &[0, 1]).is_none());
        let range = wanted(&block, grid(0, 80, 40));
        assert_eq!(cache.cover(&range, &[0]).kept.len(), 1);
        let range = wanted(&block, grid(0, 80, 20));
        assert_eq!(cache.cover(&range, &[0]).kept.len(), 0);
    }

    #[tokio::test]
    async fn runs_of_a_block_never_overlap() {
        let cache = cache(1 << 20);
        let block = block(1, &[(11, 19), (15, 32), (31, 49)]);
        let wanted = wanted(&block, grid(10, 60, 10));
        keep(&cache, &wanted, &[0, 1]).await;
        keep(&cache, &wanted, &[1, 2]).await;
        let cover = cache.cover(&wanted, &[0, 1, 2]);
        assert_eq!((cover.kept.len(), cover.rest), (1, vec![2]));
    }

    #[tokio::test]
    async fn the_least_recently_used_goes_first_and_bytes_are_bounded() {
        let one = state().memory_bytes() + RUN_BYTES + size_of::<usize>();
        let cache = cache(10 * one as u64);
        let blocks: Vec<_> = (0..12).map(|number| block(number, &[(1, 2)])).collect();
        let grid = grid(10, 60, 10);
        for (number, block) in blocks.iter().enumerate() {
            keep(&cache, &wanted(block, grid), &[0]).await;
            // The first is in use all the time.
            assert_eq!(cache.cover(&wanted(&blocks[0], grid), &[0]).kept.len(), 1);
            let bytes = cache.inner.metrics.bytes.get();
            assert_eq!(usize::try_from(bytes), Ok((number + 1).min(10) * one));
        }
        let is_kept = |block| cache.cover(&wanted(block, grid), &[0]).kept.len() == 1;
        let kept: Vec<bool> = blocks.iter().map(is_kept).collect();
        assert_eq!(kept[..4], [true, false, false, true]);
        assert!(kept[4..].iter().all(|&kept| kept));
        assert_eq!(cache.inner.metrics.evictions.get(), 2);
    }

    #[tokio::test]
    async fn a_cache_of_no_bytes_is_none_and_one_state_may_not_fill_one() {
        let block = block(1, &[(1, 2)]);
        let wanted = wanted(&block, grid(10, 60, 10));
        let none = cache(0);
        assert!(none.keepable(&wanted, &[0]).is_none());
        assert_eq!(none.cover(&wanted, &[0]).rest, [0]);
        let small = cache(7 * (state().memory_bytes() + RUN_BYTES) as u64);
        keep(&small, &wanted, &[0]).await;
        assert!(small.cover(&wanted, &[0]).kept.is_empty());
    }

    #[tokio::test]
    async fn a_job_runs_once_for_all_who_wait_and_no_longer_than_they_do() {
        let cache = cache(1 << 20);
        let block = block(1, &[(11, 19), (15, 32)]);
        let wanted = wanted(&block, grid(10, 60, 10));
        let keepable = cache.keepable(&wanted, &[0]).unwrap();
        let started = AtomicUsize::new(0);
        let wait = |end: oneshot::Receiver<Result<(), EngineError>>| {
            let (keepable, cache, started) = (keepable.clone(), cache.clone(), &started);
            Box::pin(async move {
                let job = || {
                    started.fetch_add(1, Ordering::SeqCst);
                    async move { end.await.unwrap().map(|()| state()) }
                };
                cache.state(&keepable, job).await
            })
        };
        let ends = || oneshot::channel::<Result<(), EngineError>>();

        // The one who started it leaves, and it goes on.
        let ((end, first_end), (_unused, second_end)) = (ends(), ends());
        let (mut first, mut second) = (wait(first_end), wait(second_end));
        assert!(futures::poll!(&mut first).is_pending());
        assert!(futures::poll!(&mut second).is_pending());
        assert_eq!(cache.cover(&wanted, &[0, 1]).running, [vec![0]]);
        drop(first);
        assert!(!end.is_canceled());
        end.send(Err(EngineError::NotMetrics)).unwrap();
        let (origin, result) = second.await;
        assert_eq!(origin, Origin::Shared);
        assert!(matches!(*result.unwrap_err(), EngineError::NotMetrics));
        assert_eq!(started.load(Ordering::SeqCst), 1);

        // Errors are not kept. All leave, and the job is dropped.
        let ((end, first_end), (_unused, second_end)) = (ends(), ends());
        let (mut first, mut second) = (wait(first_end), wait(second_end));
        assert!(futures::poll!(&mut first).is_pending());
        assert!(futures::poll!(&mut second).is_pending());
        assert_eq!(started.load(Ordering::SeqCst), 2);
        drop((first, second));
        assert!(end.is_canceled());
        let cover = cache.cover(&wanted, &[0, 1]);
        assert_eq!((cover.running.len(), cover.rest), (0, vec![0, 1]));
        assert!(cache.inner.held().running.is_empty());

        // So the next one starts it anew.
        let (end, first_end) = ends();
        end.send(Ok(())).unwrap();
        assert_eq!(wait(first_end).await.0, Origin::Own);
        let (_unused, first_end) = ends();
        assert_eq!(wait(first_end).await.0, Origin::Kept);
        assert_eq!(started.load(Ordering::SeqCst), 3);
    }
}
