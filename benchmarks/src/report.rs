//! Results as markdown.

use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use crate::error::BenchError;

/// A text that grows by paragraphs and tables.
#[derive(Debug, Default)]
pub(crate) struct Report(String);

impl Report {
    pub(crate) fn new(title: &str) -> Self {
        Self(format!("## {title}\n\n"))
    }

    pub(crate) fn paragraph(&mut self, text: &str) {
        self.0.push_str(text.trim_end());
        self.0.push_str("\n\n");
    }

    /// Columns after the first are numbers, and flush right.
    pub(crate) fn table(&mut self, head: &[&str], rows: &[Vec<String>]) {
        // Writing to a string does not fail.
        let _ = writeln!(self.0, "| {} |", head.join(" | "));
        let _ = writeln!(
            self.0,
            "|---{}|",
            "|---:".repeat(head.len().saturating_sub(1))
        );
        for row in rows {
            let cells: Vec<String> = row.iter().map(|cell| cell.replace('|', "\\|")).collect();
            let _ = writeln!(self.0, "| {} |", cells.join(" | "));
        }
        self.0.push('\n');
    }

    /// Prints the report and, if wanted, appends it to a file.
    pub(crate) fn publish(&self, out: Option<&Path>) -> Result<(), BenchError> {
        println!("{}", self.0);
        let Some(path) = out else { return Ok(()) };
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .map_err(BenchError::file("open", path))?;
        file.write_all(self.0.as_bytes())
            .map_err(BenchError::file("write", path))
    }
}

/// The machine and its load, in one line.
pub(crate) fn machine() -> String {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let field = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name));
        line.and_then(|line| Some(line.split_once(':')?.1.trim().to_owned()))
            .unwrap_or_else(|| "unknown".to_owned())
    };
    let cores = cores();
    let load = read("/proc/loadavg");
    let load = load.split_whitespace().next().unwrap_or("unknown");
    format!(
        "Machine: {} × {}, {} of memory; load average at the end {load}. Spandrel {}.",
        cores,
        field(&read("/proc/cpuinfo"), "model name"),
        field(&read("/proc/meminfo"), "MemTotal"),
        env!("CARGO_PKG_VERSION"),
    )
}

pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Counts stay far below 2^53.
pub(crate) fn float(count: u64) -> f64 {
    count as f64
}

pub(crate) fn millis(duration: Duration) -> String {
    format!("{:.1}", duration.as_secs_f64() * 1e3)
}

pub(crate) fn seconds(duration: Duration) -> String {
    format!("{:.2}", duration.as_secs_f64())
}

pub(crate) fn mib(bytes: u64) -> String {
    format!("{:.0} MiB", float(bytes) / f64::from(1 << 20))
}

/// Spans per second, for people.
pub(crate) fn speed(spans: u64, time: Duration) -> String {
    let per_second = float(spans) / time.as_secs_f64().max(1e-9);
    if per_second >= 1e6 {
        format!("{:.1} M", per_second / 1e6)
    } else {
        format!("{:.0} k", per_second / 1e3)
    }
}
