//! Tokens to syntax tree, by recursive descent; operators by precedence climbing.
//!
//! There is no backtracking: a `(` is read as one group, and what the group contained then decides
//! what may stand beside it (see [`group`]); one look ahead tells arithmetic on metrics queries from
//! everything else (see [`metrics_expr`]). Every recursion passes [`Parser::nested`], every node
//! [`Parser::count_node`] and every operator [`Parser::join`], which is how the limits hold.

mod advice;
mod attribute;
mod field_expr;
mod group;
mod hints;
mod metrics;
mod metrics_expr;
mod pipeline;
mod query;
mod scalar;
mod spanset;

use std::collections::BTreeSet;

use crate::ast::{Attribute, FieldExpr, Query};
use crate::cause::{LimitExceeded, SyntaxError};
use crate::dialect::{Dialect, Options};
use crate::error::Error;
use crate::lexer::{Lexer, Symbol, Token, TokenKind};
use crate::limits::{LimitName, Limits};
use crate::text_range::TextRange;

/// The syntax tree of `text`; nothing but the grammar is checked.
pub(crate) fn parse_query(text: &str, options: &Options) -> Result<Query, Error> {
    Parser::try_new(text, options)?.query()
}

/// The one attribute that `text` names.
pub(crate) fn parse_attribute(text: &str, options: &Options) -> Result<Attribute, Error> {
    let mut parser = Parser::try_new(text, options)?;
    let attribute = parser.attribute_ref()?.attribute;
    parser.expect_end("end of the attribute name")?;
    Ok(attribute)
}

/// A node and how many operators are on the longest path below it.
#[derive(Debug)]
struct Measured<T> {
    node: T,
    height: usize,
}

impl<T> Measured<T> {
    const fn leaf(node: T) -> Self {
        Self { node, height: 0 }
    }

    fn map<U>(self, f: impl FnOnce(T) -> U) -> Measured<U> {
        Measured {
            node: f(self.node),
            height: self.height,
        }
    }
}

#[derive(Debug)]
struct Parser<'a> {
    text: &'a str,
    lexer: Lexer<'a>,
    /// The next token, not yet consumed.
    token: Token<'a>,
    /// Where the last consumed token ended.
    previous_end: usize,
    dialect: Dialect,
    limits: &'a Limits,
    depth: usize,
    nodes: usize,
    /// Where parentheses open that hold operands of metrics arithmetic.
    metrics_groups: BTreeSet<usize>,
}

impl<'a> Parser<'a> {
    fn try_new(text: &'a str, options: &'a Options) -> Result<Self, Error> {
        let Options { dialect, limits } = options;
        if text.len() > limits.max_query_bytes {
            let range = TextRange::new(limits.max_query_bytes, text.len());
            return Err(exceeded(
                LimitName::QueryBytes,
                text.len(),
                limits.max_query_bytes,
                range,
            ));
        }
        if let Some(at) = text.find('\0') {
            // Not even a string or a comment may hold one.
            let error = SyntaxError::UnknownCharacter { character: '\0' };
            return Err(Error::new(error, TextRange::new(at, at + 1)));
        }
        let mut lexer = Lexer::new(text, *dialect);
        let token = lexer.next_token();
        Ok(Self {
            text,
            lexer,
            token,
            previous_end: 0,
            dialect: *dialect,
            limits,
            depth: 0,
            nodes: 0,
            metrics_groups: BTreeSet::new(),
        })
    }

    fn advance(&mut self) -> Token<'a> {
        let next = self.lexer.next_token();
        self.previous_end = self.token.range.end;
        std::mem::replace(&mut self.token, next)
    }

    fn symbol(&self) -> Option<Symbol> {
        match self.token.kind {
            TokenKind::Symbol(symbol) => Some(symbol),
            _ => None,
        }
    }

    fn at(&self, symbol: Symbol) -> bool {
        self.symbol() == Some(symbol)
    }

    fn at_word(&self, word: &str) -> bool {
        matches!(self.token.kind, TokenKind::Word(found) if found == word)
    }

    fn eat(&mut self, symbol: Symbol) -> bool {
        let found = self.at(symbol);
        if found {
            self.advance();
        }
        found
    }

    fn expect(&mut self, symbol: Symbol, expected: &'static str) -> Result<(), Error> {
        if self.eat(symbol) {
            Ok(())
        } else {
            Err(self.unexpected(expected))
        }
    }

    fn expect_end(&self, expected: &'static str) -> Result<(), Error> {
        match self.token.kind {
            TokenKind::End => Ok(()),
            _ => Err(self.unexpected(expected)),
        }
    }

    /// From `start` to the end of the last consumed token.
    fn range_from(&self, start: usize) -> TextRange {
        TextRange::new(start, self.previous_end)
    }

    /// Runs one level deeper. Left operands of a chain are parsed in a loop and need no level.
    fn nested<T>(&mut self, parse: impl FnOnce(&mut Self) -> Result<T, Error>) -> Result<T, Error> {
        if self.depth >= self.limits.max_depth {
            let allowed = self.limits.max_depth;
            return Err(exceeded(
                LimitName::Depth,
                self.depth + 1,
                allowed,
                self.token.range,
            ));
        }
        self.depth += 1;
        let result = parse(self);
        self.depth -= 1;
        result
    }

    fn count_node(&mut self) -> Result<(), Error> {
        self.nodes += 1;
        if self.nodes > self.limits.max_nodes {
            let allowed = self.limits.max_nodes;
            return Err(exceeded(
                LimitName::Nodes,
                self.nodes,
                allowed,
                self.token.range,
            ));
        }
        Ok(())
    }

    /// The height of an operator over operands of these heights.
    fn join(&mut self, lhs: usize, rhs: usize) -> Result<usize, Error> {
        self.count_node()?;
        let height = lhs.max(rhs) + 1;
        if height > self.limits.max_height {
            let allowed = self.limits.max_height;
            return Err(exceeded(
                LimitName::Height,
                height,
                allowed,
                self.token.range,
            ));
        }
        Ok(height)
    }

    /// `{ condition }`, braces included; the condition may be absent.
    fn braced_condition(&mut self) -> Result<Measured<Option<FieldExpr>>, Error> {
        self.expect(Symbol::OpenBrace, "`{`")?;
        self.count_node()?;
        if self.eat(Symbol::CloseBrace) {
            return Ok(Measured::leaf(None));
        }
        let condition = self.field_expr()?;
        self.expect(Symbol::CloseBrace, "an operator or `}`")?;
        Ok(condition.map(Some))
    }

    /// Items separated by commas, at least one.
    fn comma_separated<T>(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Result<T, Error>,
    ) -> Result<Vec<T>, Error> {
        let mut items = vec![item(self)?];
        while self.eat(Symbol::Comma) {
            items.push(item(self)?);
        }
        Ok(items)
    }
}

fn exceeded(name: LimitName, observed: usize, allowed: usize, range: TextRange) -> Error {
    Error::new(
        LimitExceeded {
            name,
            observed,
            allowed,
        },
        range,
    )
}
