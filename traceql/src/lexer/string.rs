//! String literals.

use super::{Lexer, TokenKind};
use crate::cause::SyntaxError;
use crate::error::Error;
use crate::text_range::TextRange;

impl<'a> Lexer<'a> {
    /// `"…"` on one line, with Go's escapes.
    pub(super) fn quoted_string(&mut self) -> Result<TokenKind<'a>, Error> {
        let start = self.offset;
        self.bump();
        // Escapes such as `\xc3\xa9` write single bytes, which need not be valid UTF-8 one by one.
        let mut bytes = Vec::new();
        loop {
            match self.peek() {
                Some('"') => {
                    self.bump();
                    break;
                }
                Some('\\') => self.escape(&mut bytes)?,
                Some('\n') | None => {
                    let error = SyntaxError::Unterminated { what: "string" };
                    return Err(Error::new(error, TextRange::new(start, self.offset))
                        .with_hint("close it with \", or use ` around text with line breaks"));
                }
                Some(other) => {
                    bytes.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes());
                    self.bump();
                }
            }
        }
        // Stored text is valid UTF-8, so bytes that are not can equal nothing; they become U+FFFD.
        Ok(TokenKind::String(
            String::from_utf8_lossy(&bytes).into_owned(),
        ))
    }

    /// A backtick string: raw and over any number of lines, without carriage returns.
    pub(super) fn raw_string(&mut self) -> Result<TokenKind<'a>, Error> {
        let start = self.offset;
        self.bump();
        let content = self.take_while(|c| c != '`');
        if self.bump().is_none() {
            let error = SyntaxError::Unterminated { what: "string" };
            return Err(
                Error::new(error, TextRange::new(start, start + 1)).with_hint("close it with `")
            );
        }
        Ok(TokenKind::String(content.replace('\r', "")))
    }

    fn escape(&mut self, bytes: &mut Vec<u8>) -> Result<(), Error> {
        let start = self.offset;
        self.bump();
        let simple = match self.peek() {
            Some('a') => 0x07,
            Some('b') => 0x08,
            Some('f') => 0x0c,
            Some('n') => b'\n',
            Some('r') => b'\r',
            Some('t') => b'\t',
            Some('v') => 0x0b,
            Some('\\') => b'\\',
            Some('"') => b'"',
            Some('x') => return self.numeric_escape(start, 1, 2, 16, bytes),
            Some('u') => return self.numeric_escape(start, 1, 4, 16, bytes),
            Some('U') => return self.numeric_escape(start, 1, 8, 16, bytes),
            Some('0'..='7') => return self.numeric_escape(start, 0, 3, 8, bytes),
            _ => {
                self.bump();
                return Err(self.unknown_escape(start));
            }
        };
        self.bump();
        bytes.push(simple);
        Ok(())
    }

    /// A byte (`\ooo`, `\xhh`) or a character (`\uhhhh`, `\Uhhhhhhhh`) by its number; `letters` is
    /// how many characters stand between the backslash and the digits.
    fn numeric_escape(
        &mut self,
        start: usize,
        letters: usize,
        digits: usize,
        radix: u32,
        bytes: &mut Vec<u8>,
    ) -> Result<(), Error> {
        self.offset += letters;
        let mut value: u32 = 0;
        for _ in 0..digits {
            let Some(digit) = self.peek().and_then(|c| c.to_digit(radix)) else {
                self.bump();
                return Err(self.unknown_escape(start));
            };
            self.bump();
            // Eight hexadecimal digits fit exactly.
            value = value * radix + digit;
        }
        if digits < 4 {
            bytes.push(u8::try_from(value).map_err(|_out_of_range| self.unknown_escape(start))?);
        } else {
            let character = char::from_u32(value).ok_or_else(|| self.unknown_escape(start))?;
            bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        }
        Ok(())
    }

    fn unknown_escape(&self, start: usize) -> Error {
        let sequence = self.text[start..self.offset].replace(char::is_control, " ");
        Error::new(
            SyntaxError::UnknownEscape { sequence },
            TextRange::new(start, self.offset),
        )
        .with_hint("write \\\\ for a backslash, or use a ` string, which has no escapes")
    }
}
