//! One query of Spandrel, over and over, for a profiler to look at.

use std::path::PathBuf;

use clap::Args;

use crate::contender::Spandrel;
use crate::dataset::{Dataset, runtime};
use crate::error::BenchError;
use crate::report::{cores, millis};

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Folder with prepared blocks
    #[arg(long)]
    dir: PathBuf,
    /// The query, in TraceQL
    #[arg(long)]
    query: String,
    /// How often
    #[arg(long, default_value_t = 20)]
    rounds: u32,
    /// Threads that run jobs; by default one per core
    #[arg(long, default_value_t = cores())]
    threads: usize,
}

pub(crate) fn run(options: &Options) -> Result<(), BenchError> {
    let runtime = runtime()?;
    let dataset = Dataset::open(&options.dir, &runtime)?;
    let mut spandrel = Spandrel::new(&dataset, options.threads, runtime.handle().clone())?;
    for (step, text) in spandrel.explain(&options.query)?.steps {
        println!("--- {step}\n{text}");
    }
    for round in 0..options.rounds {
        let (spent, series) = spandrel.ask(&options.query)?;
        let series = series.series.len();
        println!(
            "{round}: {} ms, CPU {} ms, {series} series, {}",
            millis(spent.wall),
            millis(spent.cpu),
            spandrel.stats
        );
    }
    Ok(())
}
