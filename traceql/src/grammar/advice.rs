//! What to say about a token that does not fit. Nothing here decides whether a query parses.

use super::Parser;
use crate::ast::{AggregateFunction, BinaryOp, Intrinsic, ScalarExpr};
use crate::cause::SyntaxError;
use crate::dialect::Dialect;
use crate::error::Error;
use crate::lexer::{Symbol, TokenKind};
use crate::names::{
    ColonScope, METRICS_FUNCTIONS, STAGE_FUNCTIONS, ends_name, is_keyword, value_words,
};
use crate::suggest::closest;
use crate::text_range::TextRange;

/// Characters of a token that a message repeats.
const SHOWN_CHARS: usize = 32;

const NO_SPACES: &str = "a duration has no spaces, write `1h30m`";

const SCOPES: [&str; 6] = [
    "span",
    "resource",
    "event",
    "link",
    "instrumentation",
    "parent",
];

impl Parser<'_> {
    /// The current token cannot stand here.
    pub(super) fn unexpected(&self, expected: &'static str) -> Error {
        let found = match &self.token.kind {
            TokenKind::Invalid(error) => return error.clone(),
            TokenKind::End => "end of query".to_owned(),
            _ => format!("`{}`", shorten(self.token_text())),
        };
        let error = Error::new(
            SyntaxError::Unexpected { found, expected },
            self.token.range,
        );
        match self.advice() {
            Some(hint) => error.with_hint(hint),
            None => error,
        }
    }

    /// The current token cannot be an operand; an unknown word gets its own message.
    pub(super) fn unexpected_operand(&self, expected: &'static str) -> Error {
        match self.token.kind {
            TokenKind::Word(word) if self.is_function_name(word) => self
                .unexpected(expected)
                .with_hint("functions are stages, write `{ … } | …`"),
            TokenKind::Word(word) if habit(word).is_some() => self.unexpected(expected),
            TokenKind::Word("nil") => Error::new(SyntaxError::MisplacedNil, self.token.range),
            TokenKind::Word(word) => self.unknown_word(word),
            _ => self.unexpected(expected),
        }
    }

    /// The current token cannot start a stage.
    pub(super) fn unexpected_element(&self, expected: &'static str) -> Error {
        match self.token.kind {
            TokenKind::Word(word) if METRICS_FUNCTIONS.contains(&word) => {
                let error = self.unexpected(expected);
                if self.depth == 0 {
                    error.with_hint(format!(
                        "metrics need a pipeline to count, write `{{ }} | {word}(…)`"
                    ))
                } else {
                    error.with_hint(match self.dialect {
                        Dialect::Spandrel => {
                            "a metrics query stands in parentheses only as an operand of \
                             arithmetic, such as `({ … } | rate()) / 2`"
                        }
                        Dialect::Tempo => "metrics functions cannot stand inside parentheses",
                    })
                }
            }
            TokenKind::Word(word @ ("topk" | "bottomk")) => self.unexpected(expected).with_hint(
                format!("{word} follows a metrics function, such as `{{ }} | rate() | {word}(…)`"),
            ),
            TokenKind::Word(word) if self.next_char() == Some('(') && !is_keyword(word) => {
                let functions = METRICS_FUNCTIONS.into_iter().chain(STAGE_FUNCTIONS);
                let suggestion = closest(word, functions);
                let name = word.to_owned();
                Error::new(
                    SyntaxError::UnknownFunction { name, suggestion },
                    self.token.range,
                )
            }
            TokenKind::Word(word) if self.is_function_name(word) => self.unexpected(expected),
            TokenKind::Attribute(_) | TokenKind::ColonScope(_) | TokenKind::Word(_) => self
                .unexpected(expected)
                .with_hint("conditions on spans go into braces, write `{ … }`"),
            _ => self.unexpected(expected),
        }
    }

    /// A scalar stands where a comparison of it should.
    pub(super) fn missing_comparison(&self, scalar: &ScalarExpr) -> Error {
        match (scalar, &self.token.kind) {
            (
                ScalarExpr::Aggregate(aggregate),
                TokenKind::End | TokenKind::Symbol(Symbol::Pipe),
            ) => {
                let function = aggregate.function;
                let argument = if function == AggregateFunction::Count {
                    ""
                } else {
                    "…"
                };
                Error::new(SyntaxError::MissingComparison { function }, aggregate.range)
                    .with_hint(format!("write `| {function}({argument}) > 0`"))
            }
            _ => self.unexpected("a comparison"),
        }
    }

    /// Neither a number nor a metrics query in parentheses.
    pub(super) fn unexpected_metrics_operand(&self) -> Error {
        let error = self.unexpected("a number or a metrics query such as `({ … } | rate())`");
        match self.token.kind {
            TokenKind::Symbol(Symbol::OpenBrace) => error.with_hint(
                "only series are computed with, count what is selected: `({ … } | rate())`",
            ),
            _ => error,
        }
    }

    /// Adds what to write where arithmetic follows a metrics query that has no parentheses of its
    /// own.
    pub(super) fn advise_parentheses(&self, error: Error, follows_metrics: bool) -> Error {
        let is_arithmetic = self
            .symbol()
            .and_then(BinaryOp::from_symbol)
            .is_some_and(BinaryOp::is_arithmetic);
        if follows_metrics && is_arithmetic && self.dialect == Dialect::Spandrel {
            error.with_hint(
                "put metrics queries in parentheses to compute with them, \
                 `({ … } | rate()) * 60`",
            )
        } else {
            error
        }
    }

    /// `by` without its parentheses.
    pub(super) fn expect_by_paren(&mut self) -> Result<(), Error> {
        if self.eat(Symbol::OpenParen) {
            return Ok(());
        }
        let error = self.unexpected("`(`");
        Err(match self.token.kind {
            TokenKind::Attribute(_) | TokenKind::Word(_) => {
                error.with_hint(format!("write `by({})`", shorten(self.token_text())))
            }
            _ => error,
        })
    }

    fn unknown_word(&self, word: &str) -> Error {
        let range = self.token.range;
        let name = word.to_owned();
        match self.next_char() {
            Some('.') if word == "trace" => Error::new(
                SyntaxError::UnknownScope {
                    name,
                    suggestion: None,
                },
                range,
            )
            .with_hint(
                "traces have no attributes, only trace:id, trace:duration, trace:rootName \
                     and trace:rootService",
            ),
            Some('.') => {
                let suggestion = closest(word, SCOPES);
                let error = Error::new(SyntaxError::UnknownScope { name, suggestion }, range);
                if suggestion.is_some() {
                    return error;
                }
                let key = self.attribute_like_text();
                error.with_hint(format!(
                    "attributes need a scope, write `.{key}`, `span.{key}` or `resource.{key}`"
                ))
            }
            Some(':') if SCOPES.contains(&word) => {
                let error = SyntaxError::UnknownScope {
                    name: format!("{word}:"),
                    suggestion: None,
                };
                Error::new(error, TextRange::new(range.start, range.end + 1))
                    .with_hint(format!("attributes have a dot, write `{word}.…`"))
            }
            Some(':') => {
                let suggestion = closest(word, ColonScope::words(self.dialect));
                Error::new(SyntaxError::UnknownScope { name, suggestion }, range)
            }
            _ => {
                let scoped = match word {
                    "childCount" | "id" | "parentID" => Some(format!("write `span:{word}`")),
                    "selfTime" if self.dialect == Dialect::Spandrel => {
                        Some(format!("write `span:{word}`"))
                    }
                    "traceID" | "spanID" => Some(format!(
                        "write `{}:id`, or `link:{word}` for that of a link",
                        word.trim_end_matches("ID")
                    )),
                    "timeSinceStart" => Some(format!("write `event:{word}`")),
                    "version" => Some(format!("write `instrumentation:{word}`")),
                    "rootService" => {
                        Some("write `rootServiceName` or `trace:rootService`".to_owned())
                    }
                    _ => None,
                };
                let suggestion = if scoped.is_some() {
                    None
                } else {
                    closest(word, value_words())
                };
                let hint = scoped.unwrap_or_else(|| {
                    format!("quote text, write {word:?}; attributes need a scope, write `.{word}`")
                });
                let error = Error::new(SyntaxError::UnknownIdentifier { name, suggestion }, range);
                if suggestion.is_some() {
                    error
                } else {
                    error.with_hint(hint)
                }
            }
        }
    }

    /// What to write instead of the current token, for habits from other languages.
    fn advice(&self) -> Option<String> {
        let before = self.text.get(..self.token.range.start).unwrap_or_default();
        let hint = match self.token.kind {
            TokenKind::Word(word) if let Some(hint) = habit(word) => hint,
            TokenKind::Word(word) => match word {
                "by" => "by(…) follows a metrics function at once, or is a stage: `| by(…)`",
                "with" => "with(…) comes last",
                "topk" | "bottomk" => "write `|` before it",
                _ if METRICS_FUNCTIONS.contains(&word) || STAGE_FUNCTIONS.contains(&word) => {
                    "write `|` before it"
                }
                _ if before.ends_with(|c: char| c.is_ascii_digit() || c.is_ascii_lowercase()) => {
                    "the units of a duration are y, w, d, h, m, s, ms, us, ns"
                }
                _ if before.trim_end().ends_with(|c: char| c.is_ascii_digit()) => NO_SPACES,
                _ => return None,
            },
            TokenKind::Duration(_)
                if before
                    .trim_end()
                    .ends_with(|c: char| c.is_ascii_alphanumeric()) =>
            {
                NO_SPACES
            }
            TokenKind::Symbol(Symbol::Eq) if before.ends_with('=') => "equality is a single `=`",
            TokenKind::Symbol(Symbol::Gt) if before.ends_with('<') => "inequality is `!=`",
            TokenKind::Symbol(Symbol::Comma) if self.in_braces() => "join conditions with `&&`",
            TokenKind::Symbol(Symbol::OpenBrace) => {
                "join filters with an operator such as `&&` or `>>`, or with `|`"
            }
            TokenKind::Symbol(Symbol::Pipe) if self.in_braces() => "write `||`",
            TokenKind::Symbol(Symbol::Sibling) if self.in_braces() => "a regex match is `=~`",
            _ => return None,
        };
        Some(hint.to_owned())
    }

    /// Whether the text so far has an open brace. Quotes are not understood, which is good enough
    /// for a hint.
    fn in_braces(&self) -> bool {
        let before = self.text.get(..self.token.range.start).unwrap_or_default();
        before.rfind('{') > before.rfind('}')
    }

    fn token_text(&self) -> &str {
        self.text
            .get(self.token.range.start..self.token.range.end)
            .unwrap_or_default()
    }

    /// The character directly behind the current token.
    fn next_char(&self) -> Option<char> {
        self.text.get(self.token.range.end..)?.chars().next()
    }

    /// The current word and what follows it, as far as it would belong to an attribute's name.
    fn attribute_like_text(&self) -> String {
        let rest = self.text.get(self.token.range.start..).unwrap_or_default();
        let ends = |c: char| c.is_whitespace() || ends_name(c);
        shorten(&rest[..rest.find(ends).unwrap_or(rest.len())])
    }

    fn is_function_name(&self, word: &str) -> bool {
        (METRICS_FUNCTIONS.contains(&word) || STAGE_FUNCTIONS.contains(&word))
            && Intrinsic::from_bare(word).is_none()
    }
}

/// What to write for a word of another language.
fn habit(word: &str) -> Option<&'static str> {
    Some(match word.to_ascii_lowercase().as_str() {
        "and" => "write `&&`",
        "or" => "write `||`",
        "not" => "write `!`",
        "in" => {
            "there are no lists, join alternatives with `||` or use a regex such as `=~ \"a|b\"`"
        }
        "like" | "matches" => "match a regular expression with `=~`",
        "is" => "write `= nil` or `!= nil`",
        _ => return None,
    })
}

fn shorten(text: &str) -> String {
    let shown: String = text
        .chars()
        .take(SHOWN_CHARS)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if text.chars().count() > SHOWN_CHARS {
        shown + "…"
    } else {
        shown
    }
}
