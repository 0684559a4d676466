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
    Engine, EngineError, Fingerprint, Grid, MAX_EXEMPLARS, MetricsPlan, PartialExemplars, Pieces,
    QueryContext, SeriesPlan, SeriesSet, Slice,
};
use futures::StreamExt;
use prometheus::Registry;
use storage::block::MemoryBlock;
use storage::block::meta::BlockMeta;
use storage::ids::{BlockId, TenantId};
use storage::snapshot::{Snapshot, SnapshotSource};
use traceql::{Dialect, Notice, Position};

use crate::answer::{Answer, ExplainMode, Explanation, PartialReason, RangeRequest};
use crate::cache::{Keepable, StateCache, Wanted};
use crate::config::FrontendConfig;
use crate::error::QueryError;
use crate::execute::{Execution, JobRunner, Part, Task};
use crate::limits;
use crate::metrics::Metrics;
use crate::schedule::{ScheduleOptions, in_turn, run_jobs};
use crate::split::{Job, Jobs, SplitOptions, split};
use crate::stats::QueryStats;
use crate::threads::off_reactor;
use crate::turns::{QueueFull, Turn, Turns};

pub(crate) const MEMORY_LIMIT_KEY: &str = "query.max_memory_bytes";

/// Answers queries.
#[derive(Debug)]
pub struct Frontend {
    pub(crate) engine: Arc<Engine>,
    snapshots: Arc<dyn SnapshotSource>,
    config: FrontendConfig,
    query_turns: Turns,
    pub(crate) job_turns: Turns,
    pub(crate) metrics: Metrics,
    cache: StateCache,
}

impl Frontend {
    /// A frontend that answers from these snapshots and counts itself in this registry.
    ///
    /// # Errors
    /// If the registry has other metrics of the same names.
    pub fn try_new(
        engine: Arc<Engine>,
        snapshots: Arc<dyn SnapshotSource>,
        config: FrontendConfig,
        registry: &Registry,
    ) -> Result<Self, prometheus::Error> {
        let metrics = Metrics::register(registry)?;
        Ok(Self {
            engine,
            snapshots,
            query_turns: Turns::new(config.querier.max_concurrent_queries),
            job_turns: Turns::new(concurrent_jobs(&config)),
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
        self.metrics.count(stats, self.engine.cache_bytes());
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
            let context = self.context(&finished);
            let survivors = Survivors::prune(operand, &grid, &snapshots);
            let joins = self.join(operand, &grid, &snapshots, &context).await?;
            let work = self.plan_work(operand, &grid, &survivors, &joins);
            let stats = survivors.stats.clone();
            let execution = self.execute(request, operand, work, stats, &context);
            finished.add(execution.await?.finish(operand).await?);
            read = Some((survivors, joins));
        }
        let limit = self.series_limit(request.max_series);
        let exemplified = plan.exemplified().cloned();
        let context = self.context(&finished);
        let mut answer = finished.combine(plan, grid, limit).await?;
        if let (Some(plan), Some((survivors, joins))) = (exemplified, read) {
            // What a query of one operand read is where its exemplars are.
            self.add_exemplars(request, &plan, &survivors, &joins, &context, &mut answer)
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
            let context = self.context(&finished);
            let survivors = Survivors::prune(operand, &grid, &snapshots);
            steps.push(("prune", survivors.to_string()));
            let joins = self.join(operand, &grid, &snapshots, &context).await?;
            let work = self.plan_work(operand, &grid, &survivors, &joins);
            steps.push(("cache", work.to_string()));
            steps.push(("split", work.jobs.to_string()));
            if let Some(job) = work.jobs.0.first() {
                let slice = job.slice.clone();
                let analyze = mode == ExplainMode::Analyze;
                // Runs the job for its plan's counters; what the query reads is counted below.
                let own = self.context(&Finished::default());
                let lowered = self
                    .engine
                    .explain_job(operand, grid, slice, &own, analyze)
                    .await?;
                steps.push(("lower", lowered));
            }
            if mode == ExplainMode::Analyze {
                let execution = self
                    .execute(request, operand, work, survivors.stats, &context)
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

    /// The traces that lie in several blocks, if the query has to see whole traces.
    async fn join<'a>(
        &self,
        plan: &MetricsPlan,
        grid: &Grid,
        snapshots: &'a [Snapshot],
        context: &QueryContext,
    ) -> Result<Joins<'a>, QueryError> {
        let mut joins = Joins::default();
        if plan.needs_whole_traces() {
            for snapshot in snapshots {
                let Snapshot { manifest, live } = snapshot;
                // Also of blocks that were ruled out: a part that matches nothing by itself may
                // belong to a trace that does.
                let reads = |block: &BlockMeta| engine::may_count(grid, block);
                let pieces = self.engine.pieces(&manifest.blocks, live, reads, context);
                joins.0.push((pieces.await?, snapshot));
            }
        }
        Ok(joins)
    }

    /// What there is to do: jobs for what no kept state answers.
    fn plan_work(
        &self,
        plan: &MetricsPlan,
        grid: &Grid,
        survivors: &Survivors,
        joins: &Joins<'_>,
    ) -> Work {
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
        Work {
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
        request: &RangeRequest,
        plan: &Arc<MetricsPlan>,
        work: Work,
        stats: QueryStats,
        context: &QueryContext,
    ) -> Result<Execution, QueryError> {
        let runner = JobRunner {
            engine: Arc::clone(&self.engine),
            cache: self.cache.clone(),
            turns: self.job_turns.clone(),
            tenant: first(&request.tenants)?.clone(),
            plan: Arc::clone(plan),
            grid: request.grid,
            context: context.clone(),
        };
        let Work {
            kept,
            jobs,
            without,
        } = work;
        let task = |job: Job| Task {
            keepable: self.keepable(plan, &request.grid, &job.slice, &without),
            job,
        };
        let tasks = jobs.0.into_iter().map(task).collect();
        let options = self.schedule_options();
        runner.execute(kept, tasks, options, stats).await
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
        joins: &Joins<'_>,
        context: &QueryContext,
        answer: &mut Answer,
    ) -> Result<(), QueryError> {
        let (grid, tenant) = (request.grid, first(&request.tenants)?);
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
        let mut merged: PartialExemplars = context.empty_exemplars(grid, count);
        {
            let run = |job: &Job| {
                let (engine, plan) = (Arc::clone(&self.engine), Arc::clone(plan));
                let (slice, context) = (job.slice.clone(), context.clone());
                let job = async move {
                    engine
                        .exemplar_job(&plan, grid, slice, count, &context)
                        .await
                };
                in_turn(self.job_turns.clone(), tenant.clone(), job)
            };
            let mut results = pin!(run_jobs(jobs.0, self.schedule_options(), run));
            while let Some(result) = results.next().await {
                let completed = result?;
                stats.jobs_completed += 1;
                stats.jobs_retried += u64::from(completed.retries);
                merged.merge(completed.value)?;
            }
        }
        stats.inspected_bytes += context.counters.bytes_read();
        stats.storage_requests += context.counters.requests();
        stats.inspected_spans += context.counters.spans_inspected();
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
            // Two rounds per core level out jobs of unequal cost.
            min_jobs: u64::try_from(cores() * 2).unwrap_or(1),
        }
    }

    pub(crate) fn schedule_options(&self) -> ScheduleOptions {
        ScheduleOptions {
            concurrent_jobs: concurrent_jobs(&self.config),
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
pub(crate) fn first(tenants: &[TenantId]) -> Result<&TenantId, QueryError> {
    let none = QueryError::Internal("query without a tenant");
    tenants.first().ok_or(none)
}

fn concurrent_jobs(config: &FrontendConfig) -> usize {
    match config.query_frontend.metrics.concurrent_jobs {
        0 => cores() * 4,
        jobs => jobs,
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
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

    fn split(&self, plan: &MetricsPlan, grid: &Grid, options: &SplitOptions) -> Jobs {
        split(plan, grid, &self.stored, &[], &self.live, options)
    }
}

/// The traces of each snapshot that lie in several blocks.
#[derive(Debug, Default)]
struct Joins<'a>(Vec<(Pieces, &'a Snapshot)>);

impl Joins<'_> {
    /// The jobs such that they see whole traces.
    fn with(&self, jobs: Jobs) -> Jobs {
        self.0.iter().fold(jobs, |jobs, (pieces, snapshot)| {
            jobs.with_pieces(pieces, &snapshot.manifest.blocks, &snapshot.live)
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
struct Work {
    /// States that are there already.
    kept: Vec<Part>,
    /// What is left.
    jobs: Jobs,
    /// The traces that are left out of blocks.
    without: HashMap<BlockId, Fingerprint>,
}

impl fmt::Display for Work {
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
