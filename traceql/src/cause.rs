//! The reasons for refusing a query, and their messages.

use std::fmt;

use crate::ast::{AggregateFunction, BinaryOp, UnaryOp};
use crate::limits::LimitName;
use crate::types::Type;

/// The reason, by the step that found it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Cause {
    /// Found while lexing or parsing.
    #[error(transparent)]
    Syntax(#[from] SyntaxError),
    /// Found while checking types and arguments.
    #[error(transparent)]
    Validation(#[from] ValidationError),
    /// Found while checking types and arguments.
    #[error(transparent)]
    Unsupported(#[from] UnsupportedFeature),
    /// Found at any step.
    #[error(transparent)]
    Limit(#[from] LimitExceeded),
}

/// The text does not fit the grammar.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what variants and fields are")]
pub enum SyntaxError {
    #[error("query is empty")]
    Empty,
    #[error("unexpected {found}, expected {expected}")]
    Unexpected {
        found: String,
        expected: &'static str,
    },
    #[error("unknown character `{}`", Visible(*character))]
    UnknownCharacter { character: char },
    #[error("unterminated {what}")]
    Unterminated { what: &'static str },
    #[error("unknown escape sequence `{sequence}`")]
    UnknownEscape { sequence: String },
    #[error("invalid number {text:?}, {reason}")]
    InvalidNumber { text: String, reason: &'static str },
    #[error("invalid duration {text:?}")]
    InvalidDuration { text: String },
    #[error("missing attribute name after {head:?}")]
    MissingAttributeName { head: String },
    #[error("unknown identifier {name:?}{}", DidYouMean(*suggestion))]
    UnknownIdentifier {
        name: String,
        suggestion: Option<&'static str>,
    },
    #[error("unknown scope {name:?}{}", DidYouMean(*suggestion))]
    UnknownScope {
        name: String,
        suggestion: Option<&'static str>,
    },
    #[error("attributes of the parent cannot be in scope {scope:?}")]
    ParentScope { scope: &'static str },
    #[error("unknown intrinsic {name:?}{}", DidYouMean(suggestion.as_deref()))]
    UnknownIntrinsic {
        name: String,
        suggestion: Option<String>,
    },
    #[error("unknown function {name:?}{}", DidYouMean(*suggestion))]
    UnknownFunction {
        name: String,
        suggestion: Option<&'static str>,
    },
    #[error("nil stands only beside = or !=")]
    MisplacedNil,
    #[error("{function}() needs a comparison")]
    MissingComparison { function: AggregateFunction },
    #[error("keyword {name:?} cannot name a hint")]
    KeywordAsHint { name: String },
    #[error("{found} cannot be combined with {expected}")]
    MixedGroups {
        found: &'static str,
        expected: &'static str,
    },
    #[error("coalesce() cannot be the first stage")]
    LeadingCoalesce,
    #[error("a parenthesised pipeline cannot be continued with |")]
    ContinuedPipelineExpr,
}

/// The query parses, but types or arguments do not fit.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what variants and fields are")]
pub enum ValidationError {
    #[error("filter condition must be boolean, found {found}")]
    ConditionType { found: Type },
    #[error("operator {op} does not apply to {lhs} and {rhs}")]
    TypeMismatch { op: BinaryOp, lhs: Type, rhs: Type },
    #[error("operator {op} does not apply to {operand}")]
    IllegalOperator { op: BinaryOp, operand: Type },
    #[error("operator {op} does not apply to {operand}")]
    IllegalUnaryOperator { op: UnaryOp, operand: Type },
    #[error("right side of {op} must be a string literal")]
    RegexNotLiteral { op: BinaryOp },
    #[error("invalid regular expression, {reason}")]
    InvalidRegex { reason: String },
    #[error("{attribute} is never nil")]
    NeverNil { attribute: String },
    #[error("{place} must refer to an attribute or intrinsic")]
    NoSpanReference { place: String },
    #[error("{function}() needs a number or duration, found {found}")]
    AggregateType {
        function: AggregateFunction,
        found: Type,
    },
    #[error("quantile {quantile} is not between 0 and 1")]
    QuantileOutOfRange { quantile: f64 },
    #[error("compare() must keep at least one value, found {top_n}")]
    CompareTopN { top_n: i64 },
    #[error(
        "compare() window must be 0, 0 or two times with end after start, found {start}, {end}"
    )]
    CompareWindow { start: i64, end: i64 },
    #[error("compare() cannot be followed by another stage")]
    StageAfterCompare,
    #[error("parent is a span, not a value")]
    ParentValue,
    #[error("compare() cannot be an operand")]
    CompareOperand,
    #[error("a stage needs series, found a number")]
    StageOnNumber,
    #[error("{function}() must keep at least one series, found {limit}")]
    SeriesLimit { function: &'static str, limit: i64 },
}

/// The query is meaningful, but reserved: TraceQL parses it and does not evaluate it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what variants and fields are")]
pub enum UnsupportedFeature {
    #[error("parent attribute {attribute} is not supported")]
    ParentAttribute { attribute: String },
    #[error("intrinsic parent is not supported")]
    ParentIntrinsic,
    #[error("scalar filter is not supported unless it is an aggregate compared with a number")]
    ScalarFilter,
    #[error("comparing a parenthesised pipeline is not supported")]
    ScalarPipelineFilter,
    #[error("{function}() supports {allowed} group-by attributes, found {observed}")]
    TooManyGroups {
        function: &'static str,
        observed: usize,
        allowed: usize,
    },
}

/// The query is larger than it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{}, observed {observed}, allowed {allowed} ({})", name.subject(), name.key())]
pub struct LimitExceeded {
    /// Which limit.
    pub name: LimitName,
    /// What the query has; for counts that stop at the limit, the first value above it.
    pub observed: usize,
    /// What it may have.
    pub allowed: usize,
}

/// A character, as far as it can be seen.
struct Visible(char);

impl fmt::Display for Visible {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_control() || self.0.is_whitespace() || self.0 == '\u{feff}' {
            self.0.escape_unicode().fmt(f)
        } else {
            self.0.fmt(f)
        }
    }
}

struct DidYouMean<'a>(Option<&'a str>);

impl fmt::Display for DidYouMean<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(name) => write!(f, ", did you mean {name:?}?"),
            None => Ok(()),
        }
    }
}
