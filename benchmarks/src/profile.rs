//! One query of Spandrel, over and over, for a profiler to look at.

use std::rc::Rc;

use clap::Args;

use crate::contender::{Cache, Spandrel};
use crate::dataset::{Dataset, runtime};
use crate::error::BenchError;
use crate::prepare::{self, Layout, PrepareOptions};
use crate::record::{cores, millis};
use crate::suite::{Cut, Window};

#[derive(Debug, Args)]
pub(crate) struct ProfileOptions {
    #[command(flatten)]
    data: PrepareOptions,
    /// Of the small blocks
    #[arg(long)]
    small: bool,
    /// The query, in TraceQL
    #[arg(long)]
    query: String,
    /// Whether it is a search, instead of a query for series
    #[arg(long)]
    search: bool,
    /// Into how many intervals the time of the data is cut, about
    #[arg(long, default_value_t = 240, value_parser = clap::value_parser!(i64).range(1..))]
    intervals: i64,
    /// How often
    #[arg(long, default_value_t = 20)]
    rounds: u32,
    /// Threads that run jobs; by default one per core
    #[arg(long, default_value_t = cores())]
    threads: usize,
}

pub(crate) fn run(options: &ProfileOptions) -> Result<(), BenchError> {
    let runtime = runtime()?;
    let layout = if options.small {
        Layout::Small
    } else {
        Layout::Large
    };
    prepare::prepare(&options.data, layout, &runtime)?;
    let dataset = Rc::new(Dataset::open(&layout.folder(&options.data), &runtime)?);
    let grid = Window::whole(&dataset, Cut::Intervals(options.intervals))?.grid;
    let handle = runtime.handle().clone();
    let mut spandrel = Spandrel::new(&dataset, options.threads, Cache::Off, handle)?;
    if !options.search {
        for (step, text) in spandrel.explain(&options.query, grid)?.steps {
            println!("--- {step}\n{text}");
        }
    }
    for round in 0..options.rounds {
        let (spent, found) = if options.search {
            let (spent, traces) = spandrel.search(&options.query)?;
            (spent, format!("{} traces", traces.len()))
        } else {
            let (spent, series) = spandrel.ask(&options.query, grid)?;
            (spent, format!("{} series", series.series.len()))
        };
        println!(
            "{round}: {:.1} ms, CPU {:.1} ms, {found}, {}",
            millis(spent.wall),
            millis(spent.cpu),
            spandrel.stats
        );
    }
    Ok(())
}
