//! Runs jobs on threads of their own, away from those that serve requests.

use std::fmt;
use std::sync::Arc;

use datafusion::execution::SessionState;
use object_store::ObjectStore;
use object_store::path::Path;
use storage::StorageError;
use storage::block::meta::BlockMeta;
use storage::block::{BlockCache, BlockFile};
use storage::ids::TraceId;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

use crate::context::{QueryContext, QueryCounters};
use crate::error::EngineError;
use crate::exemplars::ShownSpan;
use crate::grid::Grid;
use crate::kinds::{self, MetricsJob};
use crate::partial::PartialSeries;
use crate::plan::{MetricsPlan, SearchLimits, SearchPlan, SearchWindow};
use crate::scan::Scan;
use crate::search::TraceMatch;
use crate::session;
use crate::slice::Slice;

/// Settings of an engine.
#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// Threads that run jobs; 0 for one per core.
    pub threads: usize,
    /// Bytes of file metadata (footers and page indexes) kept in memory.
    pub metadata_cache_bytes: u64,
    /// Bytes of columns kept in memory, decompressed.
    pub column_cache_bytes: u64,
    /// Whether every query runs as DataFusion plans, without the operators that do the common ones
    /// faster. The answers are the same.
    pub general: bool,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            threads: 0,
            metadata_cache_bytes: 256 << 20,
            column_cache_bytes: 256 << 20,
            general: false,
        }
    }
}

/// Runs jobs over the blocks of one store.
pub struct Engine {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
    cache: Arc<BlockCache>,
    session: Arc<SessionState>,
    general: bool,
    /// `None` only while the engine is being dropped.
    pub(crate) runtime: Option<Runtime>,
}

/// Deeply nested expressions are bounded by the query limits; this leaves ample room for them.
const STACK_BYTES: usize = 16 << 20;

impl Engine {
    /// An engine that reads blocks below `prefix` of `store`.
    ///
    /// # Errors
    /// If its threads cannot be started.
    pub fn try_new(
        store: Arc<dyn ObjectStore>,
        prefix: Path,
        options: &EngineOptions,
    ) -> Result<Self, EngineError> {
        let mut threads = Builder::new_multi_thread();
        threads
            .thread_name("engine")
            .thread_stack_size(STACK_BYTES)
            .enable_all();
        if options.threads > 0 {
            threads.worker_threads(options.threads);
        }
        let runtime = threads
            .build()
            .map_err(|error| EngineError::Internal(error.into()))?;
        Ok(Self {
            store,
            prefix,
            cache: Arc::new(BlockCache::new(
                options.metadata_cache_bytes,
                options.column_cache_bytes,
            )),
            session: Arc::new(session::of_jobs()),
            general: options.general,
            runtime: Some(runtime),
        })
    }

    /// Memory of the footers and columns of stored blocks that are kept.
    #[must_use]
    pub fn cache_bytes(&self) -> u64 {
        self.cache.memory_bytes()
    }

    /// Runs the query over one slice. If the job `chooses`, the result has spans, too, that may be shown
    /// beside the series. Dropping the future stops the job.
    ///
    /// # Errors
    /// See [`EngineError`]; the job may be run again as a whole where the kind says so.
    pub async fn run_job(
        &self,
        plan: &Arc<MetricsPlan>,
        (grid, chooses): (Grid, bool),
        slice: Slice,
        context: &QueryContext,
    ) -> Result<PartialSeries, EngineError> {
        let (scan, plan) = (self.scan(slice, context), Arc::clone(plan));
        self.spawn(async move {
            match MetricsJob::plan(&scan, &plan, (grid, chooses)).await? {
                Some(job) => job.run().await,
                None => Ok(PartialSeries::empty(&plan, grid, &scan.context)),
            }
        })
        .await
    }

    /// What the spans of some rows of a slice's block, ascending, are shown with beside the series of a
    /// query. Dropping the future stops the job.
    ///
    /// # Errors
    /// As for [`Self::run_job`].
    pub async fn exemplar_job(
        &self,
        plan: &Arc<MetricsPlan>,
        rows: &Arc<[u64]>,
        slice: Slice,
        context: &QueryContext,
    ) -> Result<Vec<ShownSpan>, EngineError> {
        let (scan, plan) = (self.scan(slice, context), Arc::clone(plan));
        let rows = Arc::clone(rows);
        self.spawn(async move { kinds::exemplars(&scan, &plan, &rows).await })
            .await
    }

    /// The DataFusion plans of a job, as text: logical, then physical. With `analyze` the job is run
    /// and the physical plan shows its counters.
    ///
    /// # Errors
    /// As for [`Self::run_job`].
    pub async fn explain_job(
        &self,
        plan: &Arc<MetricsPlan>,
        grid: Grid,
        slice: Slice,
        context: &QueryContext,
        analyze: bool,
    ) -> Result<String, EngineError> {
        let (scan, plan) = (self.scan(slice, context), Arc::clone(plan));
        self.spawn(async move {
            let Some(job) = MetricsJob::plan(&scan, &plan, (grid, false)).await? else {
                return Ok("no spans".to_owned());
            };
            if analyze {
                job.run().await?;
            }
            Ok(job.text(analyze))
        })
        .await
    }

    /// Runs work that needs no plan on the file of a block, on the threads of jobs. Dropping the
    /// future stops it.
    ///
    /// # Errors
    /// Those of the work; or the block has a newer format than this build reads.
    pub(crate) async fn read<T, F>(
        &self,
        block: &Arc<BlockMeta>,
        counters: &QueryCounters,
        work: impl FnOnce(BlockFile) -> F,
    ) -> Result<T, EngineError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, StorageError>> + Send + 'static,
    {
        let file = BlockFile::new(
            Arc::clone(&self.store),
            &self.prefix,
            Arc::clone(block),
            Arc::clone(&self.cache),
            Arc::clone(&counters.reads),
        )?;
        let work = work(file);
        self.spawn(async move { Ok(work.await?) }).await
    }

    /// The newest traces of one slice that match, newest first. Dropping the future stops the job.
    ///
    /// # Errors
    /// As for [`Self::run_job`].
    pub async fn search_job(
        &self,
        plan: &Arc<SearchPlan>,
        window: SearchWindow,
        limits: SearchLimits,
        slice: Slice,
        context: &QueryContext,
    ) -> Result<Vec<TraceMatch>, EngineError> {
        let (scan, plan) = (self.scan(slice, context), Arc::clone(plan));
        self.spawn(async move { kinds::search::run(&scan, &plan, window, limits).await })
            .await
    }

    /// For each of some stored blocks, those traces of a slice that are in it, too: of a block, or of
    /// some row groups of one.
    ///
    /// # Errors
    /// If the store fails, or a block is damaged.
    pub async fn common_traces(
        &self,
        with: &[Arc<BlockMeta>],
        slice: Slice,
        context: &QueryContext,
    ) -> Result<Vec<Arc<[TraceId]>>, EngineError> {
        let (scan, with) = (self.scan(slice, context), with.to_vec());
        self.spawn(async move { scan.common_traces(&with).await })
            .await
    }

    fn scan(&self, slice: Slice, context: &QueryContext) -> Scan {
        Scan {
            store: Arc::clone(&self.store),
            prefix: self.prefix.clone(),
            cache: Arc::clone(&self.cache),
            session: Arc::clone(&self.session),
            general: self.general,
            slice,
            context: context.clone(),
        }
    }

    pub(crate) async fn spawn<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, EngineError>> + Send + 'static,
    ) -> Result<T, EngineError> {
        let Some(runtime) = &self.runtime else {
            return Err(EngineError::Cancelled);
        };
        let mut task = AbortOnDrop(runtime.spawn(work));
        match (&mut task.0).await {
            Ok(result) => result,
            Err(error) if error.is_cancelled() => Err(EngineError::Cancelled),
            // A decoder that panics on bytes it cannot make sense of must not take the server down.
            Err(error) => {
                let message = format!("a job panicked: {error}");
                Err(EngineError::Internal(
                    datafusion::error::DataFusionError::Internal(message),
                ))
            }
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // A runtime must not be dropped where it would block, which is any async context.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

struct AbortOnDrop<T>(JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
