//! Blocks are merged and swept, whatever fails on the way: no span is lost, none is there twice, and in the
//! end the store holds what the catalog names and nothing else.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::TryStreamExt as _;
use futures::stream::{self, BoxStream, StreamExt as _};
use hashbrown::HashSet;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use storage::block::meta::BlockMeta;
use storage::block::{ReadBack, WriteOptions, decode, read_block, store_block, write_parquet};
use storage::catalog::Edit;
use storage::compaction::policy::Reason;
use storage::compaction::workers::Workers;
use storage::ids::{TenantId, TraceId};
use storage::maintenance::compactor::Compactor;
use storage::maintenance::{retention, sweep};
use storage::model::{Span, SpanGroup};
use storage::snapshot::Times;
use storage::{StorageError, StoredBlocks, layout};

use crate::common::{block, contents, group, open, prefix, random, span, trace_id};

const HOUR_NS: i64 = 3_600_000_000_000;
/// A day after the windows of all spans.
const NOW_NS: i64 = 26 * HOUR_NS;

/// A store whose process is killed: after some operations that change it, all operations fail.
#[derive(Debug)]
struct Killed {
    inner: Arc<InMemory>,
    left: AtomicUsize,
    /// Whether the last change is made before it fails.
    is_made: bool,
}

impl Killed {
    fn error() -> object_store::Error {
        object_store::Error::Generic {
            store: "Killed",
            source: "connection reset".into(),
        }
    }

    fn is_dead(&self) -> bool {
        self.left.load(Ordering::SeqCst) == 0
    }

    /// Counts a change. Says whether it is made, and whether it is answered.
    fn change(&self) -> (bool, bool) {
        let before = self
            .left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1));
        match before {
            Ok(1) => (self.is_made, false),
            Ok(_) => (true, true),
            Err(_) => (false, false),
        }
    }
}

impl fmt::Display for Killed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Killed")
    }
}

#[async_trait]
impl ObjectStore for Killed {
    async fn put_opts(
        &self,
        at: &Path,
        data: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let (is_made, is_answered) = self.change();
        if !is_made {
            return Err(Self::error());
        }
        let done = self.inner.put_opts(at, data, options).await;
        if is_answered {
            done
        } else {
            Err(Self::error())
        }
    }

    async fn put_multipart_opts(
        &self,
        at: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(at, options).await
    }

    async fn get_opts(&self, at: &Path, options: GetOptions) -> Result<GetResult> {
        match self.is_dead() {
            true => Err(Self::error()),
            false => self.inner.get_opts(at, options).await,
        }
    }

    async fn get_ranges(&self, at: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        match self.is_dead() {
            true => Err(Self::error()),
            false => self.inner.get_ranges(at, ranges).await,
        }
    }

    fn delete_stream(
        &self,
        paths: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let (is_made, is_answered) = self.change();
        if !is_made {
            return stream::once(async { Err(Self::error()) }).boxed();
        }
        let deleted = self.inner.delete_stream(paths);
        match is_answered {
            true => deleted,
            false => deleted.map(|_| Err(Self::error())).boxed(),
        }
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

async fn put(store: &Arc<dyn ObjectStore>, spans: Vec<Span>) -> Arc<BlockMeta> {
    let written = write_parquet(&block(&[group("a", spans)]), &WriteOptions::default()).unwrap();
    let meta = store_block(store, &prefix(), written, ReadBack::Verify).await;
    meta.unwrap()
}

fn stored_blocks(store: &Arc<dyn ObjectStore>) -> Arc<StoredBlocks> {
    Arc::new(StoredBlocks::new(Arc::clone(store), prefix(), random()))
}

async fn compactor(store: &Arc<dyn ObjectStore>) -> Result<Compactor, StorageError> {
    let stored = stored_blocks(store);
    Ok(Compactor {
        catalog: stored.catalog(&TenantId::single()).await?,
        store: Arc::clone(store),
        prefix: prefix(),
        random: random(),
        max_block_bytes: 256 << 20,
        workers: Workers::start(1)?,
    })
}

/// Does all jobs that are due. The number of them.
async fn compact(store: &Arc<dyn ObjectStore>) -> Result<usize, StorageError> {
    let compactor = compactor(store).await?;
    let mut done = 0;
    loop {
        let (jobs, blocks) = compactor.due(&Times::ALL.spans, NOW_NS).await?;
        if jobs.is_empty() {
            return Ok(done);
        }
        for job in jobs {
            compactor.run(job, &blocks).await?;
            done += 1;
        }
    }
}

async fn live(store: &Arc<dyn ObjectStore>) -> Vec<Arc<BlockMeta>> {
    let stored = stored_blocks(store);
    let catalog = stored.catalog(&TenantId::single()).await.unwrap();
    let root = catalog.newest().await.unwrap();
    catalog.blocks(&root, &Times::ALL.spans).await.unwrap()
}

/// All spans that the catalog names, and how many rows they are.
async fn all(store: &Arc<dyn ObjectStore>) -> (Vec<String>, u64) {
    let mut groups: Vec<SpanGroup> = Vec::new();
    let mut rows = 0;
    for meta in live(store).await {
        let read = read_block(&open(store, &meta)).await.unwrap();
        groups.extend(decode(&read).unwrap());
        rows += meta.row_count;
    }
    (contents(&groups), rows)
}

/// Sweeps a store as a server does in time. What is then in it must be what the catalog names.
async fn sweep_all(store: &Arc<dyn ObjectStore>) {
    let stored = stored_blocks(store);
    let catalog = stored.catalog(&TenantId::single()).await.unwrap();
    let newest = catalog.newest().await.unwrap();
    let removed_at = newest.removed.iter().map(|removed| removed.at_ms).max();
    let later = removed_at.unwrap_or_default() + sweep::REMOVED_AFTER.as_millis() as u64;
    sweep::removed(store, &prefix(), &catalog, later, 0)
        .await
        .unwrap();
    let unnamed = sweep::unnamed(store, &prefix(), &catalog).await.unwrap();
    sweep::remove_all(store, &unnamed).await.unwrap();

    let mut expected = BTreeSet::new();
    for meta in live(store).await {
        expected.insert(layout::spans_file(&prefix(), &meta));
        expected.insert(layout::filter_file(&prefix(), &meta));
    }
    let blocks = layout::blocks_folder(&prefix(), &TenantId::single());
    let found: Vec<ObjectMeta> = store.list(Some(&blocks)).try_collect().await.unwrap();
    let found: BTreeSet<Path> = found.into_iter().map(|object| object.location).collect();
    assert_eq!(found, expected);
    let parts = layout::parts_folder(&prefix(), &TenantId::single());
    let parts: Vec<ObjectMeta> = store.list(Some(&parts)).try_collect().await.unwrap();
    assert_eq!(parts.len(), catalog.newest().await.unwrap().parts.len());
}

/// Traces whose spans lie in two blocks, a span that is in both, and a block of another window.
async fn filled() -> (Arc<InMemory>, Vec<String>) {
    let inner = Arc::new(InMemory::new());
    let store: Arc<dyn ObjectStore> = Arc::clone(&inner) as _;
    let early: Vec<Span> = (1..30).map(|id| span(id, 1, 0, id as i64)).collect();
    let mut late: Vec<Span> = (1..30).map(|id| span(id, 2, 1, 10 + id as i64)).collect();
    late.push(early[7].clone());
    let next: Vec<Span> = (50..60)
        .map(|id| span(id, 3, 0, HOUR_NS + id as i64))
        .collect();
    let both: Vec<Span> = (60..63)
        .map(|id| span(id, 4, 0, HOUR_NS * (id as i64 % 2) + id as i64))
        .collect();
    let stored = stored_blocks(&store);
    let catalog = stored.catalog(&TenantId::single()).await.unwrap();
    let mut groups = Vec::new();
    for spans in [early, late, next, both] {
        groups.push(group("a", spans.clone()));
        let meta = put(&store, spans).await;
        catalog.commit(Edit::add(meta)).await.unwrap();
    }
    (inner, contents(&groups))
}

#[tokio::test]
async fn windows_become_blocks_and_nothing_else_is_left() {
    let (inner, expected) = filled().await;
    let store: Arc<dyn ObjectStore> = inner;
    let before = live(&store).await;
    let compactor = compactor(&store).await.unwrap();
    let (jobs, _) = compactor.due(&Times::ALL.spans, NOW_NS).await.unwrap();
    assert!(
        jobs.iter().any(|job| job.reason == Reason::Spanning),
        "{jobs:?}"
    );
    assert!(compact(&store).await.unwrap() > 1);
    assert_eq!(all(&store).await, (expected.clone(), expected.len() as u64));
    let after = live(&store).await;
    assert!(after.len() < before.len(), "{after:?}");
    let old: BTreeSet<_> = before.iter().map(|meta| meta.block_id).collect();
    let made_of: BTreeSet<_> = after
        .iter()
        .flat_map(|meta| &meta.made_of)
        .copied()
        .collect();
    assert_eq!(made_of, old);
    sweep_all(&store).await;
    assert_eq!(all(&store).await.0, expected);
}

/// Killed at each of the changes that it makes, whether that change was made or not.
#[tokio::test]
async fn a_kill_at_any_step_loses_and_doubles_nothing() {
    let (filled, expected) = filled().await;
    for is_made in [false, true] {
        for left in 1.. {
            let inner = Arc::new(filled.fork());
            let dying: Arc<dyn ObjectStore> = Arc::new(Killed {
                inner: Arc::clone(&inner),
                left: AtomicUsize::new(left),
                is_made,
            });
            let result = compact(&dying).await;
            let store: Arc<dyn ObjectStore> = inner;
            let (spans, rows) = all(&store).await;
            assert_eq!(spans, expected, "killed at {left}");
            // A span that came twice is one only once its blocks have been merged.
            assert!(
                rows <= expected.len() as u64 + 1,
                "killed at {left}: {rows}"
            );
            compact(&store).await.unwrap();
            assert_eq!(all(&store).await, (expected.clone(), expected.len() as u64));
            sweep_all(&store).await;
            if result.is_ok() {
                assert!(left > 5, "nothing was changed");
                break;
            }
        }
    }
}

/// Two that do the same jobs at the same time do no harm.
#[tokio::test]
async fn two_compactors_do_not_disturb_each_other() {
    let (inner, expected) = filled().await;
    let store: Arc<dyn ObjectStore> = inner;
    let (one, other) = tokio::join!(compact(&store), compact(&store));
    one.unwrap();
    other.unwrap();
    assert_eq!(all(&store).await, (expected.clone(), expected.len() as u64));
    sweep_all(&store).await;
}

#[tokio::test]
async fn what_is_kept_for_an_hour_goes_after_an_hour() {
    let (inner, _) = filled().await;
    let store: Arc<dyn ObjectStore> = inner;
    let blocks = live(&store).await;
    let hour = Duration::from_secs(3_600);
    let expired = |now_ns| retention::expired(&blocks, now_ns, hour).len();
    assert_eq!(expired(HOUR_NS), 0);
    assert_eq!(expired(HOUR_NS + HOUR_NS / 2), 2);
    assert_eq!(expired(3 * HOUR_NS), 4);
    assert_eq!(
        retention::expired(&blocks, i64::MAX, Duration::MAX).len(),
        0
    );
}

/// The spans of a filled store without those of some traces, as text.
fn without(expected: &[String], traces: &HashSet<TraceId>) -> Vec<String> {
    let names: Vec<String> = traces
        .iter()
        .map(|id| format!("trace_id: {id:?}"))
        .collect();
    let is_left = |span: &&String| !names.iter().any(|name| span.contains(name));
    expected.iter().filter(is_left).cloned().collect()
}

#[tokio::test]
async fn the_oldest_windows_go_until_the_rest_fits() {
    let (inner, _) = filled().await;
    let store: Arc<dyn ObjectStore> = inner;
    compact(&store).await.unwrap();
    for hour in 3..6 {
        let stored = stored_blocks(&store);
        let catalog = stored.catalog(&TenantId::single()).await.unwrap();
        let meta = put(&store, vec![span(hour, 1, 0, hour as i64 * HOUR_NS)]).await;
        catalog.commit(Edit::add(meta)).await.unwrap();
    }
    let blocks = live(&store).await;
    let bytes = |blocks: &[Arc<BlockMeta>]| -> u64 {
        let files = blocks.iter().filter_map(|block| block.file.as_ref());
        files.map(|file| file.size_bytes).sum()
    };
    let stored = stored_blocks(&store);
    let catalog = stored.catalog(&TenantId::single()).await.unwrap();
    assert_eq!(
        catalog.newest().await.unwrap().block_bytes(),
        bytes(&blocks)
    );
    assert!(retention::beyond(&blocks, bytes(&blocks)).is_empty());
    let newest = blocks.iter().map(|block| block.max_start_ns).max().unwrap();
    for max_bytes in [0, 1, bytes(&blocks) / 2, bytes(&blocks) - 1] {
        let beyond: Vec<_> = retention::beyond(&blocks, max_bytes)
            .into_iter()
            .flat_map(|(_, blocks)| blocks)
            .collect();
        let gone: BTreeSet<_> = beyond.iter().map(|block| block.block_id).collect();
        let (gone, left): (Vec<_>, Vec<_>) = blocks
            .iter()
            .map(Arc::clone)
            .partition(|block| gone.contains(&block.block_id));
        let last_gone = gone.iter().map(|block| block.max_start_ns).max().unwrap();
        assert!(
            left.iter().all(|block| block.max_start_ns > last_gone),
            "{max_bytes}"
        );
        assert!(left.iter().any(|block| block.max_start_ns == newest));
        assert!(bytes(&left) <= max_bytes || left.len() == 1, "{max_bytes}");
    }
}

#[tokio::test]
async fn deleted_traces_are_gone_from_all_blocks() {
    let (inner, expected) = filled().await;
    let store: Arc<dyn ObjectStore> = inner;
    for compacted in [false, true] {
        if compacted {
            compact(&store).await.unwrap();
        }
        let first = u64::from(compacted) * 10;
        let traces: HashSet<TraceId> = [first + 1, first + 8, 9_999].map(trace_id).into();
        let all_deleted: HashSet<TraceId> = [1, 8, 11, 18].map(trace_id).into();
        let left = match compacted {
            false => without(&expected, &traces),
            true => without(&expected, &all_deleted),
        };
        let compactor = compactor(&store).await.unwrap();
        let version = compactor.catalog.newest().await.unwrap().version;
        let dry = compactor.would_delete(&traces).await.unwrap();
        assert_eq!(dry.catalog_version, None);
        assert_eq!(dry.traces, 2, "an id that is not there is no trace");
        let traces = Arc::new(traces);
        let done = compactor.delete(&traces, |_, _| {}).await.unwrap();
        assert_eq!(done.catalog_version, Some(version + 1));
        assert_eq!(
            (done.spans, &done.trace_ids_sha256),
            (dry.spans, &dry.trace_ids_sha256)
        );
        assert_eq!(all(&store).await.0, left, "compacted: {compacted}");
        let again = compactor.delete(&traces, |_, _| {}).await.unwrap();
        assert_eq!((again.traces, again.catalog_version), (0, None));
    }
    sweep_all(&store).await;
}

#[tokio::test]
async fn a_deletion_is_done_as_a_whole_or_not_at_all() {
    let (filled, expected) = filled().await;
    let traces: Arc<HashSet<TraceId>> = Arc::new([3, 8, 55].map(trace_id).into());
    let left = without(&expected, &traces);
    for is_made in [false, true] {
        for changes in 1.. {
            let inner = Arc::new(filled.fork());
            let dying: Arc<dyn ObjectStore> = Arc::new(Killed {
                inner: Arc::clone(&inner),
                left: AtomicUsize::new(changes),
                is_made,
            });
            let result = compactor(&dying)
                .await
                .unwrap()
                .delete(&traces, |_, _| {})
                .await;
            let store: Arc<dyn ObjectStore> = inner;
            let (spans, _) = all(&store).await;
            assert!(spans == expected || spans == left, "killed at {changes}");
            assert!(result.is_err() || spans == left, "killed at {changes}");
            let deleting = compactor(&store).await.unwrap();
            deleting.delete(&traces, |_, _| {}).await.unwrap();
            assert_eq!(all(&store).await.0, left);
            sweep_all(&store).await;
            if result.is_ok() {
                assert!(changes > 3, "nothing was changed");
                break;
            }
        }
    }
}
