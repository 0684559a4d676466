//! Parameters that cannot be used.

use storage::ids::InvalidTraceId;
use thiserror::Error;

use crate::duration::format_ns;

/// A parameter that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(super) enum InvalidParameter {
    #[error("missing parameter q: a TraceQL metrics query")]
    MissingQuery,
    #[error("invalid {name}: {value:?}: expected {expected}")]
    Unreadable {
        name: &'static str,
        value: String,
        expected: &'static str,
    },
    #[error("end must be greater than start: start={start_ns} end={end_ns}")]
    EndBeforeStart { start_ns: i64, end_ns: i64 },
    #[error("http parameter start must be before end. received start={start_ns} end={end_ns}")]
    EmptyRange { start_ns: i64, end_ns: i64 },
    #[error("step must be greater than zero")]
    ZeroStep,
    #[error(
        "step of {} is too small, minimum step for given range is {} \
         (query_frontend.metrics.max_intervals)",
        format_ns(*step_ns), format_ns(*minimum_ns)
    )]
    StepTooSmall { step_ns: i64, minimum_ns: i64 },
    #[error(transparent)]
    TraceId(#[from] InvalidTraceId),
    #[error(
        "invalid start and end: only one of start and end provided: must provide both or neither"
    )]
    OneEnd,
    #[error("invalid request: can't specify tags and q in the same query")]
    TwoQueries,
    #[error(
        "minDuration and maxDuration go with tags only: write traceDuration into the query instead"
    )]
    DurationBesideQuery,
    #[error("invalid tags: tag {0} has been set twice")]
    RepeatedTag(String),
    #[error("invalid maxDuration: must be greater than minDuration")]
    DurationBounds,
    #[error("limit {limit} exceeds max limit {max} (query_frontend.search.max_result_limit)")]
    Limit { limit: usize, max: usize },
    #[error(
        "spans per span set exceeds {max}. received {spans} \
         (query_frontend.search.max_spans_per_span_set)"
    )]
    SpansPerSpanset { spans: usize, max: usize },
    #[error(
        "search time range exceeds the maximum allowed duration of {} \
         (query_frontend.search.max_duration)",
        format_ns(*limit_ns)
    )]
    RangeTooLong { limit_ns: i64 },
    #[error("invalid scope: {0}")]
    Scope(String),
    #[error("please provide a valid tagName: {0}")]
    TagName(String),
    #[error("time range is outside of what 64-bit nanoseconds since 1970 can express")]
    OutOfRange,
}

pub(super) fn unreadable(
    name: &'static str,
    value: &str,
    expected: &'static str,
) -> InvalidParameter {
    /// A value may be as long as a URL; an error shows its start.
    const SHOWN: usize = 64;
    let value = value.chars().take(SHOWN).collect();
    InvalidParameter::Unreadable {
        name,
        value,
        expected,
    }
}
