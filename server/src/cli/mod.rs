//! The command line: what one can ask for.

mod backup;
mod block;
mod compact;
mod config;
mod delete;
mod demo;
mod explain;
mod load;
pub mod options;
mod progress;
mod query;
mod runtime;
mod serve;
mod storage;
mod trace;
mod traceql;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

use crate::failure;
use crate::output;

/// Columnar analytics for distributed traces: OTLP in, TraceQL metrics out.
#[derive(Debug, Parser)]
#[command(
    name = "spandrel",
    version,
    propagate_version = true,
    arg_required_else_help = true,
    after_help = "Start here:\n  spandrel demo                    load recorded traces, query them, serve them to Grafana\n  spandrel help COMMAND            what a command can do, with examples"
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Receive spans and answer queries
    Serve(serve::ServeArgs),
    /// Load recorded spans from files, straight into blocks
    Load(load::LoadArgs),
    /// Run a TraceQL metrics query and show its series
    Query(query::QueryArgs),
    /// Show one trace
    Trace(trace::TraceArgs),
    /// Show how a query would run, or how it ran
    Explain(explain::ExplainArgs),
    /// Check TraceQL queries without running them
    #[command(subcommand)]
    Traceql(traceql::TraceqlCommand),
    /// Look into stored blocks
    #[command(subcommand)]
    Block(block::BlockCommand),
    /// Merge small blocks now, as a server does by itself
    Compact(compact::CompactArgs),
    /// Delete traces
    Delete(delete::DeleteArgs),
    /// Check a storage, and keep it in order
    #[command(subcommand)]
    Storage(storage::StorageCommand),
    /// Check a configuration, or print the defaults
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Load recorded traces, query them, and keep serving them
    Demo(demo::DemoArgs),
}

/// Runs the command line of this process.
#[must_use]
pub fn run() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Serve(args) => serve::run(&args),
        Command::Load(args) => load::run(&args),
        Command::Query(args) => query::run(&args),
        Command::Trace(args) => trace::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Traceql(command) => traceql::run(&command),
        Command::Block(command) => block::run(&command),
        Command::Compact(args) => compact::run(&args),
        Command::Delete(args) => delete::run(&args),
        Command::Storage(command) => storage::run(&command),
        Command::Config(command) => config::run(&command),
        Command::Demo(args) => demo::run(&args),
    };
    outcome.unwrap_or_else(|error| {
        let (code, message) = failure::report(&error);
        if let Some(message) = message {
            output::note(&format!("spandrel: {message}"));
        }
        code
    })
}

/// The command line as clap knows it, for tests and for generated documents.
#[must_use]
pub fn command() -> clap::Command {
    Cli::command()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_line_is_consistent() {
        super::command().debug_assert();
    }

    #[test]
    fn every_command_shows_an_example() {
        let mut open = vec![super::command()];
        while let Some(mut command) = open.pop() {
            let name = command.get_name().to_owned();
            let help = command.render_long_help().to_string();
            if command.has_subcommands() {
                open.extend(
                    command
                        .get_subcommands()
                        .filter(|sub| sub.get_name() != "help")
                        .cloned(),
                );
            } else {
                assert!(help.contains("Examples:"), "{name}");
            }
        }
    }
}
