//! What can go wrong between a typed query and its series.

use std::sync::Arc;

use datafusion::error::DataFusionError;
use storage::StorageError;
use thiserror::Error;

/// A query that could not be planned or run.
#[derive(Debug, Error)]
pub enum EngineError {
    /// The query has no metrics stage, so it has no series.
    #[error("not a metrics query: add a metrics function, for example `| rate()`")]
    NotMetrics,
    /// The query computes series of series, so there are no spans that it selects.
    #[error("not a search: arithmetic between metrics queries selects no spans")]
    NotSearch,
    /// An expression failed on a span.
    #[error("{0}")]
    Evaluation(EvaluationError),
    /// The query needs more memory than it may use.
    #[error(
        "query needs more than {limit_bytes} bytes of memory: narrow the time range, raise the step, group by fewer values, or raise {key}"
    )]
    MemoryLimit {
        /// The limit.
        limit_bytes: u64,
        /// The configuration key that sets it.
        key: &'static str,
    },
    /// The query makes more series than it may.
    #[error(
        "query makes more than {limit} series: filter or group by fewer values, or raise {key}"
    )]
    SeriesLimit {
        /// The limit.
        limit: u64,
        /// The configuration key that sets it.
        key: &'static str,
    },
    /// A block could not be read.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The execution was cancelled.
    #[error("query cancelled")]
    Cancelled,
    /// DataFusion failed in a way that no query should cause.
    #[error("query execution failed: {0}")]
    Internal(DataFusionError),
}

/// An expression that has no value on some span, which aborts the query.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EvaluationError {
    /// `!e` where `e` is not a Boolean.
    #[error("operand of `!` is not a boolean on some span: {expression}")]
    NotBoolean {
        /// The operand.
        expression: String,
    },
    /// `-e` where `e` is not a number.
    #[error("operand of unary `-` is not a number on some span: {expression}")]
    NotNumeric {
        /// The expression, with its `-`.
        expression: String,
    },
    /// `a / 0` or `a % 0` on integers.
    #[error("integer division by zero: {expression}")]
    DivisionByZero {
        /// The expression.
        expression: String,
    },
    /// A structural operator, or a comparison of scalars, over a pipeline that makes several
    /// spansets of one trace.
    #[error(
        "an operand is several spansets in some trace, where one is needed: {expression} (add `| coalesce()` behind `by(...)`)"
    )]
    SeveralSpansets {
        /// The operator or operand.
        expression: String,
    },
    /// Arithmetic with an array, or an array compared with an array.
    #[error("an array value cannot be used in: {expression}")]
    ArrayOperand {
        /// The expression.
        expression: String,
    },
    /// Arithmetic on series of which some cannot be told apart.
    #[error("cannot compute with several series of the same labels in one operand: {labels}")]
    DuplicateSeries {
        /// The labels.
        labels: String,
    },
}

/// What a caller should do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// Change the query.
    InvalidQuery,
    /// The query fails on the data it reads.
    Execution,
    /// Ask for less, or raise the limit.
    LimitExceeded,
    /// Try again later.
    Unavailable,
    /// Stored data is damaged; a person must look.
    Corrupt,
    /// The caller went away.
    Cancelled,
    /// A fault of ours.
    Internal,
}

impl EngineError {
    /// Results of different queries cannot be merged.
    pub(crate) fn other_query() -> Self {
        Self::Internal(DataFusionError::Internal(
            "a result of another query".into(),
        ))
    }

    /// What a caller should do about the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NotMetrics | Self::NotSearch => ErrorKind::InvalidQuery,
            Self::Evaluation(_) => ErrorKind::Execution,
            Self::MemoryLimit { .. } | Self::SeriesLimit { .. } => ErrorKind::LimitExceeded,
            Self::Storage(error) => match error.kind() {
                storage::ErrorKind::Corrupt => ErrorKind::Corrupt,
                storage::ErrorKind::Unavailable => ErrorKind::Unavailable,
                storage::ErrorKind::Limit => ErrorKind::LimitExceeded,
                storage::ErrorKind::InvalidInput
                | storage::ErrorKind::NotFound
                | storage::ErrorKind::Internal => ErrorKind::Internal,
            },
            Self::Cancelled => ErrorKind::Cancelled,
            Self::Internal(_) => ErrorKind::Internal,
        }
    }
}

impl EngineError {
    /// An error that several are told.
    #[must_use]
    pub fn of_shared(error: &Arc<Self>) -> Self {
        error.duplicate().unwrap_or_else(|| match &**error {
            Self::Cancelled => Self::Cancelled,
            _ => Self::Internal(DataFusionError::External(Box::new(Arc::clone(error)))),
        })
    }

    /// A copy, of those that functions raise while a plan runs.
    pub(crate) fn duplicate(&self) -> Option<Self> {
        match self {
            Self::Evaluation(error) => Some(Self::Evaluation(error.clone())),
            Self::MemoryLimit { limit_bytes, key } => Some(Self::MemoryLimit {
                limit_bytes: *limit_bytes,
                key,
            }),
            Self::Storage(error) => Some(Self::Storage(error.clone())),
            Self::NotMetrics
            | Self::NotSearch
            | Self::SeriesLimit { .. }
            | Self::Cancelled
            | Self::Internal(_) => None,
        }
    }
}
