//! Expressions on one span.

use super::{Measured, Parser};
use crate::ast::{
    Attribute, BinaryOp, FieldExpr, FieldExprKind, Intrinsic, Kind, Literal, Status, UnaryOp,
};
use crate::cause::SyntaxError;
use crate::error::Error;
use crate::lexer::{Symbol, TokenKind};
use crate::operators::{LOOSEST, Level};
use crate::text_range::TextRange;

impl Parser<'_> {
    pub(super) fn field_expr(&mut self) -> Result<Measured<FieldExpr>, Error> {
        self.field_binary(LOOSEST)
    }

    /// An operand, and the operators from `min` up with their right operands.
    fn field_binary(&mut self, min: Level) -> Result<Measured<FieldExpr>, Error> {
        let mut lhs = self.field_operand()?;
        while let Some(op) = self.symbol().and_then(BinaryOp::from_symbol)
            && op.level() >= min
        {
            self.advance();
            // `a = nil != nil` tests the result of `a = nil`: nil never starts an operand here.
            if self.at_word("nil") && matches!(op, BinaryOp::Eq | BinaryOp::NotEq) {
                self.advance();
                let start = lhs.node.range.start;
                lhs = self.nil_test(op, Some(lhs), start)?;
                continue;
            }
            let rhs = if op.is_right_associative() {
                self.nested(|parser| parser.field_binary(op.level()))?
            } else {
                self.field_binary(op.level() + 1)?
            };
            let height = self.join(lhs.height, rhs.height)?;
            let range = TextRange::new(lhs.node.range.start, self.previous_end);
            lhs = Measured {
                node: binary(op, lhs.node, rhs.node, range),
                height,
            };
        }
        Ok(lhs)
    }

    fn field_operand(&mut self) -> Result<Measured<FieldExpr>, Error> {
        let start = self.token.range.start;
        match self.token.kind {
            TokenKind::Symbol(Symbol::OpenParen) => {
                self.advance();
                let mut inner = self.nested(Self::field_expr)?;
                self.expect(Symbol::CloseParen, "an operator or `)`")?;
                inner.node.range = self.range_from(start);
                Ok(inner)
            }
            TokenKind::Symbol(Symbol::Minus) => self.unary(UnaryOp::Neg),
            TokenKind::Symbol(Symbol::Not) => self.unary(UnaryOp::Not),
            TokenKind::Word("nil") => self.leading_nil(),
            _ => {
                let kind = if let Some(attribute) = self.attribute()? {
                    FieldExprKind::Attribute(attribute)
                } else {
                    FieldExprKind::Literal(self.literal("an attribute, a literal or `(`")?.0)
                };
                Ok(Measured::leaf(FieldExpr {
                    kind,
                    range: self.range_from(start),
                }))
            }
        }
    }

    fn unary(&mut self, op: UnaryOp) -> Result<Measured<FieldExpr>, Error> {
        let start = self.advance().range.start;
        let operand = self.nested(|parser| parser.field_binary(op.level() + 1))?;
        let height = self.join(operand.height, 0)?;
        let kind = FieldExprKind::Unary {
            op,
            operand: Box::new(operand.node),
        };
        Ok(Measured {
            node: FieldExpr {
                kind,
                range: self.range_from(start),
            },
            height,
        })
    }

    /// `nil = e`, `nil != e`, `nil = nil`, `nil != nil`.
    fn leading_nil(&mut self) -> Result<Measured<FieldExpr>, Error> {
        let nil = self.advance();
        let op = match self.symbol() {
            Some(Symbol::Eq) => BinaryOp::Eq,
            Some(Symbol::NotEq) => BinaryOp::NotEq,
            _ => {
                return Err(Error::new(SyntaxError::MisplacedNil, nil.range).with_hint(
                    "test for a missing attribute with `= nil`, for a present one with `!= nil`",
                ));
            }
        };
        self.advance();
        let operand = if self.at_word("nil") {
            self.advance();
            None
        } else {
            Some(self.nested(|parser| parser.field_binary(op.level() + 1))?)
        };
        self.nil_test(op, operand, nil.range.start)
    }

    fn nil_test(
        &mut self,
        op: BinaryOp,
        operand: Option<Measured<FieldExpr>>,
        start: usize,
    ) -> Result<Measured<FieldExpr>, Error> {
        let height = self.join(operand.as_ref().map_or(0, |operand| operand.height), 0)?;
        let operand = operand.map(|operand| Box::new(operand.node));
        let kind = FieldExprKind::NilTest {
            operand,
            is_nil: op == BinaryOp::Eq,
        };
        Ok(Measured {
            node: FieldExpr {
                kind,
                range: self.range_from(start),
            },
            height,
        })
    }

    /// A literal without sign.
    pub(super) fn literal(
        &mut self,
        expected: &'static str,
    ) -> Result<(Literal, TextRange), Error> {
        let value = match &mut self.token.kind {
            TokenKind::String(value) => Literal::String(std::mem::take(value)),
            TokenKind::Integer(value) => Literal::Int(*value),
            TokenKind::Float(value) => Literal::Float(*value),
            TokenKind::Duration(value) => Literal::Duration(*value),
            TokenKind::Word(word) => match literal_word(word) {
                Some(value) => value,
                None => return Err(self.unexpected_operand(expected)),
            },
            _ => return Err(self.unexpected_operand(expected)),
        };
        self.count_node()?;
        Ok((value, self.advance().range))
    }
}

fn literal_word(word: &str) -> Option<Literal> {
    match word {
        "true" => Some(Literal::Bool(true)),
        "false" => Some(Literal::Bool(false)),
        "minInt" => Some(Literal::Int(i64::MIN)),
        "maxInt" => Some(Literal::Int(i64::MAX)),
        _ => Status::from_name(word)
            .map(Literal::Status)
            .or_else(|| Kind::from_name(word).map(Literal::Kind)),
    }
}

/// Trace ids are stored without leading zeros, so a text compared with one, be it a regex, loses
/// its own.
fn binary(op: BinaryOp, mut lhs: FieldExpr, mut rhs: FieldExpr, range: TextRange) -> FieldExpr {
    match (&mut lhs.kind, &mut rhs.kind) {
        (FieldExprKind::Attribute(TRACE_ID), FieldExprKind::Literal(Literal::String(id)))
        | (FieldExprKind::Literal(Literal::String(id)), FieldExprKind::Attribute(TRACE_ID)) => {
            let zeros = id.len() - id.trim_start_matches('0').len();
            id.drain(..zeros);
        }
        _ => {}
    }
    let kind = FieldExprKind::Binary {
        op,
        lhs: Box::new(lhs),
        rhs: Box::new(rhs),
    };
    FieldExpr { kind, range }
}

const TRACE_ID: Attribute = Attribute::of_span(Intrinsic::TraceId);
