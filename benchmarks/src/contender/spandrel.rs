//! Spandrel, through the same query path as its HTTP APIs.

use std::rc::Rc;
use std::sync::Arc;

use engine::search::TraceMatch;
use engine::{Engine, EngineOptions, Grid, LabelValue, MAX_EXEMPLARS, SeriesSet};
use frontend::names::NamesRequest;
use frontend::values::Values;
use frontend::{
    Answer, Dialect, ExplainMode, Explanation, Frontend, FrontendConfig, QueryStats, RangeRequest,
    SearchRequest, TraceRequest,
};
use prometheus::Registry;
use storage::ids::{TenantId, TraceId};
use storage::model::SpanGroup;
use storage::store::StoreLocation;
use storage::{SnapshotSource, SystemClock};
use tokio::runtime::Handle;

use super::Contender;
use crate::answer::{Cells, NO_LABEL};
use crate::api::Server;
use crate::dataset::Dataset;
use crate::error::BenchError;
use crate::suite::{Ask, Question, Value, Window};
use crate::usage::{Meter, Spent};

/// What is kept for the next query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cache {
    /// Columns, and parts of answers.
    On,
    /// Columns, but nothing of answers.
    Off,
    /// Footers only.
    NoColumns,
}

/// Spandrel with its default settings, but for those that cut answers: rivals answer in full.
pub(crate) struct Spandrel {
    location: StoreLocation,
    snapshots: Arc<dyn SnapshotSource>,
    options: EngineOptions,
    cache: Cache,
    frontend: Arc<Frontend>,
    runtime: Handle,
    /// What the last answer took, as Spandrel tells it.
    pub(crate) stats: QueryStats,
}

impl Spandrel {
    pub(crate) fn new(
        dataset: &Rc<Dataset>,
        threads: usize,
        cache: Cache,
        runtime: Handle,
    ) -> Result<Self, BenchError> {
        let snapshots = Arc::clone(&dataset.blocks);
        Self::over(dataset.location.clone(), snapshots, threads, cache, runtime)
    }

    /// Over whatever blocks the snapshots name.
    pub(crate) fn over(
        location: StoreLocation,
        snapshots: Arc<dyn SnapshotSource>,
        threads: usize,
        cache: Cache,
        runtime: Handle,
    ) -> Result<Self, BenchError> {
        let mut options = EngineOptions {
            threads,
            ..EngineOptions::default()
        };
        if cache == Cache::NoColumns {
            options.column_cache_bytes = 0;
        }
        let frontend = start(&location, Arc::clone(&snapshots), &options, cache)?;
        Ok(Self {
            location,
            snapshots,
            options,
            cache,
            frontend,
            runtime,
            stats: QueryStats::default(),
        })
    }

    /// Asks for series without looking at the answer.
    pub(crate) fn ask(
        &mut self,
        traceql: &str,
        grid: Grid,
    ) -> Result<(Spent, SeriesSet), BenchError> {
        let (spent, answer) = self.ask_with_exemplars(traceql, grid, 0)?;
        Ok((spent, answer.series))
    }

    /// Asks for series and at most so many exemplars of them.
    pub(crate) fn ask_with_exemplars(
        &mut self,
        traceql: &str,
        grid: Grid,
        exemplars: usize,
    ) -> Result<(Spent, Answer), BenchError> {
        let request = RangeRequest {
            exemplars,
            ..request(traceql, grid)
        };
        let meter = Meter::start_fine();
        let answer = self.runtime.block_on(self.frontend.query_range(&request))?;
        let spent = meter.spent();
        self.stats.clone_from(&answer.stats);
        Ok((spent, answer))
    }

    /// Asks for several at the same time, as the panels of a dashboard do.
    pub(crate) fn ask_all(&mut self, queries: &[(&str, Grid)]) -> Result<Spent, BenchError> {
        let requests: Vec<RangeRequest> = queries
            .iter()
            .map(|(traceql, grid)| request(traceql, *grid))
            .collect();
        let meter = Meter::start_fine();
        let answers = requests
            .iter()
            .map(|request| self.frontend.query_range(request));
        self.runtime
            .block_on(futures::future::try_join_all(answers))?;
        Ok(meter.spent())
    }

    /// Its APIs over HTTP.
    pub(crate) fn serve(&self) -> Result<Server, BenchError> {
        Server::start(Arc::clone(&self.frontend), self.runtime.clone())
    }

    pub(crate) fn explain(&self, traceql: &str, grid: Grid) -> Result<Explanation, BenchError> {
        let request = request(traceql, grid);
        let explained = self.frontend.explain(&request, ExplainMode::Analyze);
        Ok(self.runtime.block_on(explained)?)
    }

    pub(crate) fn search(&mut self, traceql: &str) -> Result<(Spent, Vec<TraceMatch>), BenchError> {
        let request = SearchRequest {
            tenants: vec![TenantId::single()],
            query: traceql.to_owned(),
            dialect: Dialect::default(),
            start_ns: 0,
            end_ns: i64::MAX,
            limit: SEARCH_LIMIT,
            spans_per_spanset: 3,
        };
        let meter = Meter::start_fine();
        let answer = self.runtime.block_on(self.frontend.search(&request))?;
        let spent = meter.spent();
        self.stats = answer.stats;
        Ok((spent, answer.traces))
    }

    fn trace(&mut self, id: &str) -> Result<(Spent, Vec<SpanGroup>), BenchError> {
        let mistake = || BenchError::Input(format!("{id} is not a trace id"));
        let request = TraceRequest {
            tenants: vec![TenantId::single()],
            trace_id: TraceId(
                u128::from_str_radix(id, 16)
                    .map_err(|_| mistake())?
                    .to_be_bytes(),
            ),
            start_ns: None,
            end_ns: None,
        };
        let meter = Meter::start_fine();
        let answer = self.runtime.block_on(self.frontend.trace(&request))?;
        let spent = meter.spent();
        self.stats = answer.stats;
        Ok((spent, answer.groups))
    }

    fn values(&mut self, name: &str) -> Result<(Spent, Values), BenchError> {
        let attribute = traceql::parse_attribute(name)
            .map_err(|_| BenchError::Input(format!("{name} is not an attribute")))?;
        let request = NamesRequest {
            tenants: vec![TenantId::single()],
            start_ns: 0,
            end_ns: i64::MAX,
            filter: None,
        };
        let limits = self.frontend.value_limits();
        let meter = Meter::start_fine();
        let values = self.frontend.values(&request, &attribute, limits);
        let values = self.runtime.block_on(values)?;
        let spent = meter.spent();
        self.stats = values.stats.clone();
        Ok((spent, values))
    }
}

/// Larger than any answer of the suite.
const SEARCH_LIMIT: usize = 10_000;
/// For the groups of many users, whose states are large.
const QUERY_MEMORY_BYTES: u64 = 4 << 30;

fn start(
    location: &StoreLocation,
    snapshots: Arc<dyn SnapshotSource>,
    options: &EngineOptions,
    cache: Cache,
) -> Result<Arc<Frontend>, BenchError> {
    let (store, prefix) = (Arc::clone(&location.store), location.prefix.clone());
    let engine = Arc::new(Engine::try_new(store, prefix, options)?);
    let config = config(cache);
    let clock = Arc::new(SystemClock);
    let frontend = Frontend::try_new(engine, snapshots, config, &Registry::new(), clock)?;
    Ok(Arc::new(frontend))
}

fn config(cache: Cache) -> FrontendConfig {
    let mut config = FrontendConfig::default();
    config.query_frontend.metrics.max_response_series = 0;
    config.query.max_memory_bytes = QUERY_MEMORY_BYTES;
    if cache != Cache::On {
        config.query_frontend.cache.max_bytes = 0;
    }
    config
}

fn request(traceql: &str, grid: Grid) -> RangeRequest {
    RangeRequest {
        tenants: vec![TenantId::single()],
        query: traceql.to_owned(),
        dialect: Dialect::default(),
        grid,
        max_series: None,
        exemplars: 0,
        timeout: None,
    }
}

impl Contender for Spandrel {
    fn name(&self) -> String {
        match self.cache {
            Cache::On | Cache::Off => "Spandrel",
            Cache::NoColumns => "Spandrel, no columns kept",
        }
        .to_owned()
    }

    fn forms(&self, _: &Question, _: &Window) -> Vec<&'static str> {
        vec!["TraceQL"]
    }

    fn answer(
        &mut self,
        question: &Question,
        window: &Window,
        _form: usize,
    ) -> Result<(Spent, Cells), BenchError> {
        let present = |label: String| ((label, 0), 1.0);
        Ok(match question.ask {
            Ask::Series => {
                let exemplars = if question.slowest { MAX_EXEMPLARS } else { 0 };
                let (spent, answer) =
                    self.ask_with_exemplars(question.text, window.grid, exemplars)?;
                if question.slowest && answer.exemplars.iter().all(Vec::is_empty) {
                    return Err(BenchError::Mismatch {
                        query: question.text.to_owned(),
                        difference: "there are no exemplars".to_owned(),
                    });
                }
                (spent, cells(&answer.series, question, window))
            }
            Ask::Search => {
                let (spent, traces) = self.search(question.text)?;
                let ids = traces.iter().map(|found| present(hex(&found.trace_id.0)));
                (spent, ids.collect())
            }
            Ask::Trace => {
                let (spent, groups) = self.trace(question.text)?;
                let spans = groups.iter().flat_map(|group| &group.spans);
                let ids = spans.map(|span| present(hex(&span.span_id.0)));
                (spent, ids.collect())
            }
            Ask::Values => {
                let (spent, values) = self.values(question.text)?;
                let texts = values.values.into_iter().map(|value| present(value.text));
                (spent, texts.collect())
            }
        })
    }

    fn forget(&mut self) -> Result<(), BenchError> {
        let snapshots = Arc::clone(&self.snapshots);
        self.frontend = start(&self.location, snapshots, &self.options, self.cache)?;
        Ok(())
    }
}

pub(super) fn cells(set: &SeriesSet, question: &Question, window: &Window) -> Cells {
    let scale = match question.value {
        Value::Quantile(_) => 1e9,
        Value::Count if question.text.contains("rate()") => set.grid.step_seconds(),
        Value::Count | Value::Average | Value::Present | Value::Compare => 1.0,
    };
    let mut cells = Cells::new();
    for series in &set.series {
        let mut labels = series.labels.iter().filter(|label| &*label.name != "p");
        let label = match question.value {
            Value::Compare => labels
                .map(|label| format!("{}={}", label.name, text(&label.value)))
                .collect::<Vec<_>>()
                .join(" "),
            _ if question.label.is_none() => String::new(),
            _ => labels
                .next_back()
                .map_or_else(|| NO_LABEL.to_owned(), |label| text(&label.value)),
        };
        // SQL numbers buckets by the exponent of their upper bound.
        let label = match series.labels.last() {
            Some(last) if &*last.name == "__bucket" => exponent(&last.value),
            _ => label,
        };
        for (index, value) in (0..set.grid.intervals).zip(series.values.iter()) {
            // Nothing to count is no cell in SQL.
            if value != 0.0 && !value.is_nan() {
                cells.insert((label.clone(), window.bin(index)), value * scale);
            }
        }
    }
    cells
}

fn exponent(bound: &LabelValue) -> String {
    match bound {
        LabelValue::Float(seconds) => format!("{:.0}", (seconds * 1e9).log2()),
        other => text(other),
    }
}

fn text(value: &LabelValue) -> String {
    match value {
        LabelValue::String(text) => text.to_string(),
        LabelValue::Int(value) => value.to_string(),
        LabelValue::Float(value) => value.to_string(),
        LabelValue::Bool(value) => value.to_string(),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
