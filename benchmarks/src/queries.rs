//! The suites that rivals take part in: queries for series, and for single things.

use std::path::Path;
use std::rc::Rc;

use tokio::runtime::Handle;

use crate::answer::Bounds;
use crate::contender::{Cache, Contender, DataFusion, Spandrel, SqlProcess};
use crate::dataset::Dataset;
use crate::error::BenchError;
use crate::record::{Run, float};
use crate::rounds::{Effort, Mode, has_bounds, race};
use crate::suite::{LOOKUPS, METRICS, Question, WITH_SLOWEST, Window, trace_by_id};

pub(crate) const METRICS_SUITE: &str = "metrics";
pub(crate) const SMALL_SUITE: &str = "metrics, small blocks";
pub(crate) const EXEMPLARS_SUITE: &str = "exemplars";
pub(crate) const LOOKUP_SUITE: &str = "lookup";

/// Everyone, over the same spans.
pub(crate) struct Field {
    dataset: Rc<Dataset>,
    plain: Spandrel,
    caching: Spandrel,
    no_columns: Spandrel,
    duckdb: SqlProcess,
    others: Vec<Box<dyn Contender>>,
    mergetree: Option<SqlProcess>,
}

impl Field {
    /// Over blocks, and if there is a folder for it, ClickHouse's own table of the same spans.
    pub(crate) fn enter(
        dataset: &Rc<Dataset>,
        threads: usize,
        python: &Path,
        native: Option<&Path>,
        runtime: &Handle,
    ) -> Result<Self, BenchError> {
        let spandrel = |cache| Spandrel::new(dataset, threads, cache, runtime.clone());
        let others: Vec<Box<dyn Contender>> = vec![
            Box::new(DataFusion::new(dataset, threads, runtime.clone())?),
            Box::new(SqlProcess::clickhouse(dataset, threads, python)?),
        ];
        let mergetree = native
            .map(|folder| SqlProcess::mergetree(dataset, folder, threads, python))
            .transpose()?;
        Ok(Self {
            dataset: Rc::clone(dataset),
            plain: spandrel(Cache::Off)?,
            caching: spandrel(Cache::On)?,
            no_columns: spandrel(Cache::NoColumns)?,
            duckdb: SqlProcess::duckdb(dataset, threads, python)?,
            others,
            mergetree,
        })
    }

    /// Names with versions, Spandrel first.
    pub(crate) fn names(&mut self) -> Vec<String> {
        let contenders = self.contenders(Mode::Warm);
        contenders.iter().map(|one| one.name()).collect()
    }

    fn contenders(&mut self, mode: Mode) -> Vec<&mut dyn Contender> {
        let spandrel = match mode {
            Mode::Refresh => &mut self.caching,
            Mode::Warm | Mode::Cold => &mut self.plain,
        };
        let mut all: Vec<&mut dyn Contender> = vec![spandrel, &mut self.duckdb];
        for other in &mut self.others {
            all.push(&mut **other);
        }
        if let Some(native) = &mut self.mergetree {
            all.push(native);
        }
        if mode == Mode::Warm {
            all.push(&mut self.no_columns);
        }
        all
    }

    /// One question in one mode.
    fn ask(
        &mut self,
        run: &mut Run,
        suite: &str,
        question: &Question,
        mode: Mode,
        effort: Effort,
    ) -> Result<(), BenchError> {
        eprintln!("{suite} {}: {}", mode.name(), question.name);
        let bounds = self.bounds(question, mode)?;
        let dataset = Rc::clone(&self.dataset);
        let mut contenders = self.contenders(mode);
        let outcome = race(
            suite,
            question,
            mode,
            effort,
            &dataset,
            &mut contenders,
            bounds.as_ref(),
        )?;
        run.timings.extend(outcome.timings);
        if let Some(note) = outcome.note {
            run.note(&format!("{suite} {}", mode.name()), note);
        }
        Ok(())
    }

    fn bounds(&mut self, question: &Question, mode: Mode) -> Result<Option<Bounds>, BenchError> {
        if mode != Mode::Warm || !has_bounds(question) {
            return Ok(None);
        }
        let window = Window::whole(&self.dataset, question.cut)?;
        self.duckdb.percentile_bounds(question, &window)
    }

    /// Queries for series.
    pub(crate) fn metrics(
        &mut self,
        run: &mut Run,
        suite: &str,
        mode: Mode,
        effort: Effort,
        wanted: impl Fn(&Question) -> bool,
    ) {
        for question in METRICS.iter().filter(|question| wanted(question)) {
            let asked = self.ask(run, suite, question, mode, effort);
            run.keep_failure(suite, question.name, asked);
        }
    }

    /// Counts with the slowest trace of each cell; of Spandrel with exemplars.
    pub(crate) fn exemplars(
        &mut self,
        run: &mut Run,
        effort: Effort,
        wanted: impl Fn(&Question) -> bool,
    ) {
        let questions = METRICS.iter().filter(|question| wanted(question));
        for question in questions.filter(|question| WITH_SLOWEST.contains(&question.name)) {
            let question = question.with_slowest();
            let asked = self.ask(run, EXEMPLARS_SUITE, &question, Mode::Warm, effort);
            run.keep_failure(EXEMPLARS_SUITE, question.name, asked);
        }
    }

    /// Questions after single things, warm and cold, with the reads that they took Spandrel.
    pub(crate) fn lookups(
        &mut self,
        run: &mut Run,
        effort: Effort,
        wanted: impl Fn(&Question) -> bool,
    ) -> Result<(), BenchError> {
        let trace = trace_by_id(&self.some_trace()?);
        let questions = [trace].into_iter().chain(LOOKUPS.iter().copied());
        for question in questions.filter(|question| wanted(question)) {
            for mode in [Mode::Warm, Mode::Cold] {
                let asked = self.ask(run, LOOKUP_SUITE, &question, mode, effort);
                run.keep_failure(LOOKUP_SUITE, question.name, asked);
                let stats = self.plain.stats.clone();
                let mut figure = |name: &str, value| {
                    let name = format!("{name}, {}", mode.name());
                    run.figure(LOOKUP_SUITE, question.name, &name, float(value));
                };
                figure("requests to storage", stats.storage_requests);
                figure("bytes read", stats.inspected_bytes);
                figure("blocks looked into", stats.blocks_kept());
            }
        }
        Ok(())
    }

    /// The id of one of the traces that the first search finds.
    fn some_trace(&mut self) -> Result<String, BenchError> {
        let search = &LOOKUPS[0];
        let window = Window::whole(&self.dataset, search.cut)?;
        let (_, found) = self.plain.answer(search, &window, 0)?;
        let ids: Vec<String> = found.into_keys().map(|(id, _)| id).collect();
        let id = ids.get(ids.len() / 2).cloned();
        id.ok_or_else(|| BenchError::Input(format!("{} finds nothing", search.text)))
    }

    /// Bytes of a span, here and in ClickHouse's own table.
    pub(crate) fn sizes(&mut self, run: &mut Run) -> Result<(), BenchError> {
        let spans = float(self.dataset.spans());
        let ours = float(self.dataset.file_bytes());
        run.figure("size", "Spandrel's Parquet", "bytes per span", ours / spans);
        if let Some(native) = &mut self.mergetree
            && let Some(bytes) = native.table_bytes()?
        {
            let name = native.name();
            run.figure("size", &name, "bytes per span", bytes / spans);
        }
        Ok(())
    }
}
