//! Spandrel, through the same query path as its HTTP APIs.

use std::sync::Arc;

use engine::{Engine, EngineOptions, Grid, LabelValue, SeriesSet};
use frontend::query::ExplainMode;
use frontend::{Dialect, Explanation, Frontend, FrontendConfig, QueryStats, RangeRequest};
use prometheus::Registry;
use storage::ids::TenantId;
use tokio::runtime::Handle;

use super::Contender;
use crate::answer::{Cells, NO_LABEL};
use crate::dataset::Dataset;
use crate::error::BenchError;
use crate::suite::{Measure, Question};
use crate::usage::{Meter, Spent};

/// Spandrel with its default settings, but that every query computes its answer.
pub(crate) struct Spandrel {
    frontend: Frontend,
    grid: Grid,
    runtime: Handle,
    /// What the last answer took, as Spandrel tells it.
    pub(crate) stats: QueryStats,
}

impl Spandrel {
    pub(crate) fn new(
        dataset: &Dataset,
        threads: usize,
        runtime: Handle,
    ) -> Result<Self, BenchError> {
        let options = EngineOptions {
            threads,
            ..EngineOptions::default()
        };
        let (store, prefix) = (
            Arc::clone(&dataset.location.store),
            dataset.location.prefix.clone(),
        );
        let engine = Arc::new(Engine::try_new(store, prefix, &options)?);
        let snapshots = Arc::clone(&dataset.blocks);
        let mut config = FrontendConfig::default();
        config.query_frontend.cache.max_bytes = 0;
        let frontend = Frontend::try_new(engine, snapshots, config, &Registry::new())?;
        Ok(Self {
            frontend,
            grid: dataset.grid,
            runtime,
            stats: QueryStats::default(),
        })
    }

    fn request(&self, traceql: &str) -> RangeRequest {
        RangeRequest {
            tenants: vec![TenantId::single()],
            query: traceql.to_owned(),
            dialect: Dialect::default(),
            grid: self.grid,
            max_series: None,
            exemplars: 0,
            timeout: None,
        }
    }

    /// Asks without looking at the answer.
    pub(crate) fn ask(&mut self, traceql: &str) -> Result<(Spent, SeriesSet), BenchError> {
        let request = self.request(traceql);
        let meter = Meter::start_fine();
        let answer = self.runtime.block_on(self.frontend.query_range(&request))?;
        let spent = meter.spent();
        self.stats = answer.stats;
        Ok((spent, answer.series))
    }

    pub(crate) fn explain(&self, traceql: &str) -> Result<Explanation, BenchError> {
        let request = self.request(traceql);
        Ok(self
            .runtime
            .block_on(self.frontend.explain(&request, ExplainMode::Analyze))?)
    }
}

impl Contender for Spandrel {
    fn name(&self) -> String {
        "Spandrel".to_owned()
    }

    fn forms(&self, _: &Question) -> Vec<&'static str> {
        vec!["TraceQL"]
    }

    fn answer(&mut self, question: &Question, _form: usize) -> Result<(Spent, Cells), BenchError> {
        let (spent, series) = self.ask(&question.traceql)?;
        Ok((spent, cells(&series, question)))
    }
}

fn cells(set: &SeriesSet, question: &Question) -> Cells {
    let scale = match question.measure {
        Measure::P99 => 1e9,
        Measure::Count if question.per_second => set.grid.step_seconds(),
        Measure::Count => 1.0,
    };
    let mut cells = Cells::new();
    for series in &set.series {
        let own = series
            .labels
            .iter()
            .find(|label| question.has_label() && label.name != "p");
        let label = own.map_or_else(|| NO_LABEL.to_owned(), |label| text(&label.value));
        for (index, value) in (0..set.grid.intervals).zip(&series.values) {
            // Nothing to count is no cell in SQL.
            if *value != 0.0 && !value.is_nan() {
                let bin = set.grid.sample_ns(index) / set.grid.step_ns;
                cells.insert((label.clone(), bin), value * scale);
            }
        }
    }
    cells
}

fn text(value: &LabelValue) -> String {
    match value {
        LabelValue::String(text) => text.clone(),
        LabelValue::Int(value) => value.to_string(),
        LabelValue::Float(value) => value.to_string(),
        LabelValue::Bool(value) => value.to_string(),
    }
}
