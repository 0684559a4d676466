//! The Python process that an engine runs in, and that times it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value as Json, json};

use crate::error::BenchError;
use crate::usage::Spent;

const DRIVER: &str = include_str!("driver.py");

/// A running process.
pub(super) struct Driver {
    child: Child,
    requests: ChildStdin,
    replies: BufReader<ChildStdout>,
    /// Of the engine.
    pub(super) version: String,
}

#[derive(Deserialize)]
struct Hello {
    version: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Reply {
    Rows {
        wall: f64,
        cpu: f64,
        rows: Vec<Vec<Json>>,
    },
    Done {
        #[expect(dead_code, reason = "its presence is what it says")]
        done: bool,
    },
    Failed {
        error: String,
    },
}

impl Driver {
    pub(super) fn start(
        python: &Path,
        engine: &str,
        path: Option<&Path>,
        setup: &[String],
    ) -> Result<Self, BenchError> {
        let mut child = Command::new(python)
            .args(["-c", DRIVER])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(BenchError::file("run", python))?;
        let (Some(requests), Some(replies)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(BenchError::Rival("the process has no pipes".to_owned()));
        };
        let mut this = Self {
            child,
            requests,
            replies: BufReader::new(replies),
            version: String::new(),
        };
        this.send(&json!({ "engine": engine, "path": path, "setup": setup }))?;
        this.version = this.receive::<Hello>()?.version;
        Ok(this)
    }

    /// Runs a statement that has no answer.
    pub(super) fn execute(&mut self, sql: &str) -> Result<(), BenchError> {
        self.ask(&json!({ "execute": sql }))
            .map_err(|error| BenchError::Rival(format!("{error}\nin: {sql}")))
    }

    /// Runs a query: its time and its rows.
    pub(super) fn rows(&mut self, sql: &str) -> Result<(Spent, Vec<Vec<Json>>), BenchError> {
        self.send(&json!({ "sql": sql }))?;
        match self.receive()? {
            Reply::Rows { wall, cpu, rows } => Ok((
                Spent {
                    wall: Duration::from_secs_f64(wall),
                    cpu: Duration::from_secs_f64(cpu),
                },
                rows,
            )),
            Reply::Done { .. } => Err(malformed()),
            Reply::Failed { error } => Err(BenchError::Rival(format!("{error}\nin: {sql}"))),
        }
    }

    /// Sends a request that has no answer but that it was done.
    pub(super) fn ask(&mut self, request: &Json) -> Result<(), BenchError> {
        self.send(request)?;
        match self.receive()? {
            Reply::Failed { error } => Err(BenchError::Rival(error)),
            Reply::Done { .. } | Reply::Rows { .. } => Ok(()),
        }
    }

    fn send(&mut self, request: &Json) -> Result<(), BenchError> {
        let sent = writeln!(self.requests, "{request}").and_then(|()| self.requests.flush());
        sent.map_err(|error| BenchError::Rival(format!("cannot send a query: {error}")))
    }

    fn receive<T: DeserializeOwned>(&mut self) -> Result<T, BenchError> {
        let mut line = String::new();
        let read = self.replies.read_line(&mut line);
        read.map_err(|error| BenchError::Rival(format!("cannot read a reply: {error}")))?;
        if line.is_empty() {
            let hint = "the Python process ended; does it have the packages duckdb, chdb and pyarrow? \
                        See benchmarks/README.md";
            return Err(BenchError::Rival(hint.to_owned()));
        }
        serde_json::from_str(&line)
            .map_err(|error| BenchError::Rival(format!("reply: {error}: {line}")))
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _killed = self.child.kill();
        let _waited = self.child.wait();
    }
}

/// The rows are not what was asked for.
pub(super) fn malformed() -> BenchError {
    BenchError::Rival("a row of the answer has not the expected columns".to_owned())
}
