//! `with(…)`.

use super::Parser;
use crate::ast::Hint;
use crate::cause::SyntaxError;
use crate::error::Error;
use crate::lexer::{Symbol, TokenKind};
use crate::names::is_keyword;

impl Parser<'_> {
    /// Any number of groups, of which the last counts.
    pub(super) fn hints(&mut self) -> Result<Vec<Hint>, Error> {
        let mut hints = Vec::new();
        while self.at_word("with") {
            self.advance();
            self.expect(Symbol::OpenParen, "`(` after with")?;
            hints = self.comma_separated(Self::hint)?;
            self.expect(Symbol::CloseParen, "`,` or `)`")?;
        }
        Ok(hints)
    }

    fn hint(&mut self) -> Result<Hint, Error> {
        let start = self.token.range.start;
        let TokenKind::Word(name) = self.token.kind else {
            return Err(self.unexpected("the name of a hint"));
        };
        if is_keyword(name) {
            let error = SyntaxError::KeywordAsHint {
                name: name.to_owned(),
            };
            return Err(Error::new(error, self.token.range));
        }
        self.advance();
        self.expect(Symbol::Eq, "`=`")?;
        let (value, _) = self.literal("a literal")?;
        Ok(Hint {
            name: name.to_owned(),
            value,
            range: self.range_from(start),
        })
    }
}
