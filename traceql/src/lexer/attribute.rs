//! Attribute names.

use super::{Lexer, TokenKind};
use crate::ast::{Attribute, Scope};
use crate::cause::SyntaxError;
use crate::dialect::Dialect;
use crate::error::Error;
use crate::names::ends_name;
use crate::text_range::TextRange;

impl<'a> Lexer<'a> {
    /// After `parent.`, the only place where a second scope may stand.
    pub(super) fn parent_attribute(&mut self) -> Result<TokenKind<'a>, Error> {
        let Some(scope) = Scope::leading(self.rest()) else {
            return self.attribute(Scope::Unscoped, true);
        };
        let start = self.offset;
        match (scope, self.dialect) {
            (Scope::Span | Scope::Resource, _) => {
                self.offset += scope.prefix().len();
                self.attribute(scope, true)
            }
            // Not a scope here, but part of the name.
            (_, Dialect::Tempo) => self.attribute(Scope::Unscoped, true),
            (_, Dialect::Spandrel) => {
                self.offset += scope.prefix().len();
                let error = SyntaxError::ParentScope {
                    scope: scope.prefix().trim_end_matches('.'),
                };
                let range = TextRange::new(start, self.offset);
                Err(Error::new(error, range).with_hint(format!(
                    "write `parent.span.…` or `parent.resource.…`, or relate spans with a \
                     structural operator; quote a name that starts so, `parent.\"{}…\"`",
                    scope.prefix()
                )))
            }
        }
    }

    /// After the dot: everything up to white space or one of the few characters that end a name.
    /// `"…"` parts may hold any character.
    pub(super) fn attribute(
        &mut self,
        scope: Scope,
        of_parent: bool,
    ) -> Result<TokenKind<'a>, Error> {
        let start = self.offset;
        let mut key = String::new();
        while let Some(next) = self.peek() {
            if next == '"' {
                self.quoted_part(&mut key)?;
            } else if next.is_whitespace() || ends_name(next) {
                break;
            } else {
                key.push(next);
                self.bump();
            }
        }
        if self.offset == start {
            let head = match (of_parent, scope) {
                (false, scope) => scope.prefix().to_owned(),
                (true, Scope::Unscoped) => "parent.".to_owned(),
                (true, scope) => format!("parent.{}", scope.prefix()),
            };
            let range = TextRange::new(start - scope.prefix().len(), start);
            return Err(
                Error::new(SyntaxError::MissingAttributeName { head }, range).with_hint(
                    "the name follows the dot at once, quote it if it has special characters",
                ),
            );
        }
        Ok(TokenKind::Attribute(Attribute::Key {
            scope,
            of_parent,
            key,
        }))
    }

    /// `"…"` inside a name; only the quote and the backslash are escaped.
    fn quoted_part(&mut self, key: &mut String) -> Result<(), Error> {
        let start = self.offset;
        self.bump();
        loop {
            let at = self.offset;
            match self.bump() {
                Some('"') => return Ok(()),
                Some('\\') => match self.bump() {
                    Some(escaped @ ('"' | '\\')) => key.push(escaped),
                    Some(other) => {
                        let sequence = format!("\\{}", other.escape_debug());
                        let range = TextRange::new(at, self.offset);
                        return Err(Error::new(SyntaxError::UnknownEscape { sequence }, range)
                            .with_hint("quoted names know only \\\" and \\\\"));
                    }
                    None => return Err(unterminated(start, self.offset)),
                },
                Some(other) => key.push(other),
                None => return Err(unterminated(start, self.offset)),
            }
        }
    }
}

fn unterminated(start: usize, end: usize) -> Error {
    let error = SyntaxError::Unterminated {
        what: "attribute name",
    };
    Error::new(error, TextRange::new(start, end)).with_hint("close it with \"")
}
