//! Which language a query text is in.

use traceql::Dialect;

use super::envelope::ApiError;
use crate::error::QueryError;
use crate::promql::{Constant, ParseError, is_selector};

/// A query text, understood.
#[derive(Debug)]
pub(super) enum Language {
    /// PromQL that needs no data.
    Constant(Constant),
    /// TraceQL, valid; whether it makes series is for the engine to say.
    TraceQl,
    /// A PromQL selector. No such series are stored here, but probes and dashboards send these.
    Selector,
}

/// What is said to whoever selects PromQL series.
pub(super) const SELECTOR_INFO: &str =
    "PromQL series are not stored here; send a TraceQL metrics query";

impl Language {
    pub(super) fn of(text: &str, dialect: Dialect, max_bytes: usize) -> Result<Self, ApiError> {
        if text.len() > max_bytes {
            return Err(QueryError::TooLong {
                bytes: text.len(),
                limit: max_bytes,
            }
            .into());
        }
        let not_constant = match Constant::parse(text) {
            Ok(constant) => return Ok(Self::Constant(constant)),
            Err(error) => error,
        };
        match traceql::compile_with(text, &dialect.into()) {
            Ok(_) => Ok(Self::TraceQl),
            Err(_) if is_selector(text) => Ok(Self::Selector),
            Err(error) => Err(neither(text, &error, &not_constant)),
        }
    }
}

/// Text in braces is meant as TraceQL, and what PromQL would say of it helps nobody.
fn neither(text: &str, traceql: &traceql::Error, promql: &ParseError) -> ApiError {
    let meant_as_traceql = text.contains('{') || traceql.kind() != traceql::ErrorKind::Parse;
    if meant_as_traceql
        && !text
            .trim_start()
            .starts_with(|c: char| c.is_ascii_alphanumeric())
    {
        return ApiError::parameter(
            "query",
            format!("invalid TraceQL query: {traceql} (as PromQL constant: {promql})"),
        );
    }
    ApiError::parameter(
        "query",
        format!("{promql} (as PromQL constant); as TraceQL metrics query: {traceql}"),
    )
}
