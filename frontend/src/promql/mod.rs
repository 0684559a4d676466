//! The part of PromQL that Prometheus clients send to a server without knowing its data.
//!
//! [`Constant`] evaluates expressions of numbers, `time()` and `vector()`: connection tests and
//! thresholds. [`is_selector`] recognises selectors, which have no series here. Everything else is
//! left to TraceQL.

mod constant;
mod error;
mod lexer;
mod parser;
mod program;
mod selector;

pub use constant::{Constant, Value};
pub use error::ParseError;
pub use selector::is_selector;
