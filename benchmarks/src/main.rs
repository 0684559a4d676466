//! Measures Spandrel against other engines on the same files, and its own way in.
//!
//! Reading order: [`suite`] is what is asked, `contender` who answers, [`rounds`] how they take turns,
//! [`answer`] when answers are the same; [`prepare`] makes the files, [`traces`] asks what SQL
//! cannot, [`push`] measures ingest.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the output is what a benchmark is for"
)]

mod answer;
mod contender;
mod dataset;
mod error;
mod prepare;
mod profile;
mod push;
mod report;
mod rounds;
mod suite;
mod traces;
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
    /// Generate spans and write them as blocks.
    Prepare(prepare::Options),
    /// Run the suite of queries on prepared blocks, against DuckDB and DataFusion.
    Query(rounds::Options),
    /// Run queries over whole traces on prepared blocks.
    Traces(traces::Options),
    /// Push OTLP requests through the receive path until they are durable.
    Ingest(push::Options),
    /// Run one query over and over, for a profiler, and print its plans.
    Profile(profile::Options),
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Prepare(options) => prepare::run(&options),
        Command::Query(options) => rounds::run(&options),
        Command::Traces(options) => traces::run(&options),
        Command::Ingest(options) => push::run(&options),
        Command::Profile(options) => profile::run(&options),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("spandrel-bench: {error}");
            ExitCode::FAILURE
        }
    }
}
