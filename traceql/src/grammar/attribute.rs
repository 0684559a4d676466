//! Attributes and intrinsics.

use super::Parser;
use crate::ast::{Attribute, AttributeRef, Intrinsic};
use crate::cause::SyntaxError;
use crate::error::Error;
use crate::lexer::TokenKind;
use crate::names::ColonScope;
use crate::suggest::closest;

impl Parser<'_> {
    /// An attribute where nothing else may stand.
    pub(super) fn attribute_ref(&mut self) -> Result<AttributeRef, Error> {
        let start = self.token.range.start;
        let Some(attribute) = self.attribute()? else {
            return Err(self.unexpected_operand("an attribute or intrinsic"));
        };
        Ok(AttributeRef {
            attribute,
            range: self.range_from(start),
        })
    }

    /// The attribute that starts here, if one does.
    pub(super) fn attribute(&mut self) -> Result<Option<Attribute>, Error> {
        let attribute = match &mut self.token.kind {
            TokenKind::Attribute(attribute) => attribute.clone(),
            TokenKind::ColonScope(scope) => {
                let scope = *scope;
                self.count_node()?;
                return self.scoped_intrinsic(scope).map(Some);
            }
            TokenKind::Word(word) => match Intrinsic::from_bare(word) {
                Some(intrinsic) => Attribute::of_span(intrinsic),
                None => return Ok(None),
            },
            _ => return Ok(None),
        };
        self.count_node()?;
        self.advance();
        Ok(Some(attribute))
    }

    fn scoped_intrinsic(&mut self, scope: ColonScope) -> Result<Attribute, Error> {
        let start = self.advance().range.start;
        let dialect = self.dialect;
        let known = || Intrinsic::scoped(scope, dialect);
        let TokenKind::Word(word) = self.token.kind else {
            return Err(self.unexpected("the name of an intrinsic"));
        };
        if let Some((_, intrinsic)) = known().find(|(name, _)| *name == word) {
            self.advance();
            return Ok(Attribute::Intrinsic {
                intrinsic,
                of_parent: scope == ColonScope::Parent,
            });
        }
        let name = format!("{}:{word}", scope.as_str());
        let suggestion = closest(word, known().map(|(name, _)| name))
            .map(|closest| format!("{}:{closest}", scope.as_str()));
        let names: Vec<&str> = known().map(|(name, _)| name).collect();
        self.advance();
        let hint = format!("{}: has {}", scope.as_str(), names.join(", "));
        let error = SyntaxError::UnknownIntrinsic { name, suggestion };
        Err(Error::new(error, self.range_from(start)).with_hint(hint))
    }
}
