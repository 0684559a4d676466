//! Measures Spandrel, and other engines on the same spans.
//!
//! Reading order: [`suite`] is what is asked, [`contender`] who answers, [`rounds`] how they take turns,
//! [`answer`] when answers are the same, [`record`] what is kept of it. [`run`] does all of it and
//! writes it down with [`report`] and [`plot`]. [`grafana`], [`dashboard`], [`ingest`], [`planning`],
//! [`growth`] and [`counters`] measure what no rival takes part in; the first two over HTTP with [`api`].

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the output is what a benchmark is for"
)]
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::panic,
        reason = "a test fails by panicking"
    )
)]

mod answer;
mod api;
mod callgrind;
mod comparison;
mod contender;
mod counters;
mod dashboard;
mod dataset;
mod error;
mod grafana;
mod growth;
mod ingest;
mod markdown;
mod planning;
mod plot;
mod prepare;
mod profile;
mod queries;
mod record;
mod report;
mod rounds;
mod run;
mod suite;
mod usage;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Debug, Parser)]
#[command(name = "spandrel-bench", version, about = "Benchmarks of Spandrel")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the suites, and write report, plot and measurements.
    Run(run::RunOptions),
    /// Compare two runs by their measurements.
    Compare(comparison::CompareOptions),
    /// Write report and plot of a run again, from its measurements.
    Report(report::ReportOptions),
    /// Generate spans and write them as blocks, few large and many small ones.
    Prepare(prepare::PrepareOptions),
    /// Compare what a fixed set of queries costs with benchmarks/counters.txt.
    Counters(counters::CountersOptions),
    /// Ask one query over and over, for a profiler, and print its plans.
    Profile(profile::ProfileOptions),
    /// Push requests through the receive path in this process, for a profiler.
    Push(ingest::push::PushOptions),
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Run(options) => run::run(&options),
        Command::Compare(options) => comparison::run(&options),
        Command::Report(options) => report::run(&options),
        Command::Prepare(options) => prepare::run(&options),
        Command::Counters(options) => counters::run(&options),
        Command::Profile(options) => profile::run(&options),
        Command::Push(options) => ingest::push::run(&options),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("spandrel-bench: {error}");
            ExitCode::FAILURE
        }
    }
}
