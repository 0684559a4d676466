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

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use engine::{EngineError, Grid, Jobs, MetricsPlan, QueryContext, SeriesPlan};
use prometheus::Registry;
use storage::ids::TenantId;
use storage::snapshot::{Snapshot, SnapshotSource};
use traceql::{Dialect, Notice, Position};

use crate::answer::{Answer, ExplainMode, Explanation, RangeRequest};
use crate::cache::StateCache;
use crate::combine::{Finished, Finishing};
use crate::config::FrontendConfig;
use crate::cut::Cut;
use crate::error::QueryError;
use crate::execute::{Execution, JobRunner};
use crate::exemplars::{add_exemplars, exemplar_count};
use crate::joins::Joins;
use crate::limits;
use crate::metrics::Metrics;
use crate::schedule::ScheduleOptions;
use crate::split::SplitOptions;
use crate::stats::QueryStats;
use crate::survivors::Survivors;
use crate::turns::{QueueFull, Turn, Turns};
use crate::workers::Workers;

const MEMORY_LIMIT_KEY: &str = "query.max_memory_bytes";

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
        let finishing = Finishing {
            series_limit: self.series_limit(request.max_series),
            notices: notices(&query, &request.query),
        };
        let mut finished = Finished::default();
        let mut read = None;
        for operand in plan.operands() {
            let workers = self.workers(&request.tenants, finished.value_bytes())?;
            let survivors = Survivors::prune(operand, &grid, &snapshots);
            let joins = Joins::find(operand, grid, &snapshots, &workers).await?;
            let cut = self.cut(operand, &grid, &survivors, &joins);
            let stats = survivors.stats.clone();
            let execution = self.execute(operand, grid, cut, stats, workers);
            finished.add(execution.await?.finish(operand).await?);
            read = Some((survivors, joins));
        }
        let workers = self.workers(&request.tenants, finished.value_bytes())?;
        let mut answer = finished.combine(&plan, grid, &finishing).await?;
        if let (Some(plan), Some((survivors, joins))) = (plan.exemplified(), read) {
            let count = exemplar_count(plan, request.exemplars);
            if count > 0 && !answer.series.series.is_empty() {
                // What a query of one operand read is where its exemplars are.
                let jobs = joins.with(survivors.split(plan, &grid, &self.split_options()));
                add_exemplars(plan, count, jobs, &workers, &mut answer).await?;
            }
        }
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
            let workers = self.workers(&request.tenants, finished.value_bytes())?;
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
                let own = self.workers(&request.tenants, 0)?;
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
            let finishing = Finishing {
                series_limit: self.series_limit(request.max_series),
                notices: Vec::new(),
            };
            let answer = finished.combine(&plan, grid, &finishing).await?;
            steps.push(("merge", answer.to_string()));
        }
        Ok(Explanation { steps })
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

    /// Those who do the work of a request of these tenants, or of a part of it. They may use what
    /// the `held_bytes` of other parts leave of the memory of a query.
    pub(crate) fn workers(
        &self,
        tenants: &[TenantId],
        held_bytes: u64,
    ) -> Result<Workers, QueryError> {
        let left = self
            .config
            .query
            .max_memory_bytes
            .saturating_sub(held_bytes);
        Ok(Workers {
            jobs: Arc::clone(&self.jobs),
            turns: self.job_turns.clone(),
            tenant: first(tenants)?.clone(),
            options: ScheduleOptions {
                concurrent_jobs: concurrent_jobs(&self.config, &*self.jobs),
                max_retries: self.config.query_frontend.max_retries,
            },
            context: QueryContext::new(left, MEMORY_LIMIT_KEY),
        })
    }

    /// What there is to do for a metrics query.
    fn cut(&self, plan: &MetricsPlan, grid: &Grid, survivors: &Survivors, joins: &Joins) -> Cut {
        Cut::new(
            plan,
            grid,
            survivors,
            joins,
            &self.cache,
            &self.split_options(),
        )
    }

    /// Runs the jobs of a metrics query and merges their partial series as they come.
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
        runner.execute(cut, stats).await
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

/// What is worth knowing about a query, each with its place.
fn notices(query: &traceql::ast::Query, text: &str) -> Vec<String> {
    let shown = |notice: &Notice| {
        let Position { line, column } = Position::of(notice.range.start, text);
        format!("{notice} at line {line}, column {column}")
    };
    traceql::notices(query).iter().map(shown).collect()
}
