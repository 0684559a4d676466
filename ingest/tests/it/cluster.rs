//! A process that can be started, crashed and started again on the same disk and store.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::BoxStream;
use ingest::{Ingest, IngestConfig, IngestParts, Metrics, OpenError};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use prometheus::Registry;
use storage::block::meta::BlockMeta;
use storage::block::{BlockCache, BlockFile, decode, read_block};
use storage::model::SpanGroup;
use storage::{Clock, Random, StoredBlocks, SystemClock};

use super::sim_disk::{Part, SimDisk};

/// A store that fails together with a disk.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    inner: Arc<InMemory>,
    disk: SimDisk,
    refusing: Arc<AtomicBool>,
}

impl Store {
    pub(crate) fn new(disk: &SimDisk) -> Self {
        Self {
            inner: Arc::new(InMemory::new()),
            disk: disk.clone(),
            refusing: Arc::default(),
        }
    }

    /// The same objects, used by the process that has this disk.
    pub(crate) fn after_crash(&self, disk: &SimDisk) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            disk: disk.clone(),
            refusing: Arc::default(),
        }
    }

    /// A copy of all objects, used by the process that has this disk.
    pub(crate) fn fork(&self, disk: &SimDisk) -> Self {
        Self {
            inner: Arc::new(self.inner.fork()),
            disk: disk.clone(),
            refusing: Arc::default(),
        }
    }

    /// Lets every write fail from now on.
    pub(crate) fn refuse_writes(&self) {
        self.refusing.store(true, Ordering::SeqCst);
    }

    /// All spans of a stored block.
    pub(crate) async fn read(&self, meta: &Arc<BlockMeta>) -> Vec<SpanGroup> {
        let store: Arc<dyn ObjectStore> = Arc::clone(&self.inner) as _;
        let file = BlockFile::new(
            store,
            &Path::default(),
            Arc::clone(meta),
            Arc::new(BlockCache::new(0, 0)),
            Arc::default(),
        );
        decode(&read_block(&file.unwrap()).await.unwrap()).unwrap()
    }

    fn failure(error: std::io::Error) -> object_store::Error {
        object_store::Error::Generic {
            store: "test",
            source: Box::new(error),
        }
    }
}

impl fmt::Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("test")
    }
}

#[async_trait]
impl ObjectStore for Store {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        opts: PutOptions,
    ) -> Result<PutResult> {
        if self.refusing.load(Ordering::SeqCst) {
            return Err(Self::failure(std::io::ErrorKind::Other.into()));
        }
        match self.disk.other_call() {
            Some((error, Part::None | Part::Half)) => Err(Self::failure(error)),
            Some((error, Part::All)) => {
                self.inner.put_opts(location, payload, opts).await?;
                Err(Self::failure(error))
            }
            None => self.inner.put_opts(location, payload, opts).await,
        }
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, opts).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        if self.disk.crashed() {
            return Err(Self::failure(std::io::ErrorKind::BrokenPipe.into()));
        }
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
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

/// Settings under which nothing is cut unless asked for.
pub(crate) fn quiet() -> IngestConfig {
    let mut config = IngestConfig::default();
    config.live_store.max_block_duration = Duration::from_secs(3600);
    config.live_store.max_trace_idle = Duration::from_secs(3600);
    config
}

/// Starts a process.
pub(crate) async fn try_open(
    config: IngestConfig,
    disk: &SimDisk,
    store: &Store,
) -> std::result::Result<Arc<Ingest>, OpenError> {
    open_at(config, disk, store, Arc::new(SystemClock)).await
}

/// Starts a process that reads the time from this clock.
pub(crate) async fn open_at(
    config: IngestConfig,
    disk: &SimDisk,
    store: &Store,
    clock: Arc<dyn Clock>,
) -> std::result::Result<Arc<Ingest>, OpenError> {
    let metrics = Metrics::register(&Registry::new()).unwrap();
    let (blocks, random) = (Arc::new(store.clone()), Random::from_system());
    let stored = StoredBlocks::new(blocks, Path::default(), Arc::clone(&random));
    Ingest::open(IngestParts {
        config,
        disk: Arc::new(disk.clone()),
        stored: Arc::new(stored),
        metrics,
        clock,
        random,
    })
    .await
}

/// Starts a process that must start.
pub(crate) async fn open(disk: &SimDisk, store: &Store) -> Arc<Ingest> {
    try_open(quiet(), disk, store).await.unwrap()
}

/// Runs something in a runtime of its own, which ends with it, whatever is still going on.
pub(crate) fn run<T>(body: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let result = runtime.block_on(body);
    runtime.shutdown_background();
    result
}
