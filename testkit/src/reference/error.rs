//! Why an evaluation has no result.

/// Why the reference evaluator gives no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvalError {
    /// Series were asked for, and the query has no metrics stage.
    #[error("not a metrics query")]
    NoMetrics,
    /// Spans were asked for, and the query only computes with series.
    #[error("selects no spans itself")]
    NoSearch,
    /// The query failed on a span or a trace it looked at.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
}

/// An operator that fails the whole query.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RuntimeError {
    /// `!e` where e is not Boolean.
    #[error("`!` of a value that is not Boolean")]
    NotOfNonBoolean,
    /// `-e` where e is not a number.
    #[error("`-` of a value that is not a number")]
    NegativeOfNonNumber,
    /// `a / 0` or `a % 0` on integers.
    #[error("integer division by zero")]
    DivisionByZero,
    /// `+ - * / % ^` with an array on either side.
    #[error("arithmetic on an array")]
    ArithmeticOnArray,
    /// A comparison with arrays on both sides.
    #[error("operator between two arrays")]
    ArrayWithArray,
    /// A structural operator on a trace that is in several spansets.
    #[error("structural operator on several spansets of one trace")]
    SeveralSpansets,
}
