//! How far a command over many bytes is: a bar on a terminal, else nothing.

use std::io::IsTerminal as _;

use indicatif::{ProgressBar, ProgressStyle};

/// How far a command is.
#[derive(Debug)]
pub(super) struct Steps(ProgressBar);

impl Steps {
    /// Shown on standard error, if that is a terminal and nobody asked for silence.
    pub(super) fn start(doing: &'static str, total_bytes: u64, is_quiet: bool) -> Self {
        if is_quiet || !std::io::stderr().is_terminal() {
            return Self(ProgressBar::hidden());
        }
        let bar = ProgressBar::new(total_bytes);
        let style = ProgressStyle::with_template(
            "{prefix} {bar:30} {bytes}/{total_bytes}, {bytes_per_sec}, {eta} left {msg}",
        );
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_prefix(doing);
        Self(bar)
    }

    /// As [`start`](Self::start), where things are counted and not bytes.
    pub(super) fn count(doing: &'static str, total: u64, is_quiet: bool) -> Self {
        let steps = Self::start(doing, total, is_quiet);
        let style = ProgressStyle::with_template("{prefix} {bar:30} {pos}/{len}, {eta} left");
        let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
        steps.0.set_style(style);
        steps
    }

    /// So much more is done.
    pub(super) fn advance(&self, more: u64) {
        self.0.inc(more);
    }

    /// Says what is done now.
    pub(super) fn say(&self, text: String) {
        self.0.set_message(text);
    }

    /// Takes the bar away.
    pub(super) fn finish(&self) {
        self.0.finish_and_clear();
    }
}
