//! Queries over whole traces, which plain SQL can hardly ask: each against the plain count of the
//! same spans in the same run.

use std::path::PathBuf;

use clap::Args;

use crate::contender::Spandrel;
use crate::dataset::{Dataset, runtime};
use crate::error::BenchError;
use crate::report::{Report, cores, machine, speed};
use crate::rounds::Spread;
use crate::usage::Spent;

/// What everything is compared with.
const PLAIN: &str = "{} | count_over_time()";

/// The queries, fitting to the generated spans.
const QUERIES: &[&str] = &[
    "{} >> { status = error } | count_over_time()",
    "{ span.http.route != nil } > { kind = client } | rate() by (name)",
    r#"{ resource.service.name = "checkout" } && { status = error } | rate()"#,
    "{} | count() > 50 | count_over_time()",
    "{} | compare({ status = error })",
];

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Folder with prepared blocks
    #[arg(long)]
    dir: PathBuf,
    /// How often each query is answered
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Threads that run jobs; by default one per core
    #[arg(long, default_value_t = cores())]
    threads: usize,
    /// Append the report to this file
    #[arg(long)]
    out: Option<PathBuf>,
}

pub(crate) fn run(options: &Options) -> Result<(), BenchError> {
    let runtime = runtime()?;
    let dataset = Dataset::open(&options.dir, &runtime)?;
    let mut spandrel = Spandrel::new(&dataset, options.threads, runtime.handle().clone())?;
    let mut runs: Vec<Run> = [PLAIN]
        .iter()
        .chain(QUERIES)
        .map(|query| Run::start(query, &mut spandrel))
        .collect();
    for _ in 0..options.rounds {
        for run in &mut runs {
            run.round(&mut spandrel)?;
        }
    }

    let mut report = Report::new("Queries over whole traces");
    report.paragraph(&machine());
    report.paragraph(&format!(
        "{} spans in {} files; {} threads; intervals of {} s. Medians (least..most) of {} interleaved rounds after \
         warm-up. The last columns say how many times as long as `{PLAIN}` a query took.",
        dataset.spans(),
        dataset.files.len(),
        options.threads,
        dataset.step_s(),
        options.rounds,
    ));
    let plain = runs.first().map(|run| (run.wall(), run.cpu()));
    let rows: Vec<Vec<String>> = runs
        .iter()
        .map(|run| run.row(plain, dataset.spans()))
        .collect();
    report.table(
        &[
            "query",
            "wall, ms",
            "CPU, ms",
            "spans/s per core",
            "wall / count",
            "CPU / count",
        ],
        &rows,
    );
    report.publish(options.out.as_deref())
}

/// One query and how it did.
struct Run {
    query: &'static str,
    /// Why it was not answered.
    refused: Option<String>,
    rounds: Vec<Spent>,
}

impl Run {
    /// Warms up.
    fn start(query: &'static str, spandrel: &mut Spandrel) -> Self {
        eprintln!("{query}");
        let refused = spandrel.ask(query).err().map(|error| error.to_string());
        Self {
            query,
            refused,
            rounds: Vec::new(),
        }
    }

    fn round(&mut self, spandrel: &mut Spandrel) -> Result<(), BenchError> {
        if self.refused.is_none() {
            self.rounds.push(spandrel.ask(self.query)?.0);
        }
        Ok(())
    }

    fn wall(&self) -> Spread {
        Spread::of(self.rounds.iter().map(|spent| spent.wall).collect())
    }

    fn cpu(&self) -> Spread {
        Spread::of(self.rounds.iter().map(|spent| spent.cpu).collect())
    }

    fn row(&self, plain: Option<(Spread, Spread)>, spans: u64) -> Vec<String> {
        let mut row = vec![format!("`{}`", self.query)];
        match (&self.refused, plain) {
            (None, Some((plain_wall, plain_cpu))) => {
                let (wall, cpu) = (self.wall(), self.cpu());
                row.extend([wall.text(), cpu.text(), speed(spans, cpu.median)]);
                row.extend([wall.ratio_to(&plain_wall), cpu.ratio_to(&plain_cpu)]);
            }
            (refused, _) => {
                row.push(refused.clone().unwrap_or_default());
                row.extend(std::iter::repeat_n(String::new(), 4));
            }
        }
        row
    }
}
