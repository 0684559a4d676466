//! Why a query was refused.

use std::fmt;

use crate::ast::{AggregateFunction, BinaryOp, UnaryOp};
use crate::diagnostic::{Diagnostic, Position};
use crate::limits::LimitName;
use crate::text_range::TextRange;
use crate::types::Type;

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
