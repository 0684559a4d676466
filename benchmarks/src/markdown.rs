//! Texts as markdown.

use std::fmt::Write as _;
use std::time::Duration;

use crate::record::float;

/// A text that grows by paragraphs and tables.
#[derive(Debug, Default)]
pub(crate) struct Markdown(String);

impl Markdown {
    /// A document.
    pub(crate) fn titled(title: &str) -> Self {
        Self(format!("# {title}\n\n"))
    }

    /// A section.
    pub(crate) fn new(title: &str) -> Self {
        Self(format!("## {title}\n\n"))
    }

    pub(crate) fn heading(&mut self, title: &str) {
        let _ = write!(self.0, "## {title}\n\n");
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

    /// The text so far.
    pub(crate) fn text(&self) -> &str {
        self.0.trim_end()
    }
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
