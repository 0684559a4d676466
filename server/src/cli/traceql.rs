//! `spandrel traceql`: what TraceQL makes of a query text.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use serde::Serialize;
use traceql::{Notice, Options, Position, Verdict};

use super::options::DialectOption;
use crate::failure::Mistake;
use crate::output;

#[derive(Debug, Subcommand)]
pub(super) enum TraceqlCommand {
    /// Say for each query whether it is valid, and how it reads in canonical form
    #[command(
        after_help = "Prints one JSON line per query: query, verdict, message, canonical, and notices if there are any.\nVerdicts: valid, parse_error, validation_error, unsupported.\nExit status: 0 if all queries are valid, 1 if not.\n\nExamples:\n  spandrel traceql check '{ status = error } | rate() by (resource.service.name)'\n  spandrel traceql check '({ status = error } | rate()) / ({ } | rate())'\n  spandrel traceql check --dialect tempo '{ parent.zone = \"x\" }'\n  spandrel traceql check --json-lines queries.jsonl\n  echo '\"{ .a = 1 }\"' | spandrel traceql check --json-lines -"
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
    #[command(flatten)]
    dialect: DialectOption,
}

#[derive(Serialize)]
struct CheckedLine<'a> {
    query: &'a str,
    verdict: &'static str,
    message: Option<String>,
    canonical: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notices: Vec<NoticeLine>,
}

/// Something worth knowing about a valid query.
#[derive(Serialize)]
struct NoticeLine {
    message: String,
    line: usize,
    column: usize,
}

impl NoticeLine {
    fn new(notice: &Notice, query: &str) -> Self {
        let Position { line, column } = Position::of(notice.range.start, query);
        Self {
            message: notice.to_string(),
            line,
            column,
        }
    }
}

pub(super) fn run(command: &TraceqlCommand) -> anyhow::Result<ExitCode> {
    let TraceqlCommand::Check(args) = command;
    let options = args.dialect.dialect().into();
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

fn check(query: &str, options: &Options) -> anyhow::Result<bool> {
    let mut line = CheckedLine {
        query,
        verdict: Verdict::Valid.as_str(),
        message: None,
        canonical: None,
        notices: Vec::new(),
    };
    let result = traceql::compile_with(query, options);
    match &result {
        Ok(compiled) => {
            line.canonical = Some(compiled.to_string());
            let notices = traceql::notices(compiled);
            line.notices = notices
                .iter()
                .map(|notice| NoticeLine::new(notice, query))
                .collect();
        }
        Err(error) => {
            line.verdict = error.verdict().as_str();
            line.message = Some(error.to_string());
        }
    }
    output::line(&serde_json::to_string(&line)?)?;
    Ok(result.is_ok())
}
