//! Commits land exactly once, whoever else commits and whatever the store loses.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};

use crate::common::{block, group, prefix, random, span};
use async_trait::async_trait;
use bytes::Bytes;
use futures::TryStreamExt as _;
use futures::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use proptest::prelude::*;
use storage::block::meta::{BlockMeta, HashPiece, Partition, Window};
use storage::block::{ReadBack, WriteOptions, store_block, write_parquet};
use storage::catalog::{Catalog, Edit, Root, tenants};
use storage::error::{ErrorKind, StorageError};
use storage::ids::{BlockId, PartId, TenantId};
use storage::layout;
use storage::snapshot::{Snapshot, SnapshotSource, StoredBlocks, Times};
use storage::store::open_store;

/// A description of a block that could be stored.
fn meta() -> Arc<BlockMeta> {
    let block = block(&[group("a", vec![span(1, 1, 0, 5)])]);
    Arc::new(
        write_parquet(&block, &WriteOptions::default())
            .unwrap()
            .meta,
    )
}

fn add(meta: &Arc<BlockMeta>) -> Edit {
    Edit::add(Arc::clone(meta))
}

fn replace(remove: &[&Arc<BlockMeta>], add: &[&Arc<BlockMeta>]) -> Edit {
    let own = |blocks: &[&Arc<BlockMeta>]| blocks.iter().map(|block| Arc::clone(block)).collect();
    Edit::replace(own(remove), own(add), &random())
}

async fn open(store: &Arc<dyn ObjectStore>) -> Catalog {
    let (store, random) = (Arc::clone(store), random());
    let catalog = Catalog::open(store, prefix(), TenantId::single(), random, Arc::default());
    catalog.await.unwrap()
}

/// The live blocks.
async fn blocks(catalog: &Catalog) -> Vec<Arc<BlockMeta>> {
    let root = catalog.current();
    let blocks = catalog.blocks(&root, &Times::ALL.spans).await.unwrap();
    assert_eq!(blocks.len() as u64, root.block_count());
    blocks
}

fn ids<'a>(blocks: impl IntoIterator<Item = &'a Arc<BlockMeta>>) -> BTreeSet<BlockId> {
    blocks.into_iter().map(|block| block.block_id).collect()
}

async fn race(store: Arc<dyn ObjectStore>) {
    let metas: Vec<Arc<BlockMeta>> = (0..48).map(|_| meta()).collect();
    let mut tasks = Vec::new();
    for chunk in metas.chunks(3) {
        let (store, chunk) = (Arc::clone(&store), chunk.to_vec());
        tasks.push(tokio::spawn(async move {
            let catalog = open(&store).await;
            for meta in chunk {
                catalog.commit(add(&meta)).await.unwrap();
                assert!(ids(&blocks(&catalog).await).contains(&meta.block_id));
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let catalog = open(&store).await;
    assert_eq!(catalog.current().version, 48, "one version for each commit");
    assert_eq!(ids(&blocks(&catalog).await), ids(&metas));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixteen_writers_in_memory() {
    race(Arc::new(InMemory::new())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixteen_writers_in_a_directory() {
    let folder = tempfile::tempdir().unwrap();
    let location = open_store(folder.path().to_str().unwrap(), &Default::default()).unwrap();
    race(location.store).await;
}

/// What a [`Flaky`] store does to the puts of manifests.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fault {
    /// Done, but the answer is an error.
    LostAnswer,
    /// Done, but the answer is that it was there before, as after a retry inside the client.
    AlreadyExists,
    /// Not done.
    Refused,
}

#[derive(Debug)]
struct Flaky {
    inner: InMemory,
    fault: Fault,
    left: AtomicUsize,
}

impl fmt::Display for Flaky {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Flaky")
    }
}

#[async_trait]
impl ObjectStore for Flaky {
    async fn put_opts(
        &self,
        at: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let manifest = layout::root_version(at).is_some();
        let due = manifest
            && self
                .left
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1))
                .is_ok();
        if !due {
            return self.inner.put_opts(at, payload, options).await;
        }
        if self.fault != Fault::Refused {
            self.inner.put_opts(at, payload, options).await?;
        }
        let path = at.to_string();
        Err(match self.fault {
            Fault::AlreadyExists => object_store::Error::AlreadyExists {
                path,
                source: "409".into(),
            },
            Fault::LostAnswer | Fault::Refused => object_store::Error::Generic {
                store: "Flaky",
                source: "connection reset".into(),
            },
        })
    }

    async fn put_multipart_opts(
        &self,
        at: &Path,
        o: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(at, o).await
    }

    async fn get_opts(&self, at: &Path, options: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(at, options).await
    }

    async fn get_ranges(&self, at: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.inner.get_ranges(at, ranges).await
    }

    fn delete_stream(
        &self,
        at: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(at)
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

fn flaky(fault: Fault, times: usize) -> Arc<dyn ObjectStore> {
    Arc::new(Flaky {
        inner: InMemory::new(),
        fault,
        left: AtomicUsize::new(times),
    })
}

#[tokio::test]
async fn a_lost_answer_is_recognised_as_success() {
    for fault in [Fault::LostAnswer, Fault::AlreadyExists] {
        let store = flaky(fault, 3);
        let catalog = open(&store).await;
        for version in 1..=5 {
            let root = catalog.commit(add(&meta())).await.unwrap();
            let counted = (root.version, root.block_count());
            assert_eq!(counted, (version, version), "{fault:?}");
        }
        assert_eq!(open(&store).await.current().block_count(), 5);
    }
}

#[tokio::test]
async fn a_refused_commit_says_so_and_may_be_repeated() {
    let store = flaky(Fault::Refused, 1);
    let catalog = open(&store).await;
    let meta = meta();
    let error = catalog.commit(add(&meta)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert_eq!(catalog.refresh().await.unwrap().version, 0);
    assert_eq!(catalog.commit(add(&meta)).await.unwrap().version, 1);
    // Once more, as after an outcome that nobody learnt: nothing happens twice.
    assert_eq!(catalog.commit(add(&meta)).await.unwrap().version, 1);
}

#[tokio::test]
async fn an_upload_without_a_commit_is_invisible() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let written = write_parquet(
        &block(&[group("a", vec![span(1, 1, 0, 5)])]),
        &WriteOptions::default(),
    )
    .unwrap();
    let meta = store_block(&store, &prefix(), written, ReadBack::Verify)
        .await
        .unwrap();
    let source = StoredBlocks::new(Arc::clone(&store), prefix(), random());
    let tenant = TenantId::single();
    let view = source.snapshot(&tenant, &Times::ALL).await.unwrap();
    assert!(view.stored.is_empty());
    open(&store).await.commit(add(&meta)).await.unwrap();
    let view = source.snapshot(&tenant, &Times::ALL).await.unwrap();
    assert_eq!((view.stored, view.elsewhere), (vec![meta], 0));
    assert!(view.live.is_empty());
    let before = Times::of(i64::MIN..=-1);
    let view = source.snapshot(&tenant, &before).await.unwrap();
    assert_eq!((view.stored.len(), view.elsewhere), (0, 1));
    assert_eq!(tenants(&store, &prefix()).await.unwrap(), [tenant]);
}

#[tokio::test]
async fn blocks_come_and_go() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let catalog = open(&store).await;
    let (a, b) = (meta(), meta());
    catalog.commit(add(&a)).await.unwrap();
    let edit = replace(&[&a], &[&b]);
    catalog.commit(edit.clone()).await.unwrap();
    assert_eq!(blocks(&catalog).await, [Arc::clone(&b)]);
    let error = catalog.commit(replace(&[&a], &[])).await.unwrap_err();
    assert!(
        matches!(error, StorageError::BlockNotLive { .. }),
        "{error}"
    );
    let again = catalog.commit(edit).await.unwrap();
    assert_eq!(again.version, 2, "done already");
    // An edit that only removes is repeated without harm, too.
    let edit = replace(&[&b], &[]);
    assert_eq!(catalog.commit(edit.clone()).await.unwrap().version, 3);
    assert_eq!(catalog.commit(edit).await.unwrap().version, 3);
    let root = catalog.current();
    let removed: Vec<BlockId> = root
        .removed
        .iter()
        .flat_map(|it| it.blocks.clone())
        .collect();
    assert_eq!(removed, [a.block_id, b.block_id]);
}

#[tokio::test]
async fn nothing_wrong_gets_into_a_catalog() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let catalog = open(&store).await;
    let good = BlockMeta::clone(&meta());
    type Damage = fn(&mut BlockMeta);
    let wrong: [(&str, Damage); 5] = [
        ("no file", |meta| meta.file = None),
        ("no rows", |meta| meta.row_count = 0),
        ("another tenant's", |meta| {
            meta.tenant = "other".parse().unwrap()
        }),
        ("first start is after the last", |meta| {
            meta.min_start_ns = meta.max_start_ns + 1
        }),
        ("newer format", |meta| meta.format_version = 9),
    ];
    for (reason, damage) in wrong {
        let mut meta = good.clone();
        damage(&mut meta);
        let error = catalog.commit(add(&Arc::new(meta))).await.unwrap_err();
        assert!(error.to_string().contains(reason), "{error}");
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
    assert_eq!(catalog.refresh().await.unwrap().version, 0);
}

#[tokio::test]
async fn old_versions_go_and_stale_readers_find_the_new_ones() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let (stale, writer) = (open(&store).await, open(&store).await);
    writer.commit(add(&meta())).await.unwrap();
    stale.refresh().await.unwrap();
    assert_eq!(stale.current().version, 1);
    for _ in 0..60 {
        let meta = meta();
        writer.commit(add(&meta)).await.unwrap();
        writer.commit(replace(&[&meta], &[])).await.unwrap();
    }
    let first = layout::root_file(&prefix(), &TenantId::single(), 1);
    assert!(
        store.head(&first).await.is_err(),
        "version 1 is still there"
    );
    assert_eq!(stale.refresh().await.unwrap().version, 121);
    // A stale writer builds on what is there.
    assert_eq!(stale.commit(add(&meta())).await.unwrap().version, 122);
    // A hint that is wrong or missing costs a listing and nothing else.
    let hint = layout::latest_file(&prefix(), &TenantId::single());
    for wrong in ["1", "7000", "nonsense"] {
        store.put(&hint, wrong.into()).await.unwrap();
        assert_eq!(open(&store).await.current().version, 122);
    }
    store.delete(&hint).await.unwrap();
    assert_eq!(open(&store).await.current().version, 122);
}

#[tokio::test]
async fn a_flipped_bit_of_a_root_is_found() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let catalog = open(&store).await;
    let root = catalog.commit(add(&meta())).await.unwrap();
    let bytes = root.to_bytes().unwrap();
    assert_eq!(Root::from_bytes("m", &bytes).unwrap(), *root);
    for position in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[position] ^= 1 << (position % 8);
        if let Ok(read) = Root::from_bytes("m", &damaged) {
            assert_eq!(read, *root, "byte {position}");
        }
        if position % 16 == 0 {
            assert!(Root::from_bytes("m", &bytes[..position]).is_err());
        }
    }
}

/// A description of a block that could be stored, of spans that start in so many minutes.
fn meta_at(minutes: Range<i64>) -> Arc<BlockMeta> {
    const MINUTE_NS: i64 = 60_000_000_000;
    static MADE: LazyLock<Arc<BlockMeta>> = LazyLock::new(meta);
    let mut meta = BlockMeta::clone(&MADE);
    meta.block_id = random().block_id();
    meta.min_start_ns = minutes.start * MINUTE_NS;
    meta.max_start_ns = minutes.end * MINUTE_NS;
    meta.max_end_ns = meta.max_start_ns;
    for row_group in &mut meta.row_groups {
        row_group.min_start_ns = meta.min_start_ns;
        row_group.max_start_ns = meta.max_start_ns;
    }
    Arc::new(meta)
}

#[tokio::test]
async fn a_flipped_bit_of_a_part_is_found() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let catalog = open(&store).await;
    for minute in 0..20 {
        let edit = add(&meta_at(minute..minute + 1));
        catalog.commit(edit).await.unwrap();
    }
    let root = catalog.current();
    assert_eq!((root.parts.len(), root.recent.len()), (1, 3));
    let path = layout::part_file(&prefix(), &TenantId::single(), root.parts[0].id);
    let bytes = store.get(&path).await.unwrap().bytes().await.unwrap();
    for position in (0..bytes.len()).step_by(7) {
        let mut damaged = bytes.to_vec();
        damaged[position] ^= 1 << (position % 8);
        store.put(&path, damaged.into()).await.unwrap();
        let catalog = open(&store).await;
        let found = catalog.blocks(&root, &Times::ALL.spans).await;
        let error = found.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(error.to_string().contains(path.as_ref()), "{error}");
    }
    store.delete(&path).await.unwrap();
    let error = open(&store).await.blocks(&root, &Times::ALL.spans).await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn a_query_reads_the_parts_of_its_time() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let catalog = open(&store).await;
    let (mut early, mut late) = (Vec::new(), Vec::new());
    for minute in 0..900 {
        early.push(meta_at(minute..minute + 1));
        late.push(meta_at(100_000 + minute..100_001 + minute));
    }
    let all: Vec<&Arc<BlockMeta>> = early.iter().chain(&late).collect();
    catalog.commit(replace(&[], &all)).await.unwrap();
    let root = catalog.current();
    assert_eq!((root.parts.len(), root.recent.len()), (2, 0));
    assert_eq!(root.block_count(), 1_800);
    assert_eq!(root.starts(), Some(0..=100_900 * 60_000_000_000));
    // What nobody asks for may be away.
    let away = layout::part_file(&prefix(), &TenantId::single(), root.parts[0].id);
    store.delete(&away).await.unwrap();
    let catalog = open(&store).await;
    let hour = 100_300 * 60_000_000_000..=100_360 * 60_000_000_000;
    let found = catalog.blocks(&root, &hour).await.unwrap();
    let expected = late.iter().filter(|block| block.is_at(&hour));
    assert_eq!(ids(&found), ids(expected));
    assert_eq!(found.len(), 62);
    let size = root.to_bytes().unwrap().len();
    assert!(size < 2_000, "a root of two parts has {size} bytes");
    let sizes: u64 = root.parts.iter().map(|part| part.size_bytes).sum();
    assert!(sizes < 1_800 * 300, "{} bytes a block", sizes / 1_800);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Any edits, of several writers that know more or less, leave just what was added and not removed;
    /// each reader finds it by any time; and nothing but what the root names is in the store but for what
    /// it says was removed.
    #[test]
    fn edits_add_up(steps in prop::collection::vec((0..3usize, 0..40usize, 0..6usize, 0..5_000i64, 0..300i64), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
            let writers = [open(&store).await, open(&store).await, open(&store).await];
            let mut live: Vec<Arc<BlockMeta>> = Vec::new();
            for (writer, adds, removes, minute, length) in steps {
                let added: Vec<_> = (0..adds as i64).map(|number| {
                    let from = minute + number * 7 % 60;
                    meta_at(from..from + length)
                }).collect();
                let count = removes.min(live.len());
                let removed: Vec<_> = (0..count).map(|number| {
                    let at = (minute as usize + number * 31) % live.len();
                    live.remove(at)
                }).collect();
                let edit = Edit::replace(removed, added.clone(), &random());
                let root = writers[writer].commit(edit.clone()).await.unwrap();
                // Nobody may know whether it was done.
                assert_eq!(writers[(writer + 1) % 3].commit(edit).await.unwrap().version, root.version);
                live.extend(added);
                assert!(root.recent.len() <= 16);
                assert!(root.parts.iter().all(|part| part.block_count <= 1_000));
            }
            for writer in &writers {
                writer.refresh().await.unwrap();
                assert_eq!(ids(&blocks(writer).await), ids(&live));
            }
            let catalog = open(&store).await;
            let root = catalog.current();
            assert_eq!(*root, *writers[0].current());
            for minute in (0..5_400).step_by(450) {
                let times = minute * 60_000_000_000..=(minute + 100) * 60_000_000_000;
                let found = catalog.blocks(&root, &times).await.unwrap();
                assert_eq!(ids(&found), ids(live.iter().filter(|block| block.is_at(&times))));
            }
            let wanted: BTreeSet<BlockId> = live.iter().map(|block| block.block_id).step_by(3).collect();
            let mut asked = wanted.clone();
            asked.insert(random().block_id());
            assert_eq!(catalog.stored_among(&root, &asked).await.unwrap(), wanted);
            let folder = layout::parts_folder(&prefix(), &TenantId::single());
            let there = store.list(Some(&folder)).map_ok(|object| layout::part_of(&object.location).unwrap());
            let there: BTreeSet<PartId> = there.try_collect().await.unwrap();
            let removed = root.removed.iter().flat_map(|removed| removed.parts.iter().copied());
            let named = root.parts.iter().map(|part| part.id).chain(removed);
            assert_eq!(there, named.collect());
        });
    }
}

#[tokio::test]
async fn what_compaction_has_made_of_a_block_is_that_block() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let (ingester, compactor) = (open(&store).await, open(&store).await);
    let cut = meta_at(5..6);
    ingester.commit(add(&cut)).await.unwrap();
    let mut made = BlockMeta::clone(&meta_at(5..6));
    made.made_of = vec![cut.block_id];
    made.partition = Some(Partition {
        window: Window::of(made.min_start_ns, 3_600),
        piece: HashPiece::ALL,
    });
    let made = Arc::new(made);
    compactor.refresh().await.unwrap();
    compactor.commit(replace(&[&cut], &[&made])).await.unwrap();
    let asked = BTreeSet::from([cut.block_id]);
    let root = compactor.current();
    assert_eq!(compactor.stored_among(&root, &asked).await.unwrap(), asked);
    // The spans of a block in memory are in what it has become.
    let mut in_memory = block(&[group("a", vec![span(1, 1, 0, 5 * 60_000_000_000)])]);
    let mut meta = BlockMeta::clone(&in_memory.meta);
    meta.block_id = cut.block_id;
    in_memory.meta = Arc::new(meta);
    for times in [Times::ALL, Times::of(0..=i64::MAX)] {
        let live = vec![Arc::new(in_memory.clone())];
        let view = Snapshot::of(&compactor, &root, &times, live).await.unwrap();
        assert_eq!((view.stored.len(), view.live.len()), (1, 0));
        let live = vec![Arc::new(in_memory.clone())];
        let empty = Root::empty(TenantId::single());
        let view = Snapshot::of(&compactor, &empty, &times, live)
            .await
            .unwrap();
        assert_eq!((view.stored.len(), view.live.len()), (0, 1));
    }
}
