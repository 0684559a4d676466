//! All suites in a row, and what is written of them.

use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use tokio::runtime::Runtime;

use crate::dataset::{Dataset, runtime};
use crate::error::BenchError;
use crate::ingest::{self, LoadOptions};
use crate::prepare::{self, Layout, PrepareOptions};
use crate::queries::{Field, METRICS_SUITE, SMALL_SUITE};
use crate::record::{Run, Settings, cores};
use crate::rounds::{Effort, Mode};
use crate::suite::Question;
use crate::{dashboard, grafana, growth, planning, report};

#[derive(Debug, Args)]
pub(crate) struct RunOptions {
    #[command(flatten)]
    data: PrepareOptions,
    /// Fewer rounds and fewer suites, for a first look
    #[arg(long)]
    quick: bool,
    /// Only these suites
    #[arg(long, value_enum, value_delimiter = ',')]
    suite: Vec<Suite>,
    /// Only queries with this in their name
    #[arg(long)]
    only: Option<String>,
    /// How often each engine answers each query
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: Option<u32>,
    /// Threads of each engine; by default one per core
    #[arg(long, default_value_t = cores())]
    threads: usize,
    /// A Python that has the packages duckdb, chdb and pyarrow
    #[arg(long, default_value = "target/bench-venv/bin/python")]
    python: PathBuf,
    /// The server to send spans to; by default the one that was built beside this program
    #[arg(long)]
    server: Option<PathBuf>,
    /// Where to write: report, with .json measurements, and with .svg the plot
    #[arg(long, default_value = "target/bench-data/results.md")]
    out: PathBuf,
}

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Suite {
    /// Queries for series: warm, cold, refreshed
    Metrics,
    /// The same, warm, on many small blocks
    Small,
    /// Counts with the slowest trace of each interval, of Spandrel with exemplars
    Exemplars,
    /// Queries for series over HTTP, as Grafana asks them and without exemplars
    Grafana,
    /// Traces by id, searches, values of attributes
    Lookup,
    /// Panels refreshed together: in this process, and over HTTP as Grafana asks
    Dashboard,
    /// Queries over catalogs of one and of very many blocks
    Planning,
    /// Time and memory over more and more data
    Growth,
    /// Requests over sockets to a running server
    Ingest,
}

impl RunOptions {
    fn wants(&self, suite: Suite) -> bool {
        if self.suite.is_empty() {
            !(self.quick && suite == Suite::Small)
        } else {
            self.suite.contains(&suite)
        }
    }

    fn wants_question(&self, question: &Question) -> bool {
        let only = self.only.as_ref();
        only.is_none_or(|only| question.name.contains(only.as_str()))
    }

    fn effort(&self) -> Effort {
        let (rounds, budget) = if self.quick { (3, 1) } else { (7, 4) };
        Effort {
            rounds: self.rounds.unwrap_or(rounds),
            budget: Duration::from_secs(budget),
        }
    }

    /// Cold rounds spread less, and take longer.
    fn cold(&self) -> Effort {
        Effort {
            rounds: self.effort().rounds.min(3),
            ..self.effort()
        }
    }

    fn server(&self) -> Result<PathBuf, BenchError> {
        if let Some(server) = &self.server {
            return Ok(server.clone());
        }
        let own = std::env::current_exe().map_err(BenchError::file("find", "this program"))?;
        Ok(own.with_file_name("spandrel"))
    }
}

pub(crate) fn run(options: &RunOptions) -> Result<(), BenchError> {
    let runtime = runtime()?;
    let effort = options.effort();
    let open = |layout: Layout| {
        if prepare::prepare(&options.data, layout, &runtime)?.is_some() {
            eprintln!("made {} blocks", layout.name());
        }
        let folder = layout.folder(&options.data);
        Ok::<_, BenchError>(Rc::new(Dataset::open(&folder, &runtime)?))
    };
    let (large, small) = (open(Layout::Large)?, open(Layout::Small)?);
    let mut run = Run::start(Settings {
        spans: large.spans(),
        blocks: large.files.len(),
        small_blocks: small.files.len(),
        threads: options.threads,
        rounds: effort.rounds,
    });
    suites(&mut run, options, &large, &small, &runtime)?;
    if run.failures.is_empty() {
        Ok(())
    } else {
        Err(BenchError::Input(run.failures.join("\n")))
    }
}

fn suites(
    run: &mut Run,
    options: &RunOptions,
    large: &Rc<Dataset>,
    small: &Rc<Dataset>,
    runtime: &Runtime,
) -> Result<(), BenchError> {
    let (effort, threads, handle) = (options.effort(), options.threads, runtime.handle());
    let native = options.data.native_folder()?;
    let enter = |dataset, native| Field::enter(dataset, threads, &options.python, native, handle);
    let wanted = |question: &Question| options.wants_question(question);
    if options.wants(Suite::Metrics) {
        let mut field = enter(large, Some(&*native))?;
        run.engines = field.names();
        field.sizes(run)?;
        for (mode, effort) in [
            (Mode::Warm, effort),
            (Mode::Refresh, effort),
            (Mode::Cold, options.cold()),
        ] {
            field.metrics(run, METRICS_SUITE, mode, effort, wanted);
            write(run, &options.out)?;
        }
    }
    if options.wants(Suite::Exemplars) {
        let mut field = enter(large, Some(&*native))?;
        if run.engines.is_empty() {
            run.engines = field.names();
        }
        field.exemplars(run, effort, wanted);
        write(run, &options.out)?;
    }
    if options.wants(Suite::Grafana) {
        grafana::run(run, large, effort, threads, handle, wanted)?;
        write(run, &options.out)?;
    }
    if options.wants(Suite::Dashboard) {
        dashboard::run(run, large, effort.rounds, threads, handle)?;
    }
    if options.wants(Suite::Small) {
        let mut field = enter(small, None)?;
        // The queries of Drilldown are those of the others in other intervals.
        let basic = |question: &Question| wanted(question) && !question.name.starts_with('D');
        field.metrics(run, SMALL_SUITE, Mode::Warm, effort, basic);
        write(run, &options.out)?;
    }
    if options.wants(Suite::Lookup) {
        let mut field = enter(small, Some(&*native))?;
        if run.engines.is_empty() {
            run.engines = field.names();
        }
        field.lookups(run, options.cold(), wanted)?;
        write(run, &options.out)?;
    }
    if options.wants(Suite::Planning) {
        planning::run(run, small, effort.rounds.max(5), threads, handle)?;
    }
    if options.wants(Suite::Growth) {
        growth::run(run, small, 3, threads, handle)?;
        write(run, &options.out)?;
    }
    if options.wants(Suite::Ingest) {
        let spans = options.data.spans / if options.quick { 10 } else { 5 };
        let load = LoadOptions {
            binary: options.server()?,
            dir: &options.data.dir,
            spans: spans.max(1),
            seed: options.data.seed,
            quick: options.quick,
        };
        ingest::run(run, &load, runtime)?;
    }
    write(run, &options.out)
}

/// Measurements, report and plot, side by side: after every suite, so that what was measured is kept
/// whatever a later one does.
fn write(run: &mut Run, out: &Path) -> Result<(), BenchError> {
    run.write(&out.with_extension("json"))?;
    report::write(run, out)
}
