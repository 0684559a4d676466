//! Regular expressions as TraceQL means them: the syntax and classes of Go's `regexp`, matched
//! against the whole text, with `.` matching line breaks too.
//!
//! The `regex` crate gives the same guarantees (linear time, no look-around, no back-references)
//! but reads a slightly different syntax, so patterns are translated first: ASCII `\d`, `\w`, `\s`
//! and `\b`, literal `[`, `&&` and `--` inside classes, `\Q…\E`, octal escapes, and a literal `{`
//! where no repetition follows.
//!
//! Differences that remain: `\B` knows Unicode letters; names of Unicode classes are matched
//! without regard to case; a repetition inside a repetition is bounded by memory, not by the
//! product 1000; capture groups are not kept, since only whether a text matches is ever asked.

mod translate;

use regex::{Regex, RegexBuilder};

use crate::limits::Limits;

/// Why a regular expression was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what variants and fields are")]
pub enum RegexError {
    #[error("invalid regular expression, {reason}")]
    Syntax { reason: String },
    #[error("regular expression has {observed} bytes, allowed {allowed}")]
    TooLong { observed: usize, allowed: usize },
    #[error("regular expression needs more than {allowed} bytes of memory")]
    TooLarge { allowed: usize },
}

/// Compiles the right side of `=~`. [`Regex::is_match`] of the result answers for the whole text:
/// the pattern is anchored at both ends.
pub fn compile(pattern: &str) -> Result<Regex, RegexError> {
    compile_with_limits(pattern, &Limits::default())
}

/// [`compile`] with limits other than the default.
pub fn compile_with_limits(pattern: &str, limits: &Limits) -> Result<Regex, RegexError> {
    let allowed = limits.max_regex_bytes;
    if pattern.len() > allowed {
        return Err(RegexError::TooLong {
            observed: pattern.len(),
            allowed,
        });
    }
    let translated =
        translate::translate(pattern).map_err(|reason| RegexError::Syntax { reason })?;
    RegexBuilder::new(&format!(r"\A(?:{translated})\z"))
        .dot_matches_new_line(true)
        .size_limit(limits.max_regex_compiled_bytes)
        .build()
        .map_err(|error| match error {
            regex::Error::CompiledTooBig(allowed) => RegexError::TooLarge { allowed },
            other => RegexError::Syntax {
                reason: last_line(&other.to_string()),
            },
        })
}

/// The library draws the pattern with a caret; only its last line says what is wrong.
fn last_line(message: &str) -> String {
    let line = message.lines().last().unwrap_or(message);
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}

#[cfg(test)]
mod tests;
