//! What can go wrong between a request and its answer.

use std::time::Duration;

use engine::EngineError;
use storage::StorageError;
use storage::ids::TenantId;
use thiserror::Error;

use crate::duration::format_ns;

/// A query without an answer.
#[derive(Debug, Error)]
pub enum QueryError {
    /// The text is no valid TraceQL.
    #[error("invalid TraceQL query: {0}")]
    Invalid(traceql::Error),
    /// The text is longer than allowed.
    #[error(
        "query is too long: bytes={bytes} limit={limit} (query_frontend.max_query_expression_size_bytes)"
    )]
    TooLong {
        /// The length of the text, bytes.
        bytes: usize,
        /// The longest text allowed, bytes.
        limit: usize,
    },
    /// The time range is longer than allowed.
    #[error(
        "metrics query time range exceeds the maximum allowed duration of {} \
         (query_frontend.metrics.max_duration)",
        format_ns(*limit_ns)
    )]
    RangeTooLong {
        /// The longest range allowed, ns.
        limit_ns: i64,
    },
    /// The query cannot be planned or fails on the data.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The catalog cannot be read.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// Too many queries of the tenant wait already.
    #[error(
        "job queue full: tenant={tenant} limit={limit} (query_frontend.max_outstanding_per_tenant)"
    )]
    QueueFull {
        /// The tenant whose queue is full.
        tenant: TenantId,
        /// How many queries of a tenant may wait.
        limit: usize,
    },
    /// The query took longer than allowed.
    #[error(
        "unable to process request in the configured timeout: timeout={} ({key})",
        format_ns(i64::try_from(timeout.as_nanos()).unwrap_or(i64::MAX))
    )]
    Timeout {
        /// How long the query could have taken.
        timeout: Duration,
        /// Which setting or parameter says so.
        key: &'static str,
    },
    /// The answer is larger than allowed.
    #[error(
        "answer is larger than {limit} bytes: narrow the time range, raise the step, group by fewer \
         values, or raise query.max_response_bytes"
    )]
    ResponseTooLarge {
        /// The largest answer allowed, bytes.
        limit: usize,
    },
    /// The trace is larger than allowed.
    #[error(
        "Trace exceeds maximum size of {limit} bytes \
         (overrides.defaults.global.max_bytes_per_trace)"
    )]
    TraceTooLarge {
        /// The largest trace allowed, bytes of OTLP.
        limit: u64,
    },
    /// A defect of this program.
    #[error("internal error: {0}")]
    Internal(&'static str),
}

/// What a caller should do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// Change the query or its parameters.
    Invalid,
    /// The query fails on the data that it reads.
    Execution,
    /// Ask for less, or raise the limit.
    LimitExceeded,
    /// Come back when fewer queries wait.
    Overloaded,
    /// Ask for less, or raise the timeout.
    Timeout,
    /// Try again later.
    Unavailable,
    /// The caller went away.
    Cancelled,
    /// A person must look: damaged data, or a defect.
    Internal,
}

impl ErrorKind {
    /// The name under which errors of this kind are counted.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::Execution => "execution",
            Self::LimitExceeded => "limit_exceeded",
            Self::Overloaded => "overloaded",
            Self::Timeout => "timeout",
            Self::Unavailable => "unavailable",
            Self::Cancelled => "cancelled",
            Self::Internal => "internal",
        }
    }
}

impl QueryError {
    /// What a caller should do.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Invalid(_) | Self::TooLong { .. } | Self::RangeTooLong { .. } => {
                ErrorKind::Invalid
            }
            Self::Engine(error) => match error.kind() {
                engine::ErrorKind::InvalidQuery => ErrorKind::Invalid,
                engine::ErrorKind::Execution => ErrorKind::Execution,
                engine::ErrorKind::LimitExceeded => ErrorKind::LimitExceeded,
                engine::ErrorKind::Unavailable => ErrorKind::Unavailable,
                engine::ErrorKind::Cancelled => ErrorKind::Cancelled,
                engine::ErrorKind::Corrupt | engine::ErrorKind::Internal => ErrorKind::Internal,
            },
            Self::Storage(error) => match error.kind() {
                storage::ErrorKind::Unavailable => ErrorKind::Unavailable,
                storage::ErrorKind::InvalidInput
                | storage::ErrorKind::NotFound
                | storage::ErrorKind::Limit
                | storage::ErrorKind::Corrupt
                | storage::ErrorKind::Internal => ErrorKind::Internal,
            },
            Self::QueueFull { .. } => ErrorKind::Overloaded,
            Self::Timeout { .. } => ErrorKind::Timeout,
            Self::ResponseTooLarge { .. } | Self::TraceTooLarge { .. } => ErrorKind::LimitExceeded,
            Self::Internal(_) => ErrorKind::Internal,
        }
    }

    /// Whether a block that the catalog named was not in the store.
    pub(crate) fn is_block_gone(&self) -> bool {
        match self {
            Self::Storage(error) | Self::Engine(EngineError::Storage(error)) => {
                error.kind() == storage::ErrorKind::NotFound
            }
            _ => false,
        }
    }

    /// Whether the query is a search: valid TraceQL without a metrics stage.
    #[must_use]
    pub fn is_search(&self) -> bool {
        matches!(self, Self::Engine(EngineError::NotMetrics))
    }

    /// The limit that the query met, under its stable name; `None` for other errors.
    #[must_use]
    pub fn limit_code(&self) -> Option<&'static str> {
        match self {
            Self::TooLong { .. } => Some("err-query-too-long"),
            Self::RangeTooLong { .. } => Some("err-range-too-long"),
            Self::QueueFull { .. } => Some("err-query-queue-full"),
            Self::Timeout { .. } => Some("err-query-timeout"),
            Self::ResponseTooLarge { .. } => Some("err-response-too-large"),
            Self::TraceTooLarge { .. } => Some("err-trace-too-large"),
            Self::Engine(EngineError::MemoryLimit { .. }) => Some("err-query-memory"),
            Self::Engine(EngineError::SeriesLimit { .. }) => Some("err-series"),
            Self::Invalid(error) if error.kind() == traceql::ErrorKind::Limit => {
                Some("err-query-too-complex")
            }
            Self::Invalid(_) | Self::Engine(_) | Self::Storage(_) | Self::Internal(_) => None,
        }
    }
}
