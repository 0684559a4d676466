//! Standard output and standard error, and what is known about the terminal behind them.

use std::io::{self, IsTerminal as _, Write as _};

/// Writes to standard output.
///
/// # Errors
/// The output is closed or full.
pub fn write(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Writes a line to standard output.
///
/// # Errors
/// The output is closed or full.
pub fn line(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}")?;
    out.flush()
}

/// Tells the user something beside the answer. Nothing can be done where nobody listens.
pub fn note(text: &str) {
    let _nobody_listens = writeln!(io::stderr().lock(), "{text}");
}

/// What the terminal can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Screen {
    /// Characters in one of its lines.
    pub width: u16,
    /// Whether colours may be used.
    pub color: bool,
}

impl Screen {
    /// The terminal behind standard output; 80 columns where there is none or it does not say.
    /// `NO_COLOR` and `TERM=dumb` switch colours off.
    #[must_use]
    pub fn of_stdout() -> Self {
        let is_terminal = io::stdout().is_terminal();
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var("TERM").is_ok_and(|term| term == "dumb");
        let columns = std::env::var("COLUMNS")
            .ok()
            .and_then(|columns| columns.parse().ok());
        let asked = rustix::termios::tcgetwinsize(io::stdout())
            .ok()
            .map(|size| size.ws_col)
            .filter(|width| *width > 0);
        Self {
            width: columns.or(asked).unwrap_or(80).clamp(40, 200),
            color: is_terminal && !no_color && !dumb,
        }
    }
}
