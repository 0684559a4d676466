//! TraceQL: query text to a checked syntax tree, and back to canonical text.
//!
//! ```
//! let query = traceql::compile("{ .http.status>=500&&duration > 2*1s } | rate()by(name)")?;
//! assert_eq!(
//!     query.to_string(),
//!     "{ .http.status >= 500 && duration > 2000000000.0 } | rate() by(name)",
//! );
//!
//! let text = "{ spam.x = 1 }";
//! let error = traceql::compile(text).unwrap_err();
//! assert_eq!(error.to_string(), r#"unknown scope "spam", did you mean "span"? at line 1, column 3"#);
//! assert_eq!(error.verdict(), traceql::Verdict::ParseError);
//! # Ok::<(), traceql::Error>(())
//! ```
//!
//! [`parse`] builds the tree, [`validate`] checks it, [`compile`] does both and folds constants. They
//! read the default [`Dialect`]; `parse_with` and the like read another, or keep other [`Limits`].
//! [`notices`] says what is worth knowing about a query that is valid.
//!
//! Invariants:
//!
//! - Printing a tree and parsing the text gives an equal tree, and printing is stable.
//! - No text makes a function here panic, overflow the stack or use memory out of proportion to its
//!   length: [`Limits`] bound both the parser and whoever walks the tree.
//! - The first mistake in the text, in the order of checks the language prescribes, is the one
//!   reported, with its place and, where habits from other languages explain it, what to write.
//!
//! Deliberately absent: evaluation, rewrites for speed (a chain of `||` on one attribute stays one),
//! interpretation of hints, and knowledge of any storage or transport. The crate depends on no other
//! crate of the workspace and is useful by itself.
//!
//! Reading order, from the ground up; a file uses its own floor and those before it:
//!
//! - *words*: [`text_range`], `limits`, `dialect`, `duration`, `suggest`;
//! - *tree*, which is the result: [`ast`], with the `types` of its expressions, the `attributes` that
//!   they depend on, their `names`, and `notice` for what is odd;
//! - *refusals*: `cause`, `diagnostic`, `error`;
//! - *patterns*: `regex`;
//! - *tokens*: `lexer`, and `operators` with their binding strengths;
//! - *grammar*, which builds the tree: `grammar`;
//! - *meaning*: `analyze` checks the tree by the rules of its dialect and folds constants, `print` is
//!   the way back to text.
#![deny(missing_docs)]

mod analyze;
pub mod ast;
mod attributes;
mod cause;
mod diagnostic;
mod dialect;
mod duration;
mod error;
mod grammar;
mod lexer;
mod limits;
mod names;
mod notice;
mod operators;
mod print;
mod regex;
mod suggest;
pub mod text_range;
mod types;

pub use crate::ast::Query;
pub use crate::cause::{Cause, LimitExceeded, SyntaxError, UnsupportedFeature, ValidationError};
pub use crate::diagnostic::{Diagnostic, Position};
pub use crate::dialect::{Dialect, Options};
pub use crate::duration::{DurationStyle, format_go_duration};
pub use crate::error::{Error, ErrorKind, Verdict};
pub use crate::limits::{LimitName, Limits};
pub use crate::notice::{Notice, NoticeKind, notices};
pub use crate::regex::{
    RegexError, compile as compile_regex, compile_with_limits as compile_regex_with_limits,
};
pub use crate::text_range::TextRange;
pub use crate::types::Type;

use crate::ast::Attribute;

/// Parses a query in the default dialect. Only the grammar is checked.
pub fn parse(text: &str) -> Result<Query, Error> {
    parse_with(text, &Options::default())
}

/// [`parse`] in another dialect or with other limits.
pub fn parse_with(text: &str, options: &Options) -> Result<Query, Error> {
    grammar::parse_query(text, options).map_err(|error| error.locate(text))
}

/// Checks types, arguments and reserved constructs by the rules of the query's dialect, in the order
/// the language prescribes. Errors have no line and column, because the text is not known here.
pub fn validate(query: &Query) -> Result<(), Error> {
    validate_with(query, &Limits::default())
}

/// [`validate`] with limits other than the default; only those on regular expressions and on
/// operands of metrics arithmetic matter.
pub fn validate_with(query: &Query, limits: &Limits) -> Result<(), Error> {
    analyze::validate(query, limits)
}

/// Parses and checks a query in the default dialect and folds its constants, which never changes
/// its meaning.
pub fn compile(text: &str) -> Result<Query, Error> {
    compile_with(text, &Options::default())
}

/// [`compile`] in another dialect or with other limits.
pub fn compile_with(text: &str, options: &Options) -> Result<Query, Error> {
    let mut query = parse_with(text, options)?;
    validate_with(&query, &options.limits).map_err(|error| error.locate(text))?;
    analyze::fold::fold(&mut query, &options.limits);
    Ok(query)
}

/// Parses one attribute or intrinsic, in any of the ways a query of the default dialect may write
/// it.
pub fn parse_attribute(text: &str) -> Result<Attribute, Error> {
    grammar::parse_attribute(text, &Options::default()).map_err(|error| error.locate(text))
}

/// What compiling the text in the default dialect comes to.
#[must_use]
pub fn verdict(text: &str) -> Verdict {
    verdict_with(text, &Options::default())
}

/// [`verdict`] in another dialect or with other limits.
#[must_use]
pub fn verdict_with(text: &str, options: &Options) -> Verdict {
    match compile_with(text, options) {
        Ok(_) => Verdict::Valid,
        Err(error) => error.verdict(),
    }
}
