//! Text to tokens, on demand.
//!
//! The lexer needs no help from the grammar: a scope and its dot switch it to attribute names, in
//! which nearly every character is ordinary, and the end of the name switches it back.

mod attribute;
mod number;
mod string;
mod token;

pub(crate) use token::{Symbol, Token, TokenKind};

use crate::ast::Scope;
use crate::cause::SyntaxError;
use crate::dialect::Dialect;
use crate::error::Error;
use crate::names::ColonScope;
use crate::text_range::TextRange;

/// Reads tokens one after the other; at the end it gives [`TokenKind::End`] for ever.
#[derive(Debug, Clone)]
pub(crate) struct Lexer<'a> {
    text: &'a str,
    /// Byte offset of the next character.
    offset: usize,
    dialect: Dialect,
}

impl<'a> Lexer<'a> {
    pub(crate) fn new(text: &'a str, dialect: Dialect) -> Self {
        // A byte order mark may lead the text, and only lead it.
        let offset = if text.starts_with('\u{feff}') {
            '\u{feff}'.len_utf8()
        } else {
            0
        };
        Self {
            text,
            offset,
            dialect,
        }
    }

    pub(crate) fn next_token(&mut self) -> Token<'a> {
        let kind = match self.skip_trivia() {
            Ok(()) => {
                let start = self.offset;
                let kind = self.scan().unwrap_or_else(TokenKind::Invalid);
                return Token {
                    kind,
                    range: TextRange::new(start, self.offset),
                };
            }
            Err(error) => TokenKind::Invalid(error),
        };
        Token {
            kind,
            range: TextRange::new(self.offset, self.offset),
        }
    }

    fn scan(&mut self) -> Result<TokenKind<'a>, Error> {
        let Some(first) = self.peek() else {
            return Ok(TokenKind::End);
        };
        match first {
            'a'..='z' | 'A'..='Z' | '_' => self.word(),
            '0'..='9' => self.number(),
            '.' if self.peek_second().is_some_and(|c| c.is_ascii_digit()) => self.number(),
            '.' => {
                self.bump();
                self.attribute(Scope::Unscoped, false)
            }
            '"' => self.quoted_string(),
            '`' => self.raw_string(),
            _ if first.is_alphabetic() => self.word(),
            _ => self.symbol(first),
        }
    }

    fn word(&mut self) -> Result<TokenKind<'a>, Error> {
        let word = self.take_while(|c| c == '_' || c.is_alphanumeric());
        match self.peek() {
            Some('.') => {
                if let Some(scope) = Scope::from_word(word) {
                    self.bump();
                    return self.attribute(scope, false);
                }
                if word == "parent" {
                    self.bump();
                    return self.parent_attribute();
                }
            }
            Some(':') => {
                if let Some(scope) = ColonScope::from_word(word, self.dialect) {
                    self.bump();
                    return Ok(TokenKind::ColonScope(scope));
                }
            }
            _ => {}
        }
        Ok(TokenKind::Word(word))
    }

    /// Operators grow by one character for as long as the longer text is one, too.
    fn symbol(&mut self, first: char) -> Result<TokenKind<'a>, Error> {
        let start = self.offset;
        self.bump();
        let mut symbol = Symbol::from_text(&self.text[start..self.offset]);
        while let Some(next) = self.peek() {
            let end = self.offset + next.len_utf8();
            let Some(longer) = Symbol::from_text(&self.text[start..end]) else {
                break;
            };
            symbol = Some(longer);
            self.offset = end;
        }
        symbol
            .map(TokenKind::Symbol)
            .ok_or_else(|| self.unknown_character(first, start))
    }

    fn unknown_character(&self, character: char, start: usize) -> Error {
        let range = TextRange::new(start, self.offset);
        let error = Error::new(SyntaxError::UnknownCharacter { character }, range);
        match character {
            '\'' => error.with_hint("quote strings with \" or `"),
            '&' => error.with_hint("write `&&`"),
            '[' | ']' => error.with_hint(
                "there are no lists, join alternatives with `||` or use a regex such as `=~ \"a|b\"`",
            ),
            '#' => error.with_hint("comments start with `//`"),
            _ => error,
        }
    }

    /// Skips white space and comments.
    fn skip_trivia(&mut self) -> Result<(), Error> {
        loop {
            self.take_while(|c| matches!(c, ' ' | '\t' | '\r' | '\n'));
            let start = self.offset;
            if self.rest().starts_with("//") {
                self.take_while(|c| c != '\n');
            } else if let Some(comment) = self.rest().strip_prefix("/*") {
                let Some(length) = comment.find("*/") else {
                    let range = TextRange::new(start, start + 2);
                    return Err(Error::new(
                        SyntaxError::Unterminated { what: "comment" },
                        range,
                    ));
                };
                self.offset += length + 4;
            } else {
                return Ok(());
            }
        }
    }

    fn rest(&self) -> &'a str {
        &self.text[self.offset..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn peek_second(&self) -> Option<char> {
        self.rest().chars().nth(1)
    }

    fn bump(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.offset += next.len_utf8();
        Some(next)
    }

    fn take_while(&mut self, matches: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let taken = &rest[..rest.find(|c| !matches(c)).unwrap_or(rest.len())];
        self.offset += taken.len();
        taken
    }
}

#[cfg(test)]
mod tests;
