//! How a failure is told: one message on standard error, and an exit status.

use std::fmt;
use std::io;
use std::process::ExitCode;

/// A mistake in what was asked for: the command line, the configuration or the query.
#[derive(Debug)]
pub struct Mistake(String);

impl Mistake {
    /// A mistake, told by this text.
    #[must_use]
    #[expect(
        clippy::new_ret_no_self,
        reason = "the failure is always on its way out"
    )]
    pub fn new(text: impl Into<String>) -> anyhow::Error {
        anyhow::Error::new(Self(text.into()))
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Mistake {}

/// The exit status of an error, and what to say about it: `None` where nobody listens any more.
#[must_use]
pub fn report(error: &anyhow::Error) -> (ExitCode, Option<String>) {
    let closed = |cause: &(dyn std::error::Error + 'static)| {
        cause
            .downcast_ref::<io::Error>()
            .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    };
    if error.chain().any(closed) {
        return (ExitCode::SUCCESS, None);
    }
    let code = if error.is::<Mistake>() { 2 } else { 1 };
    (ExitCode::from(code), Some(describe(error)))
}

/// The messages of an error and its causes in one line, without what a cause repeats.
#[must_use]
pub fn describe(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        let message = cause.to_string();
        if text.is_empty() {
            text = message;
        } else if !text.contains(&message) {
            text.push_str(": ");
            text.push_str(&message);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    #[test]
    fn mistakes_exit_with_2_and_failures_with_1() {
        assert_eq!(
            report(&Mistake::new("no")),
            (ExitCode::from(2), Some("no".to_owned()))
        );
        let failure = anyhow::anyhow!("disk is full").context("cannot write");
        assert_eq!(
            report(&failure),
            (
                ExitCode::from(1),
                Some("cannot write: disk is full".to_owned())
            )
        );
    }

    #[test]
    fn a_closed_pipe_is_no_failure() {
        let closed: anyhow::Result<()> =
            Err(io::Error::from(io::ErrorKind::BrokenPipe)).context("cannot print");
        assert_eq!(
            report(&closed.expect_err("an error")),
            (ExitCode::SUCCESS, None)
        );
    }
}
