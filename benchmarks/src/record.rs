//! What a run measured, as data: the report, the plot and the comparison of two runs read this alone.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::BenchError;
use crate::usage::Spent;

/// Everything that one run measured.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Run {
    pub(crate) machine: Machine,
    pub(crate) settings: Settings,
    /// Names of all who answered, with versions; the first is Spandrel.
    pub(crate) engines: Vec<String>,
    pub(crate) timings: Vec<Timing>,
    pub(crate) figures: Vec<Figure>,
    /// What went wrong: answers that differ, queries that were refused. The run counts as failed.
    pub(crate) failures: Vec<String>,
    /// What there is to say, by suite.
    pub(crate) notes: BTreeMap<String, Vec<String>>,
}

/// Where and of what.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) commit: String,
    pub(crate) processor: String,
    pub(crate) cores: usize,
    pub(crate) memory_bytes: u64,
    /// Load average before the run: what else was going on.
    pub(crate) load_before: String,
    pub(crate) load_after: String,
}

/// How much of everything.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Settings {
    pub(crate) spans: u64,
    pub(crate) blocks: usize,
    pub(crate) small_blocks: usize,
    pub(crate) threads: usize,
    pub(crate) rounds: u32,
}

/// One thing done repeatedly by one engine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Timing {
    pub(crate) suite: String,
    /// What was asked.
    pub(crate) case: String,
    /// The text of the query, if it is one.
    pub(crate) text: String,
    pub(crate) engine: String,
    /// The way in which the engine was asked.
    pub(crate) form: String,
    pub(crate) wall_ms: Vec<f64>,
    pub(crate) cpu_ms: Vec<f64>,
}

/// One number.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Figure {
    pub(crate) suite: String,
    pub(crate) case: String,
    pub(crate) name: String,
    pub(crate) value: f64,
}

impl Run {
    pub(crate) fn start(settings: Settings) -> Self {
        Self {
            machine: Machine::look(),
            settings,
            engines: Vec::new(),
            timings: Vec::new(),
            figures: Vec::new(),
            failures: Vec::new(),
            notes: BTreeMap::new(),
        }
    }

    pub(crate) fn figure(&mut self, suite: &str, case: &str, name: &str, value: f64) {
        self.figures.push(Figure {
            suite: suite.to_owned(),
            case: case.to_owned(),
            name: name.to_owned(),
            value,
        });
    }

    /// Goes on after a failure, so that one does not hide what else there is to find.
    pub(crate) fn keep_failure(&mut self, suite: &str, case: &str, result: Result<(), BenchError>) {
        if let Err(error) = result {
            let failure = format!("{suite}, {case}: {error}");
            eprintln!("FAILED: {failure}");
            self.failures.push(failure);
        }
    }

    pub(crate) fn note(&mut self, suite: &str, text: String) {
        self.notes.entry(suite.to_owned()).or_default().push(text);
    }

    pub(crate) fn read(path: &Path) -> Result<Self, BenchError> {
        let text = fs::read_to_string(path).map_err(BenchError::file("read", path))?;
        serde_json::from_str(&text).map_err(|error| {
            BenchError::Input(format!(
                "{} is not a run of this version: {error}",
                path.display()
            ))
        })
    }

    pub(crate) fn write(&mut self, path: &Path) -> Result<(), BenchError> {
        self.machine.load_after = load();
        let text = serde_json::to_string(self)
            .map_err(|error| BenchError::Input(format!("the run does not print: {error}")))?;
        fs::write(path, text + "\n").map_err(BenchError::file("write", path))
    }
}

impl Timing {
    pub(crate) fn new(suite: &str, case: &str, text: &str, engine: &str, form: &str) -> Self {
        Self {
            suite: suite.to_owned(),
            case: case.to_owned(),
            text: text.to_owned(),
            engine: engine.to_owned(),
            form: form.to_owned(),
            wall_ms: Vec::new(),
            cpu_ms: Vec::new(),
        }
    }

    pub(crate) fn push(&mut self, spent: Spent) {
        self.wall_ms.push(millis(spent.wall));
        self.cpu_ms.push(millis(spent.cpu));
    }

    pub(crate) fn wall(&self) -> Spread {
        Spread::of(&self.wall_ms)
    }

    pub(crate) fn cpu(&self) -> Spread {
        Spread::of(&self.cpu_ms)
    }
}

/// Where measurements lie, in ms.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Spread {
    pub(crate) least: f64,
    pub(crate) median: f64,
    pub(crate) most: f64,
}

impl Spread {
    pub(crate) fn of(measured: &[f64]) -> Self {
        let mut sorted = measured.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        let at = |index: usize| sorted.get(index).copied().unwrap_or(f64::NAN);
        Self {
            least: at(0),
            median: at(sorted.len() / 2),
            most: at(sorted.len().saturating_sub(1)),
        }
    }
}

impl Machine {
    fn look() -> Self {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        let field = |text: &str, name: &str| {
            let line = text.lines().find(|line| line.starts_with(name));
            line.and_then(|line| Some(line.split_once(':')?.1.trim().to_owned()))
                .unwrap_or_else(|| "unknown".to_owned())
        };
        let memory = field(&read("/proc/meminfo"), "MemTotal");
        let kib: Option<u64> = memory
            .split_whitespace()
            .next()
            .and_then(|n| n.parse().ok());
        Self {
            commit: commit(),
            processor: field(&read("/proc/cpuinfo"), "model name"),
            cores: cores(),
            memory_bytes: kib.unwrap_or(0) * 1024,
            load_before: load(),
            load_after: String::new(),
        }
    }
}

/// The commit that is checked out, with a `+` if files differ from it.
fn commit() -> String {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| text.trim().to_owned())
    };
    match git(&["rev-parse", "--short=12", "HEAD"]) {
        Some(commit) => match git(&["status", "--porcelain", "--untracked-files=no"]) {
            Some(changes) if changes.is_empty() => commit,
            _ => commit + "+",
        },
        None => "unknown".to_owned(),
    }
}

fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().next().unwrap_or("?").to_owned()
}

pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

pub(crate) fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// Counts stay far below 2^53.
pub(crate) fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_stands_in_the_middle() {
        let spread = Spread::of(&[5.0, 1.0, 9.0]);
        assert_eq!((spread.least, spread.median, spread.most), (1.0, 5.0, 9.0));
    }
}
