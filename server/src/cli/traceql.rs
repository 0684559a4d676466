//! `spandrel traceql`: what TraceQL makes of a query text.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;
use traceql::Verdict;

use crate::failure::Mistake;
use crate::output;

#[derive(Debug, Subcommand)]
pub(super) enum TraceqlCommand {
    /// Say for each query whether it is valid, and how it reads in canonical form
    #[command(
        after_help = "Prints one JSON line per query: query, verdict, message, canonical.\nExit status: 0 if all queries are valid, 1 if not.\n\nExamples:\n  spandrel traceql check '{ status = error } | rate() by (resource.service.name)'\n  spandrel traceql check --json-lines queries.jsonl\n  echo '\"{ .a = 1 }\"' | spandrel traceql check --json-lines -"
    )]
    Check(CheckArgs),
}

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// Queries
    #[arg(value_name = "QUERY", required_unless_present = "json_lines")]
    queries: Vec<String>,
    /// File with one JSON string a line; - for standard input
    #[arg(long, value_name = "FILE")]
    json_lines: Option<PathBuf>,
    /// Whose rules decide
    #[arg(long, value_enum, default_value_t = Dialect::Spandrel)]
    dialect: Dialect,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Dialect {
    /// Tempo's, and what Spandrel adds to it
    Spandrel,
    /// Tempo's
    Tempo,
}

#[derive(Serialize)]
struct Line<'a> {
    query: &'a str,
    verdict: &'static str,
    message: Option<String>,
    canonical: Option<String>,
}

pub(super) fn run(command: &TraceqlCommand) -> anyhow::Result<ExitCode> {
    let TraceqlCommand::Check(args) = command;
    let options = traceql::Options::from(match args.dialect {
        Dialect::Spandrel => traceql::Dialect::Spandrel,
        Dialect::Tempo => traceql::Dialect::Tempo,
    });
    let mut all_valid = true;
    for query in &args.queries {
        all_valid &= check(query, &options)?;
    }
    if let Some(path) = &args.json_lines {
        for (number, line) in lines(path)?.enumerate() {
            let line = line.with_context(|| format!("cannot read {}", path.display()))?;
            if line.trim().is_empty() {
                continue;
            }
            let query: String = serde_json::from_str(&line).map_err(|error| {
                Mistake::new(format!(
                    "{}:{}: not a JSON string: {error}",
                    path.display(),
                    number + 1
                ))
            })?;
            all_valid &= check(&query, &options)?;
        }
    }
    Ok(if all_valid {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn lines(path: &Path) -> anyhow::Result<Box<dyn Iterator<Item = io::Result<String>>>> {
    if path == Path::new("-") {
        return Ok(Box::new(io::stdin().lines()));
    }
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    Ok(Box::new(BufReader::new(file).lines()))
}

fn check(query: &str, options: &traceql::Options) -> anyhow::Result<bool> {
    let (verdict, message, canonical) = match traceql::compile_with(query, options) {
        Ok(compiled) => (Verdict::Valid, None, Some(compiled.to_string())),
        Err(error) => (error.verdict(), Some(error.to_string()), None),
    };
    let line = Line {
        query,
        verdict: verdict.as_str(),
        message,
        canonical,
    };
    output::line(&serde_json::to_string(&line)?)?;
    Ok(verdict == Verdict::Valid)
}
