//! A refused query as its caller gets it.

use std::fmt;

use crate::cause::Cause;
use crate::diagnostic::{Diagnostic, Position};
use crate::text_range::TextRange;

/// A refused query: what is wrong, where, and what to write instead.
///
/// `Display` is one line; [`Error::render`] also shows the line of the query and a caret.
#[derive(Debug, Clone, PartialEq)]
pub struct Error {
    // Boxed, so that the `Result`s of the parser stay small on the path without errors.
    diagnostic: Box<Diagnostic>,
}

/// What a caller does with an error depends only on this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The text is not TraceQL.
    Parse,
    /// The text is TraceQL, but means nothing: types or arguments do not fit.
    Validation,
    /// The query has a meaning that TraceQL reserves and does not evaluate.
    Unsupported,
    /// The query is larger than [`Limits`](crate::Limits) allow.
    Limit,
}

/// What compiling a text comes to, without its reasons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// The query compiles.
    Valid,
    /// The text is not TraceQL, or exceeds a limit.
    ParseError,
    /// Types or arguments do not fit.
    ValidationError,
    /// The query uses a reserved construct.
    Unsupported,
}

impl Verdict {
    /// `valid`, `parse_error`, `validation_error` or `unsupported`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::ParseError => "parse_error",
            Self::ValidationError => "validation_error",
            Self::Unsupported => "unsupported",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Error {
    pub(crate) fn new(cause: impl Into<Cause>, range: TextRange) -> Self {
        let cause = cause.into();
        Self {
            diagnostic: Box::new(Diagnostic {
                cause,
                range,
                position: None,
                hint: None,
            }),
        }
    }

    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.diagnostic.hint = Some(hint.into());
        self
    }

    /// Fills in line and column, which need the text.
    pub(crate) fn locate(mut self, text: &str) -> Self {
        self.diagnostic.position = Some(Position::of(self.diagnostic.range.start, text));
        self
    }

    /// Which of the four kinds of refusal this is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self.diagnostic.cause {
            Cause::Syntax(_) => ErrorKind::Parse,
            Cause::Validation(_) => ErrorKind::Validation,
            Cause::Unsupported(_) => ErrorKind::Unsupported,
            Cause::Limit(_) => ErrorKind::Limit,
        }
    }

    /// The verdict on the query.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        match self.kind() {
            ErrorKind::Parse | ErrorKind::Limit => Verdict::ParseError,
            ErrorKind::Validation => Verdict::ValidationError,
            ErrorKind::Unsupported => Verdict::Unsupported,
        }
    }

    /// Cause, place and hint.
    #[must_use]
    pub fn diagnostic(&self) -> &Diagnostic {
        &self.diagnostic
    }

    /// The message, the line of `text` it is about, a caret under the place, and the hint if there
    /// is one. `text` is the query the error came from.
    #[must_use]
    pub fn render(&self, text: &str) -> String {
        self.diagnostic.render(text)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.diagnostic.fmt(f)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        // The message of the cause is already part of this error's own.
        None
    }
}
