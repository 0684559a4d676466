//! From a query text to its series: the central path.
//!
//! ```text
//! parse → snapshot → analyse → prune → join → cache → split → execute → merge → exemplars
//! ```
//!
//! Each step is a call that returns a value, and each value prints: the typed query, what is stored, the
//! plan, the surviving blocks, the traces that lie in several of them, the states that are kept, the
//! jobs, what running these took, the series, and the spans shown beside them. A query over the series of
//! several metrics queries takes the steps from analyse to execute once for each, over the same snapshots.
//!
//! There is one path, [`Frontend::watch`], and it is watched: an answer is the path with an observer that
//! looks away, EXPLAIN the path with one that prints. Lowering to a DataFusion plan happens inside the
//! engine, once per job, because columns differ between blocks; EXPLAIN shows it for the first job.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use engine::{EngineError, Jobs, PairCache, QueryContext, SeriesPlan};
use prometheus::Registry;
use storage::Clock;
use storage::ids::TenantId;
use storage::snapshot::{Snapshot, SnapshotSource, Times};
use traceql::{Dialect, Notice, Position};

use crate::answer::{Answer, ExplainMode, Explanation, RangeRequest};
use crate::cache::StateCache;
use crate::combine::{Finished, Finishing};
use crate::config::FrontendConfig;
use crate::cut::Cut;
use crate::error::QueryError;
use crate::execute::JobRunner;
use crate::exemplars::{add_exemplars, exemplar_count};
use crate::joins::Joins;
use crate::limits;
use crate::metrics::Metrics;
use crate::observe::{Explain, Observe, Step};
use crate::schedule::ScheduleOptions;
use crate::snapshots::{SecondLook, Taken, times_of};
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
    pairs: Arc<PairCache>,
    clock: Arc<dyn Clock>,
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
        clock: Arc<dyn Clock>,
    ) -> Result<Self, prometheus::Error> {
        let metrics = Metrics::register(registry)?;
        Ok(Self {
            snapshots,
            query_turns: Turns::new(config.querier.max_concurrent_queries),
            job_turns: Turns::new(concurrent_jobs(&config, &*jobs)),
            jobs,
            cache: StateCache::new(config.query_frontend.cache.max_bytes, metrics.cache.clone()),
            pairs: Arc::default(),
            config,
            metrics,
            clock,
        })
    }

    /// The wall clock, ns since the epoch.
    pub(crate) fn now_ns(&self) -> i64 {
        self.clock.now_ns()
    }

    /// The clock that says how long something took.
    pub(crate) fn instant(&self) -> Instant {
        self.clock.instant()
    }

    /// The settings of queries.
    #[must_use]
    pub fn config(&self) -> &FrontendConfig {
        &self.config
    }

    /// Counts what a query took among the metrics of the process.
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
        let answer = self.watch(request, &mut ()).await?;
        answer.ok_or(QueryError::Internal("a query ended before its answer"))
    }

    /// Answers a metrics query, and shows an observer how; no answer if the observer wants no more
    /// than the plans. Dropping the future stops all of its work.
    ///
    /// # Errors
    /// As for [`Self::query_range`].
    pub async fn watch(
        &self,
        request: &RangeRequest,
        seen: &mut impl Observe,
    ) -> Result<Option<Answer>, QueryError> {
        let timer = self.metrics.start_query(&*self.clock);
        let path = self.answer(request, seen);
        let mut result = self.within_deadline(request.timeout, path).await;
        if let Ok(Some(answer)) = &mut result {
            answer.stats.elapsed = timer.elapsed();
            self.count(&answer.stats);
        }
        timer.finish(&result);
        result
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
        let mut printed = Explain::new(mode);
        let path = self.answer(request, &mut printed);
        self.within_deadline(request.timeout, path).await?;
        Ok(printed.printed())
    }

    /// The path. `None` if the observer wants no more than the plans.
    async fn answer(
        &self,
        request: &RangeRequest,
        seen: &mut impl Observe,
    ) -> Result<Option<Answer>, QueryError> {
        let query = self.parse(&request.query, request.dialect)?;
        seen.step(Step::Parse, &query);
        let finishing = Finishing {
            plan: Arc::new(SeriesPlan::analyse(&query)?),
            series_limit: self.series_limit(request.max_series),
            notices: notices(&query, &request.query),
        };
        let _turn = self.enter(&request.tenants).await?;
        let mut second = SecondLook::default();
        loop {
            let times = times_of(&finishing.plan, &request.grid);
            let snapshots = self.snapshots(&request.tenants, times).await?;
            let answer = self.answer_from(request, &finishing, &snapshots, seen);
            match answer.await {
                Err(error) if second.helps(&error) => {}
                answer => return answer,
            }
        }
    }

    /// The path from what the spans are at one moment.
    async fn answer_from(
        &self,
        request: &RangeRequest,
        finishing: &Finishing,
        snapshots: &[Snapshot],
        seen: &mut impl Observe,
    ) -> Result<Option<Answer>, QueryError> {
        let (grid, options, plan) = (request.grid, self.split_options(), &*finishing.plan);
        seen.step(Step::Snapshot, &Taken(snapshots));
        let count = exemplar_count(plan, request.exemplars);
        let mut finished = Finished::default();
        let mut chosen = None;
        for operand in plan.operands() {
            seen.step(Step::Analyse, operand);
            let workers = self.workers(&request.tenants, finished.value_bytes())?;
            let survivors = Survivors::prune(operand, &grid, snapshots);
            seen.step(Step::Prune, &survivors);
            let joins = Joins::find(operand, grid, snapshots, &workers).await?;
            seen.step(Step::Join, &joins);
            let over = (&grid, count > 0);
            let cut = Cut::new(operand, over, &survivors, &joins, &self.cache, &options);
            seen.step(Step::Cache, &cut);
            seen.step(Step::Split, &cut.jobs);
            let first = cut.jobs.0.first().map(|job| job.slice.clone());
            let mut execution = None;
            if seen.takes(Step::Execute) {
                let runner = JobRunner {
                    workers,
                    cache: self.cache.clone(),
                    plan: Arc::clone(operand),
                    grid,
                    chooses: count > 0,
                };
                let stats = survivors.stats.clone();
                let interim = (plan.operands().len() == 1).then_some(finishing);
                execution = Some(runner.execute(cut, stats, interim, seen).await?);
            }
            if let (true, Some(slice)) = (seen.takes(Step::Lower), first) {
                // With counters a job runs once more: after the query, whose reads are its own.
                let own = self.workers(&request.tenants, 0)?;
                let lowered = own.explain(operand, grid, slice, execution.is_some());
                seen.step(Step::Lower, &lowered.await?);
            }
            if let Some(mut execution) = execution {
                seen.step(Step::Execute, &execution);
                let candidates = execution.take_candidates();
                finished.add(execution.finish(operand).await?);
                chosen = candidates.map(|candidates| (candidates, survivors));
            }
        }
        if !seen.takes(Step::Execute) {
            return Ok(None);
        }
        let workers = self.workers(&request.tenants, finished.value_bytes())?;
        let mut answer = finished.combine(finishing, grid).await?;
        seen.step(Step::Merge, &answer);
        if let (Some(plan), Some((candidates, survivors)), 1..) =
            (plan.exemplified(), chosen, count)
        {
            let readers = (&survivors, &workers);
            let shown = add_exemplars(plan, count, candidates, readers, &mut answer).await?;
            seen.step(Step::Exemplars, &shown);
        }
        Ok(Some(answer))
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

    /// What each tenant's spans of some times are at this moment: every acknowledged span in one place.
    pub(crate) async fn snapshots(
        &self,
        tenants: &[TenantId],
        times: Times,
    ) -> Result<Vec<Snapshot>, QueryError> {
        let distinct: BTreeSet<&TenantId> = tenants.iter().collect();
        let mut snapshots = Vec::with_capacity(distinct.len());
        for tenant in distinct {
            snapshots.push(self.snapshots.snapshot(tenant, &times).await?);
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
            pairs: Arc::clone(&self.pairs),
            context: QueryContext::new(left, MEMORY_LIMIT_KEY),
        })
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
