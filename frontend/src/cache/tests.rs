use std::sync::atomic::{AtomicUsize, Ordering};

use engine::{MetricsPlan, QueryContext, SeriesPlan};
use futures::channel::oneshot;
use prometheus::Registry;
use storage::block::meta::{BlockMeta, RowGroupMeta};
use storage::ids::{BlockId, TenantId};
use ulid::Ulid;

use super::kept::RUN_BYTES;
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
        trace_id_filter: None,
        made_of: Vec::new(),
        partition: None,
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
        chooses: false,
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
