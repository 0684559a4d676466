//! Running a query on spans that are cut into blocks in some way.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};

use engine::pieces::find;
use engine::search::{SearchLimits, SearchPlan, SearchWindow, SpanMatch, SpansetMatch, TraceMatch};
use engine::{
    AttributeValue, Engine, EngineError, EngineOptions, Exemplar, Grid, LabelValue, MetricsPlan,
    PairCache, PartialSeries, QueryContext, SeriesPlan, SeriesSet, Slice, SpanPlace, attach,
};
use object_store::ObjectStore;
use object_store::memory::InMemory;
use object_store::path::Path;
use storage::block::meta::BlockMeta;
use storage::block::{EncodeOptions, ReadBack, WriteOptions, encode, store_block, write_parquet};
use storage::compaction::rewrite::Rewrite;
use storage::compaction::workers::Workers;
use storage::ids::{BlockId, TenantId};
use storage::model::SpanGroup;
use storage::random::Random;
use storage::store::StoreLocation;
use testkit::reference::value::Value;
use testkit::reference::{self, RefSeries, SpanResult, SpansetResult, TraceResult};
use traceql::{Dialect, Query};

/// An engine over an empty store in memory.
pub(crate) struct Bench {
    store: Arc<dyn ObjectStore>,
    engine: Arc<Engine>,
    /// Whether what cannot match is left out.
    pub(crate) prune: bool,
}

/// What all benches share: making an engine costs more than most queries do.
struct Shared {
    store: Arc<dyn ObjectStore>,
    engine: Arc<Engine>,
    /// An engine that runs everything as DataFusion plans.
    general: Arc<Engine>,
}

static SHARED: LazyLock<Shared> = LazyLock::new(|| {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    Shared {
        engine: engine_over(&store, Path::default(), false),
        general: engine_over(&store, Path::default(), true),
        store,
    }
});

/// An engine over a store; if `general`, it runs everything as DataFusion plans.
fn engine_over(store: &Arc<dyn ObjectStore>, prefix: Path, general: bool) -> Arc<Engine> {
    let options = EngineOptions {
        threads: 2,
        general,
        ..EngineOptions::default()
    };
    let engine = Engine::try_new(Arc::clone(store), prefix, &options);
    Arc::new(engine.expect("threads start"))
}

/// Number of blocks made.
static BLOCKS: AtomicU64 = AtomicU64::new(0);

impl Bench {
    pub(crate) fn new() -> Self {
        Self {
            store: Arc::clone(&SHARED.store),
            engine: Arc::clone(&SHARED.engine),
            prune: true,
        }
    }

    /// Over a store that is there already; if `general`, everything runs as DataFusion plans.
    pub(crate) fn over(location: &StoreLocation, general: bool) -> Self {
        Self {
            store: Arc::clone(&location.store),
            engine: engine_over(&location.store, location.prefix.clone(), general),
            prune: true,
        }
    }

    /// The same store, but everything runs as DataFusion plans.
    pub(crate) fn general(&self) -> Self {
        Self {
            store: Arc::clone(&self.store),
            engine: Arc::clone(&SHARED.general),
            prune: self.prune,
        }
    }

    fn options(&mut self) -> EncodeOptions {
        let block = BLOCKS.fetch_add(1, Ordering::Relaxed) + 1;
        EncodeOptions::new(TenantId::single(), BlockId(ulid::Ulid(u128::from(block))))
    }

    /// The spans as one live block.
    pub(crate) fn live(&mut self, groups: &[SpanGroup]) -> Vec<Slice> {
        self.live_in_batches(groups, 65_536)
    }

    /// The spans as one live block in batches of so many rows.
    pub(crate) fn live_in_batches(
        &mut self,
        groups: &[SpanGroup],
        batch_rows: usize,
    ) -> Vec<Slice> {
        let options = EncodeOptions {
            batch_rows,
            ..self.options()
        };
        if groups.iter().all(|group| group.spans.is_empty()) {
            return Vec::new();
        }
        vec![Slice::Live(Arc::new(
            encode(groups, &options).expect("spans encode"),
        ))]
    }

    /// The spans as one stored block with row groups of about so many rows, one slice each.
    pub(crate) async fn stored(
        &mut self,
        groups: &[SpanGroup],
        row_group_rows: usize,
    ) -> Vec<Slice> {
        let options = WriteOptions {
            row_group_rows,
            ..WriteOptions::default()
        };
        self.written(groups, &options).await
    }

    /// The spans as one stored block, one slice for each of its row groups.
    pub(crate) async fn written(
        &mut self,
        groups: &[SpanGroup],
        options: &WriteOptions,
    ) -> Vec<Slice> {
        let mut slices = Vec::new();
        for slice in self.stored_as_one_slice(groups, options).await {
            if let Slice::Stored { block, row_groups } = slice {
                slices.extend(row_groups.into_iter().map(|index| Slice::Stored {
                    block: Arc::clone(&block),
                    row_groups: vec![index],
                }));
            }
        }
        slices
    }

    /// The spans as one stored block, all of it one slice.
    pub(crate) async fn stored_as_one_slice(
        &mut self,
        groups: &[SpanGroup],
        options: &WriteOptions,
    ) -> Vec<Slice> {
        let Some(Slice::Live(block)) = self.live(groups).pop() else {
            return Vec::new();
        };
        let encoded = write_parquet(&block, options).expect("a block is written");
        let block = store_block(&self.store, &Path::default(), encoded, ReadBack::Trust)
            .await
            .expect("memory takes it");
        let row_groups = (0..block.row_groups.len()).collect();
        vec![Slice::Stored { block, row_groups }]
    }

    /// Blocks that compaction has made of the spans: dealt out to three, some of them to two of these. One
    /// slice for each row group.
    pub(crate) async fn compacted(
        &mut self,
        groups: &[SpanGroup],
        row_group_rows: usize,
    ) -> Vec<Slice> {
        static WORKERS: LazyLock<Workers> =
            LazyLock::new(|| Workers::start(1).expect("a thread starts"));
        let mut parts = deal(groups, 3);
        let repeated: Vec<SpanGroup> = parts[0].iter().step_by(3).cloned().collect();
        parts[1].extend(repeated);
        let options = WriteOptions {
            row_group_rows,
            ..WriteOptions::default()
        };
        let mut inputs = Vec::new();
        for part in &parts {
            let slices = self.stored_as_one_slice(part, &options).await;
            inputs.extend(
                slices
                    .iter()
                    .filter_map(|slice| slice.block().map(Arc::clone)),
            );
        }
        if inputs.is_empty() {
            return Vec::new();
        }
        let rewrite = Rewrite {
            inputs: &inputs,
            window_length_s: i64::MAX / 1_000_000_000,
            piece_bits: 1,
            without: Arc::default(),
            options,
            read_back: ReadBack::Trust,
            workers: &WORKERS,
        };
        let random = Random::from_system();
        let rewritten = rewrite.run(&self.store, &Path::default(), &random).await;
        let outputs = rewritten.expect("blocks are rewritten").outputs;
        let slices = outputs.into_iter().flat_map(|block| {
            (0..block.row_groups.len()).map(move |index| Slice::Stored {
                block: Arc::clone(&block),
                row_groups: vec![index],
            })
        });
        slices.collect()
    }

    /// The spans in some layout, in small row groups.
    pub(crate) async fn lay_out(&mut self, groups: &[SpanGroup], layout: Layout) -> Vec<Slice> {
        self.lay_out_in(groups, layout, 2).await
    }

    /// The spans in some layout, with row groups of about so many rows where they are stored.
    pub(crate) async fn lay_out_in(
        &mut self,
        groups: &[SpanGroup],
        layout: Layout,
        row_group_rows: usize,
    ) -> Vec<Slice> {
        match layout {
            Layout::Live => self.live(groups),
            Layout::Stored => self.stored(groups, row_group_rows).await,
            Layout::Compacted => self.compacted(groups, row_group_rows).await,
            Layout::Pieces => {
                let mut slices = Vec::new();
                for (index, part) in deal(groups, 3).iter().enumerate() {
                    slices.extend(if index == 1 {
                        self.live(part)
                    } else {
                        self.stored(part, row_group_rows).await
                    });
                }
                slices
            }
        }
    }

    pub(crate) async fn run(
        &self,
        query: &str,
        grid: Grid,
        slices: Vec<Slice>,
    ) -> Result<SeriesSet, EngineError> {
        self.run_in(Dialect::default(), query, grid, slices).await
    }

    /// The answer to a metrics query of the dialect.
    pub(crate) async fn run_in(
        &self,
        dialect: Dialect,
        query: &str,
        grid: Grid,
        slices: Vec<Slice>,
    ) -> Result<SeriesSet, EngineError> {
        let query = traceql::compile_with(query, &dialect.into()).expect("the query compiles");
        self.answer(&query, grid, slices).await
    }

    /// The answer to a metrics query.
    pub(crate) async fn answer(
        &self,
        query: &Query,
        grid: Grid,
        slices: Vec<Slice>,
    ) -> Result<SeriesSet, EngineError> {
        let plan = SeriesPlan::analyse(query)?;
        let mut operands = Vec::new();
        for operand in plan.operands() {
            operands.push(self.run_operand(operand, grid, slices.clone()).await?);
        }
        plan.combine(grid, operands)
    }

    async fn run_operand(
        &self,
        plan: &Arc<MetricsPlan>,
        grid: Grid,
        slices: Vec<Slice>,
    ) -> Result<SeriesSet, EngineError> {
        let context = QueryContext::new(1 << 30, "test.memory");
        let mut merged = PartialSeries::empty(plan, grid, &context);
        for slice in self.jobs(plan, grid, slices, &context).await? {
            merged.merge(
                self.engine
                    .run_job(plan, (grid, false), slice, &context)
                    .await?,
            )?;
        }
        merged.finish(plan)
    }

    /// The slices that a query runs over. What is pruned must not have mattered.
    async fn jobs(
        &self,
        plan: &MetricsPlan,
        grid: Grid,
        slices: Vec<Slice>,
        context: &QueryContext,
    ) -> Result<Vec<Slice>, EngineError> {
        let mut slices = if plan.needs_whole_traces() {
            self.with_whole_traces(slices, context).await?
        } else {
            slices
        };
        if self.prune {
            slices.retain(|slice| kept(slice, |block| engine::prune(plan, &grid, block)));
        }
        Ok(slices)
    }

    /// The plan of a metrics query over a slice, as text.
    pub(crate) async fn explain(&self, query: &str, grid: Grid, slice: Slice) -> String {
        let query = traceql::compile(query).expect("the query compiles");
        let plan = SeriesPlan::analyse(&query).expect("a metrics query");
        let plan = &plan.operands()[0];
        let context = QueryContext::new(1 << 30, "test.memory");
        let explained = self.engine.explain_job(plan, grid, slice, &context, false);
        explained.await.expect("it can be explained")
    }

    /// The answer to a metrics query, and at most `count` exemplars of its series.
    pub(crate) async fn run_with_exemplars(
        &self,
        query: &str,
        grid: Grid,
        count: usize,
        slices: Vec<Slice>,
    ) -> Result<(SeriesSet, Vec<Vec<Exemplar>>), EngineError> {
        let query_of_text = traceql::compile(query).expect("the query compiles");
        let plan = SeriesPlan::analyse(&query_of_text)?;
        let Some(plan) = plan.exemplified() else {
            return Ok((self.run(query, grid, slices).await?, Vec::new()));
        };
        let context = QueryContext::new(1 << 30, "test.memory");
        let mut merged = PartialSeries::empty(plan, grid, &context);
        for slice in self.jobs(plan, grid, slices.clone(), &context).await? {
            let job = self.engine.run_job(plan, (grid, true), slice, &context);
            merged.merge(job.await?)?;
        }
        let candidates = merged.take_candidates().expect("candidates");
        let set = merged.finish(plan)?;
        let mut chosen = candidates.choose(count);
        for chosen in &mut chosen {
            let Some(SpanPlace { block, row }) = chosen.unread() else {
                continue;
            };
            let is_of = |slice: &&Slice| slice.block().is_some_and(|own| own.block_id == block);
            let slice = slices.iter().find(is_of).expect("a block that was read");
            let (rows, slice) = (Arc::from([row]), slice.clone());
            let job = self.engine.exemplar_job(plan, &rows, slice, &context);
            chosen.show(job.await?.remove(0));
        }
        let exemplars = attach(&chosen, plan, &set);
        Ok((set, exemplars))
    }

    /// The answer to a search with all spans of the newest traces.
    pub(crate) async fn find(
        &self,
        query: &Query,
        window: SearchWindow,
        traces: usize,
        slices: Vec<Slice>,
    ) -> Result<Vec<TraceMatch>, EngineError> {
        let plan = Arc::new(SearchPlan::analyse(query)?);
        let context = QueryContext::new(1 << 30, "test.memory");
        let limits = SearchLimits {
            traces,
            spans_per_spanset: usize::MAX,
            not_before_ns: None,
        };
        let mut found = Vec::new();
        for slice in self.with_whole_traces(slices, &context).await? {
            if !self.prune || kept(&slice, |block| engine::prune_search(&plan, window, block)) {
                let job = self
                    .engine
                    .search_job(&plan, window, limits, slice, &context);
                found.extend(job.await?);
            }
        }
        found.sort_by(TraceMatch::newest_first);
        found.truncate(traces);
        Ok(found)
    }

    /// The slices, with traces whose spans lie in several blocks in slices of their own.
    async fn with_whole_traces(
        &self,
        slices: Vec<Slice>,
        context: &QueryContext,
    ) -> Result<Vec<Slice>, EngineError> {
        let mut stored: Vec<Arc<BlockMeta>> = Vec::new();
        let mut live = Vec::new();
        for slice in &slices {
            match slice {
                Slice::Stored { block, .. }
                    if stored.iter().all(|held| held.block_id != block.block_id) =>
                {
                    stored.push(Arc::clone(block));
                }
                Slice::Live(block) => live.push(Arc::clone(block)),
                _ => {}
            }
        }
        let all = |_: &BlockMeta| true;
        let common = |slice, with: Vec<_>| async move {
            self.engine.common_traces(&with, slice, context).await
        };
        let pieces = find(&stored, &live, all, &PairCache::default(), common).await?;
        let rest = slices.into_iter().map(|slice| pieces.without(slice));
        Ok(rest.chain(pieces.slices(&stored, &live)).collect())
    }
}

/// How spans lie in blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// In one block in memory.
    Live,
    /// In one stored block.
    Stored,
    /// Every trace in parts, two stored and one live.
    Pieces,
    /// In two blocks that compaction has made.
    Compacted,
}

impl Layout {
    pub(crate) const ALL: [Self; 4] = [Self::Live, Self::Stored, Self::Pieces, Self::Compacted];
}

/// Deals spans out to parts, one at a time.
pub(crate) fn deal(groups: &[SpanGroup], parts: usize) -> Vec<Vec<SpanGroup>> {
    let mut dealt = vec![Vec::new(); parts];
    let mut next = 0;
    for group in groups {
        for span in &group.spans {
            dealt[next % parts].push(SpanGroup {
                resource: Arc::clone(&group.resource),
                scope: Arc::clone(&group.scope),
                spans: vec![span.clone()],
            });
            next += 1;
        }
    }
    dealt
}

/// Whether something of a slice is left after pruning.
fn kept(
    slice: &Slice,
    prune: impl Fn(&BlockMeta) -> Result<Vec<usize>, engine::PruneReason>,
) -> bool {
    match slice {
        Slice::Stored { block, row_groups } => {
            prune(block).is_ok_and(|kept| row_groups.iter().any(|group| kept.contains(group)))
        }
        Slice::Live(block) => prune(&block.meta).is_ok(),
        Slice::Rest { slice, .. } => kept(slice, prune),
        Slice::Pieces(_) => true,
    }
}

/// The engine's answer to a search in the reference evaluator's words.
pub(crate) fn as_trace_results(found: Vec<TraceMatch>) -> Vec<TraceResult> {
    let value = |value: &AttributeValue| match value {
        AttributeValue::Scalar(value) => scalar(value),
        AttributeValue::Array(values) => Value::Array(values.iter().map(scalar).collect()),
    };
    let attributes = |attributes: &[(String, AttributeValue)]| -> Vec<(String, Value)> {
        let pairs = attributes.iter();
        pairs
            .map(|(name, held)| (name.clone(), value(held)))
            .collect()
    };
    let span = |span: &SpanMatch| SpanResult {
        span_id: span.span_id,
        start_ns: span.start_ns,
        duration_ns: span.duration_ns,
        name: span.name.clone(),
        attributes: attributes(&span.attributes),
    };
    let spanset = |spanset: &SpansetMatch| SpansetResult {
        attributes: attributes(&spanset.attributes),
        matched: usize::try_from(spanset.matched).expect("few spans"),
        spans: spanset.spans.iter().map(span).collect(),
    };
    let count = |count: u64| usize::try_from(count).expect("few spans");
    let trace = |found: TraceMatch| TraceResult {
        trace_id: found.trace_id,
        root_service_name: found.root_service_name,
        root_name: found.root_name,
        start_ns: found.start_ns,
        duration_ns: found.duration_ns,
        spansets: found.spansets.iter().map(spanset).collect(),
        service_stats: found
            .services
            .into_iter()
            .map(|(service, stats)| {
                let stats = reference::ServiceStats {
                    span_count: count(stats.span_count),
                    error_count: count(stats.error_count),
                };
                (service, stats)
            })
            .collect(),
    };
    found.into_iter().map(trace).collect()
}

fn scalar(value: &LabelValue) -> Value {
    match value {
        LabelValue::String(text) => Value::String(text.to_string()),
        LabelValue::Int(value) => Value::Int(*value),
        LabelValue::Float(value) => Value::Float(*value),
        LabelValue::Bool(value) => Value::Bool(*value),
    }
}

/// The engine's answer in the reference evaluator's words.
pub(crate) fn as_reference(set: &SeriesSet) -> Vec<RefSeries> {
    let label = |value: &LabelValue| match value {
        LabelValue::String(text) => reference::LabelValue::String(text.to_string()),
        LabelValue::Int(value) => reference::LabelValue::Int(*value),
        LabelValue::Float(value) => reference::LabelValue::Float(*value),
        LabelValue::Bool(value) => reference::LabelValue::Bool(*value),
    };
    let series = set.series.iter().map(|series| RefSeries {
        labels: series
            .labels
            .iter()
            .map(|l| (l.name.to_string(), label(&l.value)))
            .collect(),
        values: series
            .values
            .iter()
            .map(|value| (!value.is_nan()).then_some(value))
            .collect(),
    });
    series.collect()
}

pub(crate) fn grid(of: reference::Grid) -> Grid {
    let intervals = u32::try_from(of.intervals).expect("few intervals");
    Grid {
        start_ns: of.start_ns,
        step_ns: of.step_ns,
        intervals,
    }
}

pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime starts")
        .block_on(future)
}
