//! The part of PromQL that Prometheus clients send to a server without knowing its data.
//!
//! [`Constant`] evaluates expressions of numbers, `time()` and `vector()`: connection tests and
//! thresholds. [`is_selector`] recognises selectors, which have no series here. Everything else is
//! left to TraceQL.

mod constant;
mod lexer;
mod selector;

use std::fmt;

pub use constant::{Constant, Value};
pub use selector::is_selector;

/// Why a text is no constant expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseError {
    line: usize,
    column: usize,
    reason: String,
}

impl ParseError {
    fn new(text: &str, offset: usize, reason: impl Into<String>) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Self {
            line: before.matches('\n').count() + 1,
            column: before.get(line_start..).unwrap_or("").chars().count() + 1,
            reason: reason.into(),
        }
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}: parse error: {}",
            self.line, self.column, self.reason
        )
    }
}

impl std::error::Error for ParseError {}
