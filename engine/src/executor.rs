//! Runs jobs on threads of their own, away from those that serve requests.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use datafusion::catalog::Session;
use datafusion::error::Result as DataFusionResult;
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::execution::{SessionState, SessionStateBuilder};
use datafusion::optimizer::OptimizerRule;
use datafusion::optimizer::common_subexpr_eliminate::CommonSubexprEliminate;
use datafusion::optimizer::eliminate_filter::EliminateFilter;
use datafusion::optimizer::optimize_projections::OptimizeProjections;
use datafusion::optimizer::propagate_empty_relation::PropagateEmptyRelation;
use datafusion::optimizer::push_down_filter::PushDownFilter;
use datafusion::optimizer::simplify_expressions::SimplifyExpressions;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::combine_partial_final_agg::CombinePartialFinalAggregate;
use datafusion::physical_optimizer::ensure_coop::EnsureCooperative;
use datafusion::physical_optimizer::filter_pushdown::FilterPushdown;
use datafusion::physical_optimizer::projection_pushdown::ProjectionPushdown;
use datafusion::physical_optimizer::sanity_checker::SanityCheckPlan;
use datafusion::physical_plan::{ExecutionPlan, displayable, execute_stream};
use datafusion::prelude::SessionConfig;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use hashbrown::HashSet;
use object_store::ObjectStore;
use object_store::path::Path;
use storage::StorageError;
use storage::block::meta::BlockMeta;
use storage::block::{BlockCache, BlockFile, MemoryBlock, live_trace_ids, read_trace_ids};
use storage::ids::{BlockId, TraceId};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

use crate::context::{QueryContext, QueryCounters};
use crate::error::{EngineError, recover};
use crate::exemplars::{self, PartialExemplars};
use crate::grid::Grid;
use crate::lower::{Lowered, lower};
use crate::pair_cache::PairCache;
use crate::partial::{Kind, PartialSeries};
use crate::physical::{EncodedAggregate, EncodedCompare, RangeAggregateExec, UseRangeAggregate};
use crate::pieces::{self, ByTime, PieceSource, Pieces};
use crate::plan::MetricsPlan;
use crate::prune::picks_few;
use crate::scan::{Scan, StoredRows};
use crate::search::job::LoweredSearch;
use crate::search::{SearchLimits, SearchPlan, SearchWindow, TraceMatch};
use crate::spanset::node::SpansetQueryPlanner;

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
    /// A slice without some traces.
    Rest {
        /// The slice.
        slice: Box<Slice>,
        /// The traces that are left out.
        without: Arc<HashSet<TraceId>>,
    },
    /// Whole traces out of the parts that lie in several blocks.
    Pieces(PieceSource),
}

impl Slice {
    /// The block that the slice is of; none where it is of several.
    #[must_use]
    pub fn block(&self) -> Option<&Arc<BlockMeta>> {
        match self {
            Self::Stored { block, .. } => Some(block),
            Self::Live(block) => Some(&block.meta),
            Self::Rest { slice, .. } => slice.block(),
            Self::Pieces(_) => None,
        }
    }

    /// Spans in the slice, as far as that is known before it is read.
    #[must_use]
    pub fn row_count(&self) -> u64 {
        match self {
            Self::Stored { block, row_groups } => row_groups
                .iter()
                .filter_map(|&index| block.row_groups.get(index))
                .map(|group| group.row_count)
                .sum(),
            Self::Live(block) => block.meta.row_count,
            Self::Rest { slice, .. } => slice.row_count(),
            Self::Pieces(_) => 0,
        }
    }
}

impl fmt::Display for Slice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stored { block, row_groups } => {
                write!(f, "block {} row groups {row_groups:?}", block.block_id)
            }
            Self::Live(block) => write!(f, "live block {}", block.meta.block_id),
            Self::Rest { slice, without } => {
                write!(f, "{slice} without {} traces in pieces", without.len())
            }
            Self::Pieces(source) => source.fmt(f),
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
    session: SessionState,
    pairs: PairCache,
    general: bool,
    /// `None` only while the engine is being dropped.
    runtime: Option<Runtime>,
}

/// Blocks of which the trace ids are read at once.
const ID_READS_AT_ONCE: usize = 8;
/// Rows per batch: large enough that the work per batch is small against the work per row, and small
/// enough that the columns of a batch stay in a core's cache until they are used.
const BATCH_ROWS: usize = 8192;
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
            session: session_state(),
            pairs: PairCache::default(),
            general: options.general,
            runtime: Some(runtime),
        })
    }

    /// Memory of the footers and columns of stored blocks that are kept.
    #[must_use]
    pub fn cache_bytes(&self) -> u64 {
        self.cache.memory_bytes()
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
            match job.prepare().await? {
                Some(prepared) => job.run(&prepared).await,
                None => Ok(job.scan.context.empty_series(&job.plan, job.grid)),
            }
        })
        .await
    }

    /// At most `count` exemplars of the spans of one slice, and never more than
    /// [`MAX_EXEMPLARS`](exemplars::MAX_EXEMPLARS). Dropping the future stops the job.
    ///
    /// # Errors
    /// As for [`Self::run_job`].
    pub async fn exemplar_job(
        &self,
        plan: &Arc<MetricsPlan>,
        grid: Grid,
        slice: Slice,
        count: usize,
        context: &QueryContext,
    ) -> Result<PartialExemplars, EngineError> {
        let (scan, plan) = (self.scan(slice, context), Arc::clone(plan));
        self.spawn(async move { exemplars::job::run(&scan, &plan, grid, count).await })
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
            let Some(prepared) = job.prepare().await? else {
                return Ok("no spans".to_owned());
            };
            if analyze {
                job.run(&prepared).await?;
            }
            Ok(prepared.to_string_with_metrics(analyze))
        })
        .await
    }

    /// Runs work that needs no plan on the file of a block, on the threads of jobs. Dropping the
    /// future stops it.
    ///
    /// # Errors
    /// Those of the work; or the block has a newer format than this build reads.
    pub async fn read<T, F>(
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
        self.spawn(async move {
            let recovered = |error| recover(error, scan.context.limit);
            let Some(opened) = scan.open().await? else {
                return Ok(Vec::new());
            };
            let lowered = LoweredSearch::lower(&plan, window, opened.block()).map_err(recovered)?;
            let task = scan.task_context().map_err(recovered)?;
            let span_count = opened.span_count;
            let found = lowered.find(&plan, window, limits, opened, (&scan.session, &task));
            let found = found.await.map_err(recovered)?;
            scan.count_spans(span_count);
            Ok(found)
        })
        .await
    }

    /// The traces that may lie in several of these blocks, as far as one of those that a query
    /// `reads` is concerned. Reads the ids of the traces of those only, and looks them up in the id
    /// filters of the others; what is found for a pair of stored blocks is kept.
    ///
    /// # Errors
    /// If the store fails, or a block is damaged.
    pub async fn pieces(
        &self,
        stored: &[Arc<BlockMeta>],
        live: &[Arc<MemoryBlock>],
        reads: impl Fn(&BlockMeta) -> bool,
        context: &QueryContext,
    ) -> Result<Pieces, EngineError> {
        let mut pieces = Pieces::default();
        let mut unknown = Vec::new();
        let by_time = ByTime::new(stored);
        for (index, block) in stored.iter().enumerate().filter(|(_, block)| reads(block)) {
            // Those before it that are read, too, have met it already.
            let meets = |&(place, other): &(usize, &Arc<BlockMeta>)| {
                place > index || (place < index && !reads(other))
            };
            let mut of_block = Vec::new();
            for (_, other) in by_time.near(block).filter(meets) {
                match self.pairs.get(pair(block, other)) {
                    Some(found) => pieces.add((block, other), &found),
                    None => of_block.push(Arc::clone(other)),
                }
            }
            if !of_block.is_empty() {
                unknown.push((Arc::clone(block), of_block));
            }
        }
        let reads_of_ids = unknown.into_iter().map(|(block, others)| async move {
            let ids = self.trace_ids(&block, &others, context).await?;
            Ok::<_, EngineError>((block, others, ids))
        });
        let mut found = stream::iter(reads_of_ids).buffer_unordered(ID_READS_AT_ONCE);
        while let Some((block, others, ids)) = found.try_next().await? {
            for other in others {
                let common = self.common_traces(&ids, &block, &other, context).await?;
                self.pairs.insert(pair(&block, &other), &common);
                pieces.add((&block, &other), &common);
            }
        }
        for (index, block) in live.iter().enumerate() {
            for other in &live[index + 1..] {
                if pieces::within_reach(&block.meta, &other.meta) {
                    let found = pieces::common_live(block, other)?;
                    pieces.add((&block.meta, &other.meta), &found);
                }
            }
            let near = by_time.near(&block.meta).map(|(_, other)| other);
            let near: Vec<_> = near
                .filter(|other| reads(&block.meta) || reads(other))
                .collect();
            if near.is_empty() {
                continue;
            }
            let ids = live_trace_ids(block)?;
            for other in near {
                let common = self
                    .common_traces(&ids, &block.meta, other, context)
                    .await?;
                pieces.add((&block.meta, other), &common);
            }
        }
        Ok(pieces)
    }

    /// Those of a block's traces that are in a stored block, too.
    async fn common_traces(
        &self,
        ids: &[TraceId],
        block: &Arc<BlockMeta>,
        other: &Arc<BlockMeta>,
        context: &QueryContext,
    ) -> Result<Arc<[TraceId]>, EngineError> {
        let maybe = pieces::common(ids, other);
        if maybe.is_empty() {
            return Ok(maybe);
        }
        // The filter lets through one in a hundred that is not there, and to put such a trace
        // together costs far more than to look.
        let block = std::slice::from_ref(block);
        let there: HashSet<TraceId> = self
            .trace_ids(other, block, context)
            .await?
            .into_iter()
            .collect();
        Ok(maybe
            .iter()
            .filter(|id| there.contains(*id))
            .copied()
            .collect())
    }

    /// The traces of a stored block that lie within reach of one of some others.
    async fn trace_ids(
        &self,
        block: &Arc<BlockMeta>,
        others: &[Arc<BlockMeta>],
        context: &QueryContext,
    ) -> Result<Vec<TraceId>, EngineError> {
        let near = others
            .iter()
            .map(|other| pieces::row_groups_within_reach(block, other));
        let row_groups: Vec<usize> = near
            .flatten()
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect();
        let read = |file| async move { read_trace_ids(file, &row_groups).await };
        self.read(block, &context.counters, read).await
    }

    fn scan(&self, slice: Slice, context: &QueryContext) -> Scan {
        Scan {
            store: Arc::clone(&self.store),
            prefix: self.prefix.clone(),
            cache: Arc::clone(&self.cache),
            session: self.session.clone(),
            general: self.general,
            slice,
            context: context.clone(),
        }
    }

    fn job(
        &self,
        plan: &Arc<MetricsPlan>,
        grid: Grid,
        slice: Slice,
        context: &QueryContext,
    ) -> Job {
        Job {
            scan: self.scan(slice, context),
            plan: Arc::clone(plan),
            grid,
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

/// The same for both orders of two blocks.
fn pair(a: &BlockMeta, b: &BlockMeta) -> (BlockId, BlockId) {
    (a.block_id.min(b.block_id), a.block_id.max(b.block_id))
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
        .with_query_planner(Arc::new(SpansetQueryPlanner))
        .with_optimizer_rules(logical_rules())
        .with_physical_optimizer_rules(physical_rules())
        .build()
}

/// The rules that can change the logical plan of a job. It has no join, subquery, sort or limit, and
/// the rules for those take a large part of planning only to find nothing.
fn logical_rules() -> Vec<Arc<dyn OptimizerRule + Send + Sync>> {
    vec![
        Arc::new(SimplifyExpressions::new()),
        Arc::new(EliminateFilter::new()),
        Arc::new(PropagateEmptyRelation::new()),
        Arc::new(PushDownFilter::new()),
        Arc::new(CommonSubexprEliminate::new()),
        Arc::new(OptimizeProjections::new()),
    ]
}

/// The rules that can change the physical plan of a job, which runs in one partition.
fn physical_rules() -> Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> {
    vec![
        Arc::new(FilterPushdown::new()),
        Arc::new(CombinePartialFinalAggregate::new()),
        Arc::new(UseRangeAggregate),
        Arc::new(ProjectionPushdown::new()),
        Arc::new(EnsureCooperative::new()),
        Arc::new(SanityCheckPlan::new()),
    ]
}

/// One metrics job.
struct Job {
    scan: Scan,
    plan: Arc<MetricsPlan>,
    grid: Grid,
}

struct Prepared {
    lowered: Lowered,
    plan: Plan,
    /// Spans that are read.
    spans: u64,
}

enum Plan {
    /// One operator for all.
    Aggregate(Box<EncodedAggregate>),
    Compare(Box<EncodedCompare>),
    DataFusion {
        logical: String,
        physical: Arc<dyn ExecutionPlan>,
    },
}

impl Plan {
    /// One operator over encoded columns, where there is one for the query and its block.
    fn encoded(
        lowered: &Lowered,
        stored: &StoredRows<'_>,
        session: &dyn Session,
    ) -> DataFusionResult<Option<Self>> {
        if let Some(aggregate) = EncodedAggregate::plan(lowered, stored, session)? {
            return Ok(Some(Self::Aggregate(Box::new(aggregate))));
        }
        let compare = EncodedCompare::plan(lowered, stored, session)?;
        Ok(compare.map(|compare| Self::Compare(Box::new(compare))))
    }
}

impl Prepared {
    fn to_string_with_metrics(&self, metrics: bool) -> String {
        let (logical, physical) = match &self.plan {
            Plan::Aggregate(aggregate) => return aggregate.to_string(),
            Plan::Compare(compare) => return compare.to_string(),
            Plan::DataFusion { logical, physical } => (logical, physical.as_ref()),
        };
        let physical = if metrics {
            datafusion::physical_plan::display::DisplayableExecutionPlan::with_metrics(physical)
                .indent(false)
                .to_string()
        } else {
            displayable(physical).indent(false).to_string()
        };
        format!("{logical}\n{physical}")
    }
}

impl Job {
    /// Plans the job; `None` if there is nothing to run it on.
    async fn prepare(&self) -> Result<Option<Prepared>, EngineError> {
        let limit = self.scan.context.limit;
        // Nothing is evaluated where nothing can be selected, so nothing can fail.
        if self.plan.is_never() {
            return Ok(None);
        }
        let Some(mut opened) = self.scan.open().await? else {
            return Ok(None);
        };
        let session = &self.scan.session;
        let prepare = async {
            let lowered = lower(&self.plan, &self.grid, opened.block(), limit)?;
            // Inside the Parquet reader nothing would be left of an error but its text.
            if picks_few(&self.plan) && !lowered.filter_can_fail() {
                opened.expect_few();
            }
            let spans = opened.span_count;
            let encoded = match opened.stored() {
                Some(stored) => Plan::encoded(&lowered, &stored, session)?,
                None => None,
            };
            if let Some(plan) = encoded {
                return DataFusionResult::Ok(Prepared {
                    lowered,
                    plan,
                    spans,
                });
            }
            let scan = opened.scan(&lowered.columns())?;
            let logical = session.optimize(&lowered.logical_plan(scan)?)?;
            let shown = logical.display_indent().to_string();
            let physical = session.create_physical_plan(&logical).await?;
            let plan = Plan::DataFusion {
                logical: shown,
                physical,
            };
            DataFusionResult::Ok(Prepared {
                lowered,
                plan,
                spans,
            })
        };
        let prepared = prepare.await.map_err(|error| recover(error, limit))?;
        Ok(Some(prepared))
    }

    async fn run(&self, prepared: &Prepared) -> Result<PartialSeries, EngineError> {
        let limit = self.scan.context.limit;
        let recovered = |error| recover(error, limit);
        let lowered = &prepared.lowered;
        let empty = self.scan.context.empty_series(&self.plan, self.grid).0;
        let physical = match (&prepared.plan, empty) {
            (Plan::Aggregate(aggregate), Kind::Aggregates(mut series)) => {
                let groups = aggregate.aggregate(&self.scan.context.pool).await;
                series.add(groups.map_err(recovered)?, lowered.key_kinds())?;
                self.scan.count_spans(prepared.spans);
                return Ok(PartialSeries(Kind::Aggregates(series)));
            }
            (Plan::Compare(compare), Kind::Comparison(tally)) => {
                let tally = compare.count(&self.scan.context.pool, tally).await;
                let series = Kind::Comparison(tally.map_err(recovered)?);
                self.scan.count_spans(prepared.spans);
                return Ok(PartialSeries(series));
            }
            (Plan::Aggregate(_), Kind::Comparison(_)) | (Plan::Compare(_), Kind::Aggregates(_)) => {
                return Err(EngineError::other_query());
            }
            (Plan::DataFusion { physical, .. }, _) => physical,
        };
        let task = self.scan.task_context().map_err(recovered)?;
        let stream = || execute_stream(Arc::clone(physical), Arc::clone(&task)).map_err(recovered);
        let series = match self.scan.context.empty_series(&self.plan, self.grid).0 {
            Kind::Aggregates(mut series) => {
                let keys = lowered.key_kinds();
                if let Some(aggregate) = physical.downcast_ref::<RangeAggregateExec>() {
                    let groups = aggregate.aggregate(Arc::clone(&task)).await;
                    series.add(groups.map_err(recovered)?, keys)?;
                } else {
                    let mut stream = stream()?.map_err(recovered);
                    while let Some(batch) = stream.try_next().await? {
                        series.add_batch(&batch, keys)?;
                    }
                }
                Kind::Aggregates(series)
            }
            Kind::Comparison(tally) => {
                let session = &self.scan.session;
                let stream = stream()?;
                let reservation = MemoryConsumer::new("compare").register(task.memory_pool());
                let counter = lowered.counter(&stream.schema(), session, tally, reservation);
                let Some(mut counter) = counter.map_err(recovered)? else {
                    return Err(EngineError::other_query());
                };
                let mut stream = stream.map_err(recovered);
                while let Some(batch) = stream.try_next().await? {
                    counter.add(&batch).map_err(recovered)?;
                }
                Kind::Comparison(counter.finish().map_err(recovered)?)
            }
        };
        self.scan.count_spans(prepared.spans);
        Ok(PartialSeries(series))
    }
}
