//! Spans that are partly stored and partly not, in a store that counts what is read.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use engine::{Engine, EngineOptions};
use frontend::{Frontend, FrontendConfig};
use futures::TryStreamExt;
use futures::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use prometheus::Registry;
use storage::StorageError;
use storage::SystemClock;
use storage::block::meta::BlockMeta;
use storage::block::{
    EncodeOptions, MemoryBlock, ReadBack, WriteOptions, encode, store_block, write_parquet,
};
use storage::ids::{BlockId, TenantId};
use storage::layout;
use storage::model::SpanGroup;
use storage::snapshot::{Snapshot, SnapshotSource, Times};
use ulid::Ulid;

/// A store in memory that counts the reads of each object.
#[derive(Debug, Default)]
pub(crate) struct CountingStore {
    inner: InMemory,
    reads: Mutex<BTreeMap<Path, usize>>,
}

impl CountingStore {
    /// Reads of the spans of each block since the last call. Its id filter is not among them.
    pub(crate) fn take_reads(&self) -> BTreeMap<BlockId, usize> {
        let reads = std::mem::take(&mut *self.reads.lock().unwrap());
        let block = |path: &Path| -> BlockId {
            let parts: Vec<_> = path.parts().collect();
            parts[parts.len() - 2].as_ref().parse().unwrap()
        };
        let is_spans = |path: &Path| path.filename() == Some(layout::SPANS_FILE);
        reads
            .into_iter()
            .filter(|(path, _)| is_spans(path))
            .map(|(path, count)| (block(&path), count))
            .collect()
    }
}

impl fmt::Display for CountingStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("counting")
    }
}

#[async_trait]
impl ObjectStore for CountingStore {
    async fn put_opts(
        &self,
        path: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        self.inner.put_opts(path, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        path: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(path, options).await
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        *self.reads.lock().unwrap().entry(path.clone()).or_default() += 1;
        self.inner.get_opts(path, options).await
    }

    fn delete_stream(
        &self,
        paths: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(paths)
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

/// The spans of one tenant, in stored blocks and in memory.
#[derive(Debug, Clone)]
pub(crate) struct Mixed {
    pub(crate) store: Arc<CountingStore>,
    tenant: TenantId,
    blocks: Vec<Arc<BlockMeta>>,
    live: Vec<Arc<MemoryBlock>>,
    next_block: u128,
}

impl Mixed {
    pub(crate) fn new() -> Self {
        let tenant = TenantId::single();
        Self {
            store: Arc::default(),
            blocks: Vec::new(),
            tenant,
            live: Vec::new(),
            next_block: 1,
        }
    }

    /// Adds a stored block.
    pub(crate) async fn store(&mut self, groups: &[SpanGroup]) -> BlockId {
        let rows = WriteOptions::default().row_group_rows;
        self.store_in_groups(groups, rows).await
    }

    /// Removes the files of a block, which the catalog goes on naming.
    pub(crate) async fn delete(&self, block: BlockId) {
        let objects: Vec<ObjectMeta> = self.store.list(None).try_collect().await.unwrap();
        let id = block.to_string();
        let paths = objects.into_iter().map(|object| object.location);
        let is_of_block = |path: &Path| path.parts().any(|part| part.as_ref() == id);
        for path in paths.filter(is_of_block) {
            self.store.delete(&path).await.unwrap();
        }
    }

    /// Takes a block out of the catalog.
    pub(crate) fn forget(&mut self, block: BlockId) {
        self.blocks.retain(|held| held.block_id != block);
    }

    /// The block added last.
    pub(crate) fn newest_block(&self) -> BlockId {
        self.blocks.last().unwrap().block_id
    }

    /// Adds a stored block with row groups of about so many rows.
    pub(crate) async fn store_in_groups(
        &mut self,
        groups: &[SpanGroup],
        row_group_rows: usize,
    ) -> BlockId {
        let block = self.encode(groups);
        let options = WriteOptions {
            row_group_rows,
            ..WriteOptions::default()
        };
        let written = write_parquet(&block, &options).unwrap();
        let store = Arc::clone(&self.store) as Arc<dyn ObjectStore>;
        let meta = store_block(&store, &Path::from(""), written, ReadBack::Trust).await;
        let meta = meta.unwrap();
        let id = meta.block_id;
        self.blocks.push(meta);
        self.store.take_reads();
        id
    }

    /// Adds a block in memory.
    pub(crate) fn keep_live(&mut self, groups: &[SpanGroup]) {
        let block = self.encode(groups);
        self.live.push(Arc::new(block));
    }

    fn encode(&mut self, groups: &[SpanGroup]) -> MemoryBlock {
        let id = BlockId(Ulid::from_parts(1, self.next_block));
        self.next_block += 1;
        encode(groups, &EncodeOptions::new(self.tenant.clone(), id)).unwrap()
    }
}

/// A frontend over a source whose stored blocks are in the store of some spans.
pub(crate) fn frontend_over(
    store: &Arc<CountingStore>,
    source: impl SnapshotSource + 'static,
    config: FrontendConfig,
) -> Frontend {
    let options = EngineOptions {
        threads: 2,
        ..EngineOptions::default()
    };
    let store = Arc::clone(store) as Arc<dyn ObjectStore>;
    let engine = Engine::try_new(store, Path::from(""), &options).unwrap();
    let (registry, clock) = (Registry::new(), Arc::new(SystemClock));
    Frontend::try_new(Arc::new(engine), Arc::new(source), config, &registry, clock).unwrap()
}

#[async_trait]
impl SnapshotSource for Mixed {
    async fn snapshot(
        &self,
        tenant: &TenantId,
        _: &Times,
    ) -> std::result::Result<Snapshot, StorageError> {
        if *tenant != self.tenant {
            return Ok(Snapshot::empty(tenant.clone()));
        }
        Ok(Snapshot {
            stored: self.blocks.clone(),
            live: self.live.clone(),
            ..Snapshot::empty(tenant.clone())
        })
    }
}
