//! Why an evaluation has no result.

/// Why the reference evaluator gives no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvalError {
    /// The evaluator does not know this construct yet.
    #[error("not implemented by the reference evaluator: {0}")]
    NotImplemented(&'static str),
    /// The query failed on a span of the window.
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
}
