//! DuckDB on the Parquet files, in a Python process that times itself.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::Contender;
use crate::answer::{Bounds, Cells, NO_LABEL};
use crate::dataset::{Dataset, path_text};
use crate::error::BenchError;
use crate::suite::{Measure, Question};
use crate::usage::Spent;

const DRIVER: &str = include_str!("duckdb_driver.py");
const TABLE: &str = "spans";
/// Ways to the percentile; the first is exact, the second estimates with a t-digest.
const P99: [(&str, &str); 2] = [
    ("quantile_cont", "quantile_cont(duration, 0.99)"),
    ("approx_quantile", "approx_quantile(duration, 0.99)"),
];

/// DuckDB.
pub(crate) struct DuckDb {
    child: Child,
    requests: ChildStdin,
    replies: BufReader<ChildStdout>,
    version: String,
}

#[derive(Deserialize)]
struct Hello {
    version: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Reply {
    Done {
        wall: f64,
        cpu: f64,
        rows: Vec<Vec<Value>>,
    },
    Failed {
        error: String,
    },
}

impl DuckDb {
    /// Starts a Python that has the package `duckdb`.
    pub(crate) fn start(
        dataset: &Dataset,
        threads: usize,
        python: &Path,
    ) -> Result<Self, BenchError> {
        let mut child = Command::new(python)
            .args(["-c", DRIVER])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(BenchError::file("run", python))?;
        let (Some(requests), Some(replies)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(BenchError::DuckDb("the process has no pipes".to_owned()));
        };
        let mut this = Self {
            child,
            requests,
            replies: BufReader::new(replies),
            version: String::new(),
        };
        let files = dataset
            .files
            .iter()
            .map(|file| path_text(file).map(|text| format!("'{}'", text.replace('\'', "''"))));
        let files = files.collect::<Result<Vec<_>, _>>()?.join(", ");
        let statements = [
            format!("SET threads = {threads}"),
            "SET preserve_insertion_order = false".to_owned(),
            // Spandrel keeps the metadata of files, too.
            "SET parquet_metadata_cache = true".to_owned(),
            format!("CREATE VIEW {TABLE} AS SELECT * FROM read_parquet([{files}])"),
        ];
        this.send(&json!({ "statements": statements }))?;
        this.version = this.receive::<Hello>()?.version;
        Ok(this)
    }

    /// Bounds of the exact percentile of every cell.
    pub(crate) fn percentile_bounds(&mut self, question: &Question) -> Result<Bounds, BenchError> {
        let (_, rows) = self.rows(&question.percentile_bounds_sql(TABLE))?;
        let bound = |row: &Vec<Value>| {
            Some((
                cell(row, true)?,
                (row.get(2)?.as_f64()?, row.get(3)?.as_f64()?),
            ))
        };
        rows.iter()
            .map(bound)
            .collect::<Option<Bounds>>()
            .ok_or_else(malformed)
    }

    fn rows(&mut self, sql: &str) -> Result<(Spent, Vec<Vec<Value>>), BenchError> {
        self.send(&json!({ "sql": sql }))?;
        match self.receive()? {
            Reply::Done { wall, cpu, rows } => Ok((
                Spent {
                    wall: Duration::from_secs_f64(wall),
                    cpu: Duration::from_secs_f64(cpu),
                },
                rows,
            )),
            Reply::Failed { error } => Err(BenchError::DuckDb(format!("{error}\nin: {sql}"))),
        }
    }

    fn send(&mut self, request: &Value) -> Result<(), BenchError> {
        let sent = writeln!(self.requests, "{request}").and_then(|()| self.requests.flush());
        sent.map_err(|error| BenchError::DuckDb(format!("cannot send a query: {error}")))
    }

    fn receive<T: DeserializeOwned>(&mut self) -> Result<T, BenchError> {
        let mut line = String::new();
        let read = self.replies.read_line(&mut line);
        read.map_err(|error| BenchError::DuckDb(format!("cannot read a reply: {error}")))?;
        if line.is_empty() {
            let hint = "the Python process ended; does it have the package `duckdb`? See benchmarks/README.md";
            return Err(BenchError::DuckDb(hint.to_owned()));
        }
        serde_json::from_str(&line)
            .map_err(|error| BenchError::DuckDb(format!("reply: {error}: {line}")))
    }
}

impl Contender for DuckDb {
    fn name(&self) -> String {
        format!("DuckDB {}", self.version)
    }

    fn forms(&self, question: &Question) -> Vec<&'static str> {
        match question.measure {
            Measure::Count => vec!["SQL"],
            Measure::P99 => P99.iter().map(|(form, _)| *form).collect(),
        }
    }

    fn answer(&mut self, question: &Question, form: usize) -> Result<(Spent, Cells), BenchError> {
        let (_, p99) = P99.get(form).copied().unwrap_or(P99[0]);
        let (spent, rows) = self.rows(&question.sql(TABLE, "//", p99))?;
        let labelled = question.has_label();
        let value = |row: &Vec<Value>| Some((cell(row, labelled)?, row.last()?.as_f64()?));
        let cells = rows
            .iter()
            .map(value)
            .collect::<Option<Cells>>()
            .ok_or_else(malformed)?;
        Ok((spent, cells))
    }
}

impl Drop for DuckDb {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _killed = self.child.kill();
        let _waited = self.child.wait();
    }
}

/// Label and interval of a row.
fn cell(row: &[Value], labelled: bool) -> Option<(String, i64)> {
    if !labelled {
        return Some((NO_LABEL.to_owned(), row.first()?.as_i64()?));
    }
    let label = match row.first()? {
        Value::Null => NO_LABEL.to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    Some((label, row.get(1)?.as_i64()?))
}

fn malformed() -> BenchError {
    BenchError::DuckDb("a row of the answer has not the expected columns".to_owned())
}
