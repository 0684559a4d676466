//! Arithmetic on the series of metrics queries.
//!
//! `Narrowed = Binary {SecondStage}`, `Binary = Operand {op Operand}`,
//! `Operand = "(" MetricsQuery ")" | "(" Narrowed ")" | "-" Operand | Number`
//!
//! A `(` at the start of a query may also open spansets, a pipeline or a scalar, and none of those
//! could be made an operand here once it has been read. So the tokens ahead are looked through,
//! once: a metrics function inside parentheses is what makes a query such an expression, and the
//! parentheses around it hold a metrics query.

use std::collections::BTreeSet;

use super::{Measured, Parser};
use crate::ast::{BinaryOp, Body, Literal, MetricsExpr, MetricsQuery};
use crate::error::Error;
use crate::lexer::{Symbol, TokenKind};
use crate::names::METRICS_FUNCTIONS;
use crate::operators::{LOOSEST, Level, NEGATIVE_SERIES_OPERAND};
use crate::text_range::TextRange;

impl Parser<'_> {
    /// Where parentheses open that hold a metrics query, from the current token on.
    pub(super) fn metrics_groups(&self) -> BTreeSet<usize> {
        let mut groups = BTreeSet::new();
        let mut open = Vec::new();
        let mut open_braces = 0_usize;
        let mut follows_pipe = false;
        let mut lexer = self.lexer.clone();
        let mut token = self.token.clone();
        loop {
            match token.kind {
                // What comes after text that is no token is never parsed.
                TokenKind::End | TokenKind::Invalid(_) => return groups,
                TokenKind::Symbol(Symbol::OpenBrace) => open_braces += 1,
                TokenKind::Symbol(Symbol::CloseBrace) => {
                    open_braces = open_braces.saturating_sub(1);
                }
                _ if open_braces > 0 => {}
                TokenKind::Symbol(Symbol::OpenParen) => open.push(token.range.start),
                TokenKind::Symbol(Symbol::CloseParen) => {
                    open.pop();
                }
                TokenKind::Word(word) if follows_pipe && METRICS_FUNCTIONS.contains(&word) => {
                    groups.extend(open.last().copied());
                }
                _ => {}
            }
            follows_pipe = token.kind == TokenKind::Symbol(Symbol::Pipe);
            token = lexer.next_token();
        }
    }

    /// An expression and the stages that narrow it.
    pub(super) fn metrics_expr(&mut self) -> Result<Measured<MetricsExpr>, Error> {
        let operand = self.metrics_binary(LOOSEST)?;
        let stages = self.second_stages()?;
        if stages.is_empty() {
            return Ok(operand);
        }
        let height = self.join(operand.height, 0)?;
        let range = self.range_from(operand.node.range().start);
        let node = MetricsExpr::Narrowed {
            operand: Box::new(operand.node),
            stages,
            range,
        };
        Ok(Measured { node, height })
    }

    /// An operand, and the operators from `min` up with their right operands.
    fn metrics_binary(&mut self, min: Level) -> Result<Measured<MetricsExpr>, Error> {
        let mut lhs = self.metrics_operand()?;
        while let Some(op) = self.symbol().and_then(BinaryOp::from_symbol)
            && op.is_arithmetic()
            && op.level() >= min
        {
            self.advance();
            let rhs = if op.is_right_associative() {
                self.nested(|parser| parser.metrics_binary(op.level()))?
            } else {
                self.metrics_binary(op.level() + 1)?
            };
            let height = self.join(lhs.height, rhs.height)?;
            let range = TextRange::new(lhs.node.range().start, self.previous_end);
            let node = MetricsExpr::Binary {
                op,
                lhs: Box::new(lhs.node),
                rhs: Box::new(rhs.node),
                range,
            };
            lhs = Measured { node, height };
        }
        Ok(lhs)
    }

    fn metrics_operand(&mut self) -> Result<Measured<MetricsExpr>, Error> {
        let value = match self.token.kind {
            TokenKind::Symbol(Symbol::OpenParen) => return self.metrics_group(),
            TokenKind::Symbol(Symbol::Minus) => return self.metrics_negative(),
            TokenKind::Integer(value) => Literal::Int(value),
            TokenKind::Float(value) => Literal::Float(value),
            TokenKind::Duration(value) => Literal::Duration(value),
            _ => return Err(self.unexpected_metrics_operand()),
        };
        self.count_node()?;
        let range = self.advance().range;
        Ok(Measured::leaf(MetricsExpr::Number { value, range }))
    }

    /// `-operand`; a number takes the sign as its own.
    fn metrics_negative(&mut self) -> Result<Measured<MetricsExpr>, Error> {
        let start = self.advance().range.start;
        let operand = self.nested(|parser| parser.metrics_binary(NEGATIVE_SERIES_OPERAND))?;
        let range = self.range_from(start);
        if let MetricsExpr::Number { value, .. } = operand.node {
            let value = match value {
                Literal::Int(value) => Literal::Int(-value),
                Literal::Float(value) => Literal::Float(-value),
                Literal::Duration(ns) => Literal::Duration(-ns),
                other => other,
            };
            return Ok(Measured::leaf(MetricsExpr::Number { value, range }));
        }
        let height = self.join(operand.height, 0)?;
        let operand = Box::new(operand.node);
        let node = MetricsExpr::Negative { operand, range };
        Ok(Measured { node, height })
    }

    /// `( … )`, parentheses included.
    fn metrics_group(&mut self) -> Result<Measured<MetricsExpr>, Error> {
        let start = self.token.range.start;
        let holds_query = self.metrics_groups.contains(&start);
        self.advance();
        let mut inner = self.nested(|parser| {
            if holds_query {
                let query = parser.parenthesised_query()?;
                let range = TextRange::default();
                Ok(query.map(|query| MetricsExpr::Query { query, range }))
            } else {
                parser.metrics_expr()
            }
        })?;
        self.expect(Symbol::CloseParen, "an operator or `)`")
            .map_err(|error| self.advise_parentheses(error, holds_query))?;
        inner.node.set_range(self.range_from(start));
        Ok(inner)
    }

    /// A metrics query as it stands between parentheses.
    fn parenthesised_query(&mut self) -> Result<Measured<Box<MetricsQuery>>, Error> {
        let first = self.element(true)?;
        let first = self.require_stage(first)?;
        let body = self.pipeline_body(first)?;
        match body.node {
            Body::Metrics(query) => Ok(Measured {
                node: Box::new(query),
                height: self.join(body.height, 0)?,
            }),
            _ => Err(self.unexpected("`|` and a metrics function")),
        }
    }
}
