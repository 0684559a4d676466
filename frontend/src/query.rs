//! From a query text to its series: the central path.
//!
//! ```text
//! parse → analyse → prune → cache → split → execute → merge
//! ```
//!
//! Each step is a call that returns a value, and each value prints: the typed query, the plan, the
//! surviving blocks, the states that are kept of them, the jobs, what running these took, and the series. A query that computes with
//! the series of several metrics queries takes the steps in the middle once for each of them, over
//! the same snapshots, and computes at the end. [`Frontend::explain`] is these printings in order. Lowering to a DataFusion plan happens inside the engine, once per job, because
//! columns differ between blocks; EXPLAIN shows it for the first job.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use engine::{
    EngineError, Fingerprint, Grid, Jobs, MAX_EXEMPLARS, MetricsPlan, PartialExemplars, Pieces,
    QueryContext, SeriesPlan, SeriesSet, Slice, Work,
};
use futures::StreamExt;
use prometheus::Registry;
use storage::block::MemoryBlock;
use storage::block::meta::BlockMeta;
use storage::ids::{BlockId, TenantId};
use storage::snapshot::{Snapshot, SnapshotSource};
use traceql::{Dialect, Notice, Position};

use crate::answer::{Answer, ExplainMode, Explanation, PartialReason, RangeRequest};
use crate::blocks::AllBlocks;
use crate::cache::{Keepable, StateCache, Wanted};
use crate::config::FrontendConfig;
use crate::error::QueryError;
use crate::execute::{Execution, JobRunner, Part, Task};
use crate::limits;
use crate::metrics::Metrics;
use crate::schedule::ScheduleOptions;
use crate::split::{Job, JobList, SplitOptions, split};
use crate::stats::QueryStats;
use crate::threads::off_reactor;
use crate::turns::{QueueFull, Turn, Turns};
use crate::workers::Workers;

pub(crate) const MEMORY_LIMIT_KEY: &str = "query.max_memory_bytes";

/// Answers queries.
#[derive(Debug)]
pub struct Frontend {
    jobs: Arc<dyn Jobs>,
    snapshots: Arc<dyn SnapshotSource>,
    config: FrontendConfig,
    query_turns: Turns,
    job_turns: Turns,
    pub(crate) metrics: Metrics,
    cache: StateCache,
}

impl Frontend {
    /// A frontend that answers from these snapshots, has its jobs run, and counts itself in this
    /// registry.
    ///
    /// # Errors
    /// If the registry has other metrics of the same names.
    pub fn try_new(
        jobs: Arc<dyn Jobs>,
        snapshots: Arc<dyn SnapshotSource>,
        config: FrontendConfig,
        registry: &Registry,
    ) -> Result<Self, prometheus::Error> {
        let metrics = Metrics::register(registry)?;
        Ok(Self {
            snapshots,
            query_turns: Turns::new(config.querier.max_concurrent_queries),
            job_turns: Turns::new(concurrent_jobs(&config, &*jobs)),
            jobs,
            cache: StateCache::new(config.query_frontend.cache.max_bytes, metrics.cache.clone()),
            config,
            metrics,
        })
    }

    /// The settings.
    #[must_use]
    pub fn config(&self) -> &FrontendConfig {
        &self.config
    }

    /// Counts what a query took.
    pub(crate) fn count(&self, stats: &QueryStats) {
        self.metrics.count(stats, self.jobs.cache_bytes());
    }

    /// Forgets what earlier queries came to, so that the next ones start afresh.
    pub fn clear_cache(&self) {
        self.cache.clear();
    }

    /// Answers a metrics query. Dropping the future stops all of its work.
    ///
    /// # Errors
    /// See [`QueryError`]; its kind says what to do.
    pub async fn query_range(&self, request: &RangeRequest) -> Result<Answer, QueryError> {
        let timer = self.metrics.start_query();
        let answer = self.answer(request);
        let mut result = self.within_deadline(request.timeout, answer).await;
        if let Ok(answer) = &mut result {
            answer.stats.elapsed = timer.elapsed();
            self.count(&answer.stats);
        }
        timer.finish(&result);
        result
    }

    async fn answer(&self, request: &RangeRequest) -> Result<Answer, QueryError> {
        let grid = request.grid;
        let query = self.parse(&request.query, request.dialect)?;
        let plan = SeriesPlan::analyse(&query)?;
        let _turn = self.enter(&request.tenants).await?;
        let snapshots = self.snapshots(&request.tenants).await?;
        let mut finished = Finished::default();
        let mut read = None;
        for operand in plan.operands() {
            let workers = self.workers(&request.tenants, self.context(&finished))?;
            let survivors = Survivors::prune(operand, &grid, &snapshots);
            let joins = Joins::find(operand, grid, &snapshots, &workers).await?;
            let cut = self.cut(operand, &grid, &survivors, &joins);
            let stats = survivors.stats.clone();
            let execution = self.execute(operand, grid, cut, stats, workers);
            finished.add(execution.await?.finish(operand).await?);
            read = Some((survivors, joins));
        }
        let limit = self.series_limit(request.max_series);
        let exemplified = plan.exemplified().cloned();
        let workers = self.workers(&request.tenants, self.context(&finished))?;
        let mut answer = finished.combine(plan, grid, limit).await?;
        if let (Some(plan), Some((survivors, joins))) = (exemplified, read) {
            // What a query of one operand read is where its exemplars are.
            self.add_exemplars(request, &plan, &survivors, &joins, &workers, &mut answer)
                .await?;
        }
        answer.notices = notices(&query, &request.query);
        Ok(answer)
    }

    /// The steps of a query, printed: with [`ExplainMode::Analyze`], to its end.
    ///
    /// # Errors
    /// As for [`Self::query_range`].
    pub async fn explain(
        &self,
        request: &RangeRequest,
        mode: ExplainMode,
    ) -> Result<Explanation, QueryError> {
        let steps = self.explain_steps(request, mode);
        self.within_deadline(request.timeout, steps).await
    }

    async fn explain_steps(
        &self,
        request: &RangeRequest,
        mode: ExplainMode,
    ) -> Result<Explanation, QueryError> {
        let grid = request.grid;
        let query = self.parse(&request.query, request.dialect)?;
        let mut steps = vec![("parse", query.to_string())];
        let plan = SeriesPlan::analyse(&query)?;
        let _turn = self.enter(&request.tenants).await?;
        let snapshots = self.snapshots(&request.tenants).await?;
        let mut finished = Finished::default();
        for operand in plan.operands() {
            steps.push(("analyse", operand.to_string()));
            let workers = self.workers(&request.tenants, self.context(&finished))?;
            let survivors = Survivors::prune(operand, &grid, &snapshots);
            steps.push(("prune", survivors.to_string()));
            let joins = Joins::find(operand, grid, &snapshots, &workers).await?;
            let cut = self.cut(operand, &grid, &survivors, &joins);
            steps.push(("cache", cut.to_string()));
            steps.push(("split", cut.jobs.to_string()));
            if let Some(job) = cut.jobs.0.first() {
                let slice = job.slice.clone();
                let analyze = mode == ExplainMode::Analyze;
                // Runs the job for its plan's counters; what the query reads is counted below.
                let own = self.workers(&request.tenants, self.whole_context())?;
                let lowered = own.explain(operand, grid, slice, analyze).await?;
                steps.push(("lower", lowered));
            }
            if mode == ExplainMode::Analyze {
                let execution = self
                    .execute(operand, grid, cut, survivors.stats, workers)
                    .await?;
                steps.push(("execute", execution.to_string()));
                finished.add(execution.finish(operand).await?);
            }
        }
        if mode == ExplainMode::Analyze {
            let limit = self.series_limit(request.max_series);
            let answer = finished.combine(plan, grid, limit).await?;
            steps.push(("merge", answer.to_string()));
        }
        Ok(Explanation { steps })
    }

    /// What there is to do: jobs for what no kept state answers.
    fn cut(&self, plan: &MetricsPlan, grid: &Grid, survivors: &Survivors, joins: &Joins) -> Cut {
        let mut kept = Vec::new();
        let mut stored = Vec::with_capacity(survivors.stored.len());
        let mut running = Vec::new();
        let mut without = HashMap::new();
        for (block, row_groups) in &survivors.stored {
            let left_out = joins.left_out_of(block.block_id);
            without.extend(left_out.map(|traces| (block.block_id, traces)));
            let wanted = Wanted {
                query: plan.fingerprint,
                grid: *grid,
                block,
                without: left_out,
            };
            let cover = self.cache.cover(&wanted, row_groups);
            let shared = |(state, placement)| Part::Shared(state, placement);
            kept.extend(cover.kept.into_iter().map(shared));
            let of_block = |row_groups| (Arc::clone(block), row_groups);
            running.extend(cover.running.into_iter().map(of_block));
            if !cover.rest.is_empty() || row_groups.is_empty() {
                stored.push(of_block(cover.rest));
            }
        }
        let live = &survivors.live;
        let jobs = split(plan, grid, &stored, &running, live, &self.split_options());
        Cut {
            kept,
            jobs: joins.with(jobs),
            without,
        }
    }

    /// Text to typed query.
    pub(crate) fn parse(
        &self,
        text: &str,
        dialect: Dialect,
    ) -> Result<traceql::ast::Query, QueryError> {
        let limit = self.config.query_frontend.max_query_expression_size_bytes;
        if text.len() > limit {
            return Err(QueryError::TooLong {
                bytes: text.len(),
                limit,
            });
        }
        traceql::compile_with(text, &dialect.into()).map_err(QueryError::Invalid)
    }

    /// Waits for a turn. A query over several tenants waits in the queue of the first.
    pub(crate) async fn enter(&self, tenants: &[TenantId]) -> Result<Turn, QueryError> {
        let tenant = first(tenants)?;
        let limit = self.config.query_frontend.max_outstanding_per_tenant;
        let turn = self.query_turns.take(tenant, limit).await;
        turn.map_err(|QueueFull| QueryError::QueueFull {
            tenant: tenant.clone(),
            limit,
        })
    }

    /// What each tenant's spans are at this moment: every acknowledged span in exactly one place.
    pub(crate) async fn snapshots(
        &self,
        tenants: &[TenantId],
    ) -> Result<Vec<Snapshot>, QueryError> {
        let distinct: BTreeSet<&TenantId> = tenants.iter().collect();
        let mut snapshots = Vec::with_capacity(distinct.len());
        for tenant in distinct {
            snapshots.push(self.snapshots.snapshot(tenant).await?);
        }
        Ok(snapshots)
    }

    /// Runs the jobs and merges their partial series as they come.
    async fn execute(
        &self,
        plan: &Arc<MetricsPlan>,
        grid: Grid,
        cut: Cut,
        stats: QueryStats,
        workers: Workers,
    ) -> Result<Execution, QueryError> {
        let runner = JobRunner {
            workers,
            cache: self.cache.clone(),
            plan: Arc::clone(plan),
            grid,
        };
        let Cut {
            kept,
            jobs,
            without,
        } = cut;
        let task = |job: Job| Task {
            keepable: self.keepable(plan, &grid, &job.slice, &without),
            job,
        };
        let tasks = jobs.0.into_iter().map(task).collect();
        runner.execute(kept, tasks, stats).await
    }

    /// How the state of a slice is kept. That of live spans is not, nor that of traces that lie in
    /// several blocks.
    fn keepable(
        &self,
        plan: &MetricsPlan,
        grid: &Grid,
        slice: &Slice,
        without: &HashMap<BlockId, Fingerprint>,
    ) -> Option<Keepable> {
        match slice {
            Slice::Stored { block, row_groups } => {
                let wanted = Wanted {
                    query: plan.fingerprint,
                    grid: *grid,
                    block,
                    without: without.get(&block.block_id).copied(),
                };
                self.cache.keepable(&wanted, row_groups)
            }
            Slice::Rest { slice, .. } => self.keepable(plan, grid, slice, without),
            Slice::Live(_) | Slice::Pieces(_) => None,
        }
    }

    /// Shows some of the spans that the series of an answer count, if that is asked for. Which those
    /// are is known only after another look at the spans.
    async fn add_exemplars(
        &self,
        request: &RangeRequest,
        plan: &Arc<MetricsPlan>,
        survivors: &Survivors,
        joins: &Joins,
        workers: &Workers,
        answer: &mut Answer,
    ) -> Result<(), QueryError> {
        let grid = request.grid;
        let count = match request.exemplars {
            0 => 0,
            asked => plan.exemplars.unwrap_or(asked).min(MAX_EXEMPLARS),
        };
        if count == 0 || answer.series.series.is_empty() {
            return Ok(());
        }
        let jobs = joins.with(survivors.split(plan, &grid, &self.split_options()));
        let stats = &mut answer.stats;
        stats.jobs_total += u64::try_from(jobs.0.len()).unwrap_or(u64::MAX);
        let mut merged = workers.context.empty_exemplars(grid, count);
        {
            let work = Work::Exemplars {
                plan: Arc::clone(plan),
                grid,
                count,
            };
            let slices = jobs.0.into_iter().map(|job| job.slice).collect();
            let mut results = pin!(workers.run_all::<PartialExemplars>(work, slices));
            while let Some(result) = results.next().await {
                let completed = result?;
                stats.jobs_completed += 1;
                stats.jobs_retried += u64::from(completed.retries);
                merged.merge(completed.value)?;
            }
        }
        let counters = &workers.context.counters;
        stats.inspected_bytes += counters.bytes_read();
        stats.storage_requests += counters.requests();
        stats.inspected_spans += counters.spans_inspected();
        answer.exemplars = merged.attach(plan, &answer.series);
        Ok(())
    }

    /// Gives up when the request or a setting says so.
    pub(crate) async fn within_deadline<T>(
        &self,
        requested: Option<Duration>,
        work: impl Future<Output = Result<T, QueryError>>,
    ) -> Result<T, QueryError> {
        let Some((timeout, key)) = limits::deadline(&self.config, requested) else {
            return work.await.map_err(|error| self.of_whole(error));
        };
        let timed_out = |_elapsed| QueryError::Timeout { timeout, key };
        tokio::time::timeout(timeout, work)
            .await
            .map_err(timed_out)?
            .map_err(|error| self.of_whole(error))
    }

    /// Those who do the work of a request of these tenants, which uses a context.
    pub(crate) fn workers(
        &self,
        tenants: &[TenantId],
        context: QueryContext,
    ) -> Result<Workers, QueryError> {
        Ok(Workers {
            jobs: Arc::clone(&self.jobs),
            turns: self.job_turns.clone(),
            tenant: first(tenants)?.clone(),
            options: self.schedule_options(),
            context,
        })
    }

    /// What a request may use of which nothing is used yet.
    pub(crate) fn whole_context(&self) -> QueryContext {
        QueryContext::new(self.config.query.max_memory_bytes, MEMORY_LIMIT_KEY)
    }

    /// What the next metrics query of a query may use: what those before it left.
    fn context(&self, finished: &Finished) -> QueryContext {
        let limit = self.config.query.max_memory_bytes;
        let left = limit.saturating_sub(finished.value_bytes());
        QueryContext::new(left, MEMORY_LIMIT_KEY)
    }

    /// The error of the whole query for that of a part of it, whose limit is what others left.
    fn of_whole(&self, error: QueryError) -> QueryError {
        match error {
            QueryError::Engine(EngineError::MemoryLimit {
                key: MEMORY_LIMIT_KEY,
                ..
            }) => QueryError::Engine(EngineError::MemoryLimit {
                limit_bytes: self.config.query.max_memory_bytes,
                key: MEMORY_LIMIT_KEY,
            }),
            other => other,
        }
    }

    pub(crate) fn split_options(&self) -> SplitOptions {
        let metrics = &self.config.query_frontend.metrics;
        SplitOptions {
            target_bytes_per_job: metrics.target_bytes_per_job,
            interval_ns: metrics
                .interval
                .limit()
                .map_or(i64::MAX, |_| metrics.interval.as_ns()),
            // Two rounds of all that run at once level out jobs of unequal cost.
            min_jobs: u64::try_from(self.jobs.capacity() * 2).unwrap_or(1),
        }
    }

    fn schedule_options(&self) -> ScheduleOptions {
        ScheduleOptions {
            concurrent_jobs: concurrent_jobs(&self.config, &*self.jobs),
            max_retries: self.config.query_frontend.max_retries,
        }
    }

    /// The smaller of the configured and the requested limit; 0 means none.
    fn series_limit(&self, requested: Option<usize>) -> Option<usize> {
        let limits = [
            Some(self.config.query_frontend.metrics.max_response_series),
            requested,
        ];
        limits
            .into_iter()
            .flatten()
            .filter(|limit| *limit > 0)
            .min()
    }
}

/// The tenant in whose queues a query and its jobs wait.
fn first(tenants: &[TenantId]) -> Result<&TenantId, QueryError> {
    let none = QueryError::Internal("query without a tenant");
    tenants.first().ok_or(none)
}

/// How many jobs are under way, of one query and of all.
fn concurrent_jobs(config: &FrontendConfig, jobs: &dyn Jobs) -> usize {
    match config.query_frontend.metrics.concurrent_jobs {
        // Most of them wait for the store.
        0 => jobs.capacity() * 4,
        configured => configured,
    }
}

/// The parts of all blocks that may hold selected spans, and what was ruled out.
#[derive(Debug)]
struct Survivors {
    stored: Vec<(Arc<BlockMeta>, Vec<usize>)>,
    live: Vec<Arc<MemoryBlock>>,
    stats: QueryStats,
}

impl Survivors {
    fn prune(plan: &MetricsPlan, grid: &Grid, snapshots: &[Snapshot]) -> Self {
        let mut stats = QueryStats::default();
        let (mut stored, mut live) = (Vec::new(), Vec::new());
        for snapshot in snapshots {
            for block in &snapshot.manifest.blocks {
                stats.blocks_total += 1;
                match engine::prune(plan, grid, block) {
                    Ok(row_groups) => {
                        let size = block.file.as_ref().map_or(0, |file| file.size_bytes);
                        stats.block_bytes = stats.block_bytes.saturating_add(size);
                        stored.push((Arc::clone(block), row_groups));
                    }
                    Err(reason) => stats.count_pruned(&reason),
                }
            }
            for block in &snapshot.live {
                stats.blocks_total += 1;
                match engine::prune(plan, grid, &block.meta) {
                    Ok(_) => live.push(Arc::clone(block)),
                    Err(reason) => stats.count_pruned(&reason),
                }
            }
        }
        Self {
            stored,
            live,
            stats,
        }
    }

    fn split(&self, plan: &MetricsPlan, grid: &Grid, options: &SplitOptions) -> JobList {
        split(plan, grid, &self.stored, &[], &self.live, options)
    }
}

/// The traces of each snapshot that lie in several blocks.
#[derive(Debug, Default)]
struct Joins(Vec<(Pieces, AllBlocks)>);

impl Joins {
    /// Looks for them, if the query has to see whole traces.
    async fn find(
        plan: &MetricsPlan,
        grid: Grid,
        snapshots: &[Snapshot],
        workers: &Workers,
    ) -> Result<Self, QueryError> {
        let mut joins = Self::default();
        if plan.needs_whole_traces() {
            for snapshot in snapshots {
                let blocks = AllBlocks::of(std::slice::from_ref(snapshot));
                // Also of blocks that were ruled out: a part that matches nothing by itself may
                // belong to a trace that does.
                let reads = move |block: &BlockMeta| engine::may_count(&grid, block);
                joins
                    .0
                    .push((workers.pieces(&blocks, reads).await?, blocks));
            }
        }
        Ok(joins)
    }

    /// The jobs such that they see whole traces.
    fn with(&self, jobs: JobList) -> JobList {
        self.0.iter().fold(jobs, |jobs, (pieces, blocks)| {
            jobs.with_pieces(pieces, &blocks.stored, &blocks.live)
        })
    }

    /// Which traces are left out where a block is evaluated by itself.
    fn left_out_of(&self, block: BlockId) -> Option<Fingerprint> {
        let mut pieces = self.0.iter();
        pieces.find_map(|(pieces, _)| pieces.left_out_of(block))
    }
}

/// What there is to do for a metrics query.
#[derive(Debug)]
struct Cut {
    /// States that are there already.
    kept: Vec<Part>,
    /// What is left.
    jobs: JobList,
    /// The traces that are left out of blocks.
    without: HashMap<BlockId, Fingerprint>,
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} states kept", self.kept.len())
    }
}

/// The series of the metrics queries that have been run, and what that took.
#[derive(Debug, Default)]
struct Finished {
    operands: Vec<SeriesSet>,
    stats: QueryStats,
}

impl Finished {
    fn add(&mut self, (series, stats): (SeriesSet, QueryStats)) {
        self.operands.push(series);
        self.stats.add(&stats);
    }

    fn value_bytes(&self) -> u64 {
        self.operands.iter().map(SeriesSet::value_bytes).sum()
    }

    /// Computes with the series and cuts them to the limit.
    async fn combine(
        self,
        plan: SeriesPlan,
        grid: Grid,
        series_limit: Option<usize>,
    ) -> Result<Answer, QueryError> {
        let Self { operands, stats } = self;
        let mut series = off_reactor(move || plan.combine(grid, operands)).await??;
        let partial = match series_limit {
            // At the limit the answer counts as cut, as in Tempo: clients rely on either reading.
            Some(limit) if series.series.len() >= limit => {
                series.series.truncate(limit);
                Some(PartialReason::SeriesLimit { limit })
            }
            _ => None,
        };
        Ok(Answer {
            series,
            exemplars: Vec::new(),
            stats,
            partial,
            notices: Vec::new(),
        })
    }
}

/// What is worth knowing about a query, each with its place.
fn notices(query: &traceql::ast::Query, text: &str) -> Vec<String> {
    let shown = |notice: &Notice| {
        let Position { line, column } = Position::of(notice.range.start, text);
        format!("{notice} at line {line}, column {column}")
    };
    traceql::notices(query).iter().map(shown).collect()
}

impl fmt::Display for Survivors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let row_groups: usize = self
            .stored
            .iter()
            .map(|(_, row_groups)| row_groups.len())
            .sum();
        write!(
            f,
            "{} of {} blocks: stored={} row_groups={row_groups} live={}",
            self.stats.blocks_kept(),
            self.stats.blocks_total,
            self.stored.len(),
            self.live.len(),
        )?;
        for (reason, count) in &self.stats.blocks_pruned {
            write!(f, "\n  pruned by {reason}: {count}")?;
        }
        Ok(())
    }
}
