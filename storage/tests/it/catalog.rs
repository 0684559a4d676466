//! Commits land exactly once, whoever else commits and whatever the store loses.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::common::{block, group, prefix, random, span};
use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use storage::block::meta::BlockMeta;
use storage::block::{ReadBack, WriteOptions, store_block, write_parquet};
use storage::catalog::{Catalog, Manifest, ManifestEdit, tenants};
use storage::error::{ErrorKind, StorageError};
use storage::ids::TenantId;
use storage::layout;
use storage::snapshot::{SnapshotSource, StoredBlocks};
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

fn add(meta: &Arc<BlockMeta>) -> ManifestEdit {
    ManifestEdit {
        add: vec![Arc::clone(meta)],
        remove: Vec::new(),
    }
}

async fn open(store: &Arc<dyn ObjectStore>) -> Catalog {
    Catalog::open(Arc::clone(store), prefix(), TenantId::single(), random())
        .await
        .unwrap()
}

fn ids(manifest: &Manifest) -> BTreeSet<String> {
    manifest
        .blocks
        .iter()
        .map(|block| block.block_id.to_string())
        .collect()
}

async fn race(store: Arc<dyn ObjectStore>) {
    let metas: Vec<Arc<BlockMeta>> = (0..48).map(|_| meta()).collect();
    let mut tasks = Vec::new();
    for chunk in metas.chunks(3) {
        let (store, chunk) = (Arc::clone(&store), chunk.to_vec());
        tasks.push(tokio::spawn(async move {
            let catalog = open(&store).await;
            for meta in chunk {
                let manifest = catalog.commit(add(&meta)).await.unwrap();
                assert!(manifest.block(meta.block_id).is_some());
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let manifest = open(&store).await.current();
    assert_eq!(manifest.version, 48, "one version for each commit");
    let expected: BTreeSet<String> = metas.iter().map(|m| m.block_id.to_string()).collect();
    assert_eq!(ids(&manifest), expected);
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
        let manifest = layout::manifest_version(at).is_some();
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
            let manifest = catalog.commit(add(&meta())).await.unwrap();
            assert_eq!(
                (manifest.version, manifest.blocks.len() as u64),
                (version, version),
                "{fault:?}"
            );
        }
        assert_eq!(open(&store).await.current().blocks.len(), 5);
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
    assert!(
        source
            .snapshot(&tenant)
            .await
            .unwrap()
            .manifest
            .blocks
            .is_empty()
    );
    open(&store).await.commit(add(&meta)).await.unwrap();
    let snapshot = source.snapshot(&tenant).await.unwrap();
    assert_eq!(snapshot.manifest.blocks, [meta]);
    assert!(snapshot.live.is_empty());
    assert_eq!(tenants(&store, &prefix()).await.unwrap(), [tenant]);
}

#[tokio::test]
async fn blocks_come_and_go() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let catalog = open(&store).await;
    let (a, b) = (meta(), meta());
    catalog.commit(add(&a)).await.unwrap();
    let edit = ManifestEdit {
        add: vec![Arc::clone(&b)],
        remove: vec![a.block_id],
    };
    let manifest = catalog.commit(edit.clone()).await.unwrap();
    assert_eq!(manifest.blocks, [Arc::clone(&b)]);
    let gone = ManifestEdit {
        add: Vec::new(),
        remove: vec![a.block_id],
    };
    let error = catalog.commit(gone).await.unwrap_err();
    assert!(
        matches!(error, StorageError::BlockNotLive { .. }),
        "{error}"
    );
    assert_eq!(
        catalog.commit(edit).await.unwrap().version,
        2,
        "done already"
    );
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
    let meta = meta();
    for _ in 0..60 {
        writer.commit(add(&meta)).await.unwrap();
        let remove = ManifestEdit {
            add: Vec::new(),
            remove: vec![meta.block_id],
        };
        writer.commit(remove).await.unwrap();
    }
    let first = layout::manifest_file(&prefix(), &TenantId::single(), 1);
    assert!(
        store.head(&first).await.is_err(),
        "version 1 is still there"
    );
    assert_eq!(stale.refresh().await.unwrap().version, 121);
    // A stale writer builds on what is there.
    assert_eq!(stale.commit(add(&meta)).await.unwrap().version, 122);
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
async fn a_flipped_bit_of_a_manifest_is_found() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let catalog = open(&store).await;
    let manifest = catalog.commit(add(&meta())).await.unwrap();
    let bytes = manifest.to_bytes().unwrap();
    assert_eq!(Manifest::from_bytes("m", &bytes).unwrap(), *manifest);
    for position in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[position] ^= 1 << (position % 8);
        if let Ok(read) = Manifest::from_bytes("m", &damaged) {
            assert_eq!(read, *manifest, "byte {position}");
        }
        if position % 16 == 0 {
            assert!(Manifest::from_bytes("m", &bytes[..position]).is_err());
        }
    }
}
