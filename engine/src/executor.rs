//! Runs jobs on threads of their own, away from those that serve requests.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use arrow::datatypes::{Schema, SchemaRef};
use arrow::error::ArrowError;
use datafusion::error::Result as DataFusionResult;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::{SessionState, SessionStateBuilder, TaskContext};
use datafusion::parquet::arrow::parquet_to_arrow_schema;
use datafusion::parquet::file::metadata::ParquetMetaData;
use datafusion::physical_plan::{ExecutionPlan, displayable, execute_stream};
use datafusion::prelude::SessionConfig;
use futures::TryStreamExt as _;
use object_store::ObjectStore;
use object_store::memory::InMemory;
use object_store::path::Path;
use storage::block::MemoryBlock;
use storage::block::meta::BlockMeta;
use storage::block::{BlockFile, MetadataCache};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

use crate::context::QueryContext;
use crate::error::{EngineError, recover};
use crate::grid::Grid;
use crate::lower::{Lowered, lower};
use crate::partial::PartialSeries;
use crate::physical::{RangeAggregateExec, UseRangeAggregate};
use crate::plan::MetricsPlan;
use crate::provider::{STORE_URL, SpanTable};

/// What one job reads.
#[derive(Debug, Clone)]
pub enum Slice {
    /// Some row groups of a stored block.
    Stored {
        /// The block.
        block: Arc<BlockMeta>,
        /// Indexes of the row groups, ascending.
        row_groups: Vec<usize>,
    },
    /// A block in memory.
    Live(Arc<MemoryBlock>),
}

impl Slice {
    /// The block that the slice is of.
    #[must_use]
    pub fn block(&self) -> &Arc<BlockMeta> {
        match self {
            Self::Stored { block, .. } => block,
            Self::Live(block) => &block.meta,
        }
    }

    /// Spans in the slice.
    #[must_use]
    pub fn row_count(&self) -> u64 {
        match self {
            Self::Stored { block, row_groups } => row_groups
                .iter()
                .filter_map(|&index| block.row_groups.get(index))
                .map(|group| group.row_count)
                .sum(),
            Self::Live(block) => block.meta.row_count,
        }
    }
}

/// Settings of an engine.
#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// Threads that run jobs; 0 for one per core.
    pub threads: usize,
    /// Bytes of file metadata (footers and page indexes) kept in memory.
    pub metadata_cache_bytes: u64,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            threads: 0,
            metadata_cache_bytes: 256 << 20,
        }
    }
}

/// Runs jobs over the blocks of one store.
pub struct Engine {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
    metadata: Arc<MetadataCache>,
    session: SessionState,
    /// `None` only while the engine is being dropped.
    runtime: Option<Runtime>,
}

/// Rows per batch: large enough that the work per batch is small against the work per row.
const BATCH_ROWS: usize = 32_768;
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
        let metadata_bytes = usize::try_from(options.metadata_cache_bytes).unwrap_or(usize::MAX);
        Ok(Self {
            store,
            prefix,
            metadata: Arc::new(MetadataCache::new(metadata_bytes)),
            session: session_state(),
            runtime: Some(runtime),
        })
    }

    /// Runs the query over one slice. Dropping the future stops the job.
    ///
    /// # Errors
    /// See [`EngineError`]; the job may be run again as a whole where the kind says so.
    pub async fn run_job(
        &self,
        plan: &Arc<MetricsPlan>,
        grid: Grid,
        slice: Slice,
        context: &QueryContext,
    ) -> Result<PartialSeries, EngineError> {
        let job = self.job(plan, grid, slice, context);
        self.spawn(async move {
            let prepared = job.prepare().await?;
            job.run(&prepared).await
        })
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
        let job = self.job(plan, grid, slice, context);
        self.spawn(async move {
            let prepared = job.prepare().await?;
            if analyze {
                job.run(&prepared).await?;
            }
            Ok(prepared.to_string_with_metrics(analyze))
        })
        .await
    }

    fn job(
        &self,
        plan: &Arc<MetricsPlan>,
        grid: Grid,
        slice: Slice,
        context: &QueryContext,
    ) -> Job {
        Job {
            store: Arc::clone(&self.store),
            prefix: self.prefix.clone(),
            metadata: Arc::clone(&self.metadata),
            session: self.session.clone(),
            plan: Arc::clone(plan),
            grid,
            slice,
            context: context.clone(),
        }
    }

    async fn spawn<T: Send + 'static>(
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

fn session_state() -> SessionState {
    let mut config = SessionConfig::new()
        .with_batch_size(BATCH_ROWS)
        // Jobs are the unit of parallelism; within a job everything runs in one stream.
        .with_target_partitions(1)
        .with_collect_statistics(false);
    let options = config.options_mut();
    options.execution.parquet.pushdown_filters = false;
    // A state per row instead of a state per group would be rows times intervals.
    options
        .execution
        .skip_partial_aggregation_probe_ratio_threshold = 1.0;
    SessionStateBuilder::new()
        .with_config(config)
        .with_default_features()
        .with_physical_optimizer_rule(Arc::new(UseRangeAggregate))
        .build()
}

/// One job, with everything it needs to run by itself.
struct Job {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
    metadata: Arc<MetadataCache>,
    session: SessionState,
    plan: Arc<MetricsPlan>,
    grid: Grid,
    slice: Slice,
    context: QueryContext,
}

struct Prepared {
    lowered: Lowered,
    logical: String,
    physical: Arc<dyn ExecutionPlan>,
}

impl Prepared {
    fn to_string_with_metrics(&self, metrics: bool) -> String {
        let physical = if metrics {
            datafusion::physical_plan::display::DisplayableExecutionPlan::with_metrics(
                self.physical.as_ref(),
            )
            .indent(false)
            .to_string()
        } else {
            displayable(self.physical.as_ref())
                .indent(false)
                .to_string()
        };
        format!("{}\n{physical}", self.logical)
    }
}

impl Job {
    async fn prepare(&self) -> Result<Prepared, EngineError> {
        let limit = self.context.limit;
        let lowered = lower(&self.plan, &self.grid, self.slice.block(), limit)
            .map_err(|error| recover(error, limit))?;
        // The planner handles the whole schema over and over, and a block has a hundred columns.
        let columns = lowered.columns();
        let table = match &self.slice {
            Slice::Live(block) => {
                let block = only(block, &columns);
                SpanTable::live(Arc::new(
                    block.map_err(|error| recover(error.into(), limit))?,
                ))
            }
            Slice::Stored { block, row_groups } => {
                let reads = Arc::clone(&self.context.counters.reads);
                let mut file = BlockFile::new(
                    Arc::clone(&self.store),
                    &self.prefix,
                    Arc::clone(block),
                    Arc::clone(&self.metadata),
                    reads,
                )?;
                let schema = arrow_schema(file.footer().await?.metadata())?;
                let schema = schema.project(&indices(&schema, &columns));
                let schema = schema.map_err(|error| recover(error.into(), limit))?;
                SpanTable::stored(file, &Arc::new(schema), row_groups.clone())
            }
        };
        let prepare = async {
            let logical = self
                .session
                .optimize(&lowered.logical_plan(Arc::new(table))?)?;
            let shown = logical.display_indent().to_string();
            let physical = self.session.create_physical_plan(&logical).await?;
            DataFusionResult::Ok(Prepared {
                lowered,
                logical: shown,
                physical,
            })
        };
        prepare.await.map_err(|error| recover(error, limit))
    }

    async fn run(&self, prepared: &Prepared) -> Result<PartialSeries, EngineError> {
        let limit = self.context.limit;
        let mut series = self.context.empty_series(&self.plan, self.grid);
        let task = self.task_context().map_err(|error| recover(error, limit))?;
        let physical = &prepared.physical;
        let keys = &prepared.lowered.key_kinds;
        if let Some(aggregate) = physical.downcast_ref::<RangeAggregateExec>() {
            let groups = aggregate.aggregate(task).await;
            series.add(groups.map_err(|error| recover(error, limit))?, keys)?;
        } else {
            let stream = execute_stream(Arc::clone(physical), task);
            let mut stream = stream.map_err(|error| recover(error, limit))?;
            while let Some(batch) = stream
                .try_next()
                .await
                .map_err(|error| recover(error, limit))?
            {
                series.add_batch(&batch, keys)?;
            }
        }
        self.context
            .counters
            .spans_inspected
            .fetch_add(self.slice.row_count(), Ordering::Relaxed);
        Ok(series)
    }

    fn task_context(&self) -> DataFusionResult<Arc<TaskContext>> {
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::clone(&self.context.pool))
            .build_arc()?;
        let url = datafusion::execution::object_store::ObjectStoreUrl::parse(STORE_URL)?;
        runtime.register_object_store(url.as_ref(), Arc::new(InMemory::new()));
        Ok(Arc::new(
            TaskContext::from(&self.session).with_runtime(runtime),
        ))
    }
}

/// Where the columns of these names are in a schema.
fn indices(schema: &Schema, columns: &BTreeSet<String>) -> Vec<usize> {
    let fields = schema.fields().iter().enumerate();
    fields
        .filter(|(_, field)| columns.contains(field.name()))
        .map(|(index, _)| index)
        .collect()
}

/// A live block with these columns only; nothing is copied.
fn only(block: &MemoryBlock, columns: &BTreeSet<String>) -> Result<MemoryBlock, ArrowError> {
    let indices = indices(&block.schema, columns);
    let batches = block.batches.iter().map(|batch| batch.project(&indices));
    Ok(MemoryBlock {
        meta: Arc::clone(&block.meta),
        schema: Arc::new(block.schema.project(&indices)?),
        batches: batches.collect::<Result<_, _>>()?,
    })
}

/// The Arrow schema that a block was written with.
fn arrow_schema(metadata: &ParquetMetaData) -> Result<SchemaRef, EngineError> {
    let file = metadata.file_metadata();
    let schema = parquet_to_arrow_schema(file.schema_descr(), file.key_value_metadata());
    let schema = schema.map_err(|error| EngineError::Internal(error.into()))?;
    Ok(Arc::new(Schema::new(schema.fields)))
}
