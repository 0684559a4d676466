//! How far a load is, for people: a bar on a terminal, else a line now and then.

use std::io::IsTerminal as _;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use storage::Clock;

use crate::output;
use crate::render::number;

/// Time between two lines where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// How far a load is.
#[derive(Debug)]
pub struct Progress {
    clock: Arc<dyn Clock>,
    started: Instant,
    bar: Option<ProgressBar>,
    last_line: Mutex<Instant>,
    is_quiet: bool,
}

impl Progress {
    /// Shown on standard error; `total_bytes` is the length of all sources where it is known.
    #[must_use]
    pub fn start(total_bytes: Option<u64>, clock: Arc<dyn Clock>) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| bar(total_bytes));
        Self {
            bar,
            is_quiet: false,
            ..Self::hidden(clock)
        }
    }

    /// Shown nowhere.
    #[must_use]
    pub fn hidden(clock: Arc<dyn Clock>) -> Self {
        let now = clock.instant();
        Self {
            clock,
            started: now,
            bar: None,
            last_line: Mutex::new(now),
            is_quiet: true,
        }
    }

    /// Tells the state: bytes read as stored, spans read.
    pub(super) fn update(&self, bytes: u64, spans: u64) {
        if let Some(bar) = &self.bar {
            bar.set_position(bytes);
            bar.set_message(format!(
                "{} spans, {}/s",
                number::count(spans),
                number::count(self.per_second(spans))
            ));
            return;
        }
        let Ok(mut last) = self.last_line.try_lock() else {
            return;
        };
        let now = self.clock.instant();
        if !self.is_quiet && now - *last >= LINE_EVERY {
            *last = now;
            let (bytes, rate) = (number::bytes(bytes), number::count(self.per_second(spans)));
            output::note(&format!(
                "read {bytes}, {} spans, {rate} spans/s",
                number::count(spans)
            ));
        }
    }

    /// Removes the bar.
    pub(super) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    /// Time since the start.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.clock.instant() - self.started
    }

    /// So many, each second since the start.
    #[must_use]
    pub fn per_second(&self, count: u64) -> u64 {
        let millis = u64::try_from(self.elapsed().as_millis())
            .unwrap_or(u64::MAX)
            .max(1);
        count.saturating_mul(1000) / millis
    }
}

fn bar(total_bytes: Option<u64>) -> ProgressBar {
    let template = if total_bytes.is_some() {
        "{bar:30} {bytes:>10}/{total_bytes} {eta:>4}  {msg}"
    } else {
        "{spinner} {bytes:>10}  {msg}"
    };
    let style =
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = total_bytes.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
    bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(10));
    bar.with_style(style)
}
