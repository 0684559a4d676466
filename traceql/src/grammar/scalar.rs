//! Aggregates, and arithmetic on them.

use super::group::Group;
use super::spanset::Operands;
use super::{Measured, Parser};
use crate::ast::{Aggregate, AggregateFunction, BinaryOp, ComparisonOp, Literal, ScalarExpr};
use crate::cause::SyntaxError;
use crate::error::Error;
use crate::lexer::{Symbol, TokenKind};
use crate::operators::{LOOSEST, Level};
use crate::text_range::TextRange;

const A_SCALAR: &str = "a number, duration or aggregate";

impl Parser<'_> {
    pub(super) fn scalar(&mut self) -> Result<Measured<ScalarExpr>, Error> {
        let first = self.scalar_operand(Operands::Filters)?;
        self.scalar_from(first, LOOSEST, Operands::Filters)
    }

    /// The arithmetic operators from `min` up, and their right operands, that follow `lhs`.
    pub(super) fn scalar_from(
        &mut self,
        mut lhs: Measured<ScalarExpr>,
        min: Level,
        operands: Operands,
    ) -> Result<Measured<ScalarExpr>, Error> {
        while let Some(op) = self.symbol().and_then(BinaryOp::from_symbol)
            && op.is_arithmetic()
            && op.level() >= min
        {
            self.advance();
            let rhs = if op.is_right_associative() {
                self.nested(|parser| {
                    let first = parser.scalar_operand(operands)?;
                    parser.scalar_from(first, op.level(), operands)
                })?
            } else {
                let first = self.scalar_operand(operands)?;
                self.scalar_from(first, op.level() + 1, operands)?
            };
            let height = self.join(lhs.height, rhs.height)?;
            let range = TextRange::new(lhs.node.range().start, self.previous_end);
            let (left, right) = (Box::new(lhs.node), Box::new(rhs.node));
            let node = ScalarExpr::Binary {
                op,
                lhs: left,
                rhs: right,
                range,
            };
            lhs = Measured { node, height };
        }
        Ok(lhs)
    }

    fn scalar_operand(&mut self, operands: Operands) -> Result<Measured<ScalarExpr>, Error> {
        if self.at(Symbol::OpenParen) {
            return match (self.group()?, operands) {
                ((Group::Scalar(scalar), _), Operands::Filters)
                | ((Group::ScalarPipeline(scalar), _), Operands::Pipelines) => Ok(scalar),
                ((other, range), operands) => {
                    let expected = match operands {
                        Operands::Filters => "a number, duration or aggregate left of it",
                        Operands::Pipelines => "a parenthesised pipeline left of it",
                    };
                    let cause = SyntaxError::MixedGroups {
                        found: other.describe(),
                        expected,
                    };
                    Err(Error::new(cause, range))
                }
            };
        }
        if operands == Operands::Pipelines {
            return Err(self.unexpected("a parenthesised pipeline with an aggregate"));
        }
        match self.token.kind {
            TokenKind::Word(word) if let Some(function) = AggregateFunction::from_name(word) => {
                Ok(self.aggregate(function)?.map(ScalarExpr::Aggregate))
            }
            _ => {
                let (value, range) = self.signed_number(A_SCALAR)?;
                Ok(Measured::leaf(ScalarExpr::Number { value, range }))
            }
        }
    }

    /// `function(…)`, of which nothing has been consumed.
    fn aggregate(&mut self, function: AggregateFunction) -> Result<Measured<Aggregate>, Error> {
        let start = self.token.range.start;
        self.count_node()?;
        self.advance();
        self.expect(Symbol::OpenParen, "`(`")?;
        let argument = match function {
            AggregateFunction::Count => Measured::leaf(None),
            AggregateFunction::Min
            | AggregateFunction::Max
            | AggregateFunction::Avg
            | AggregateFunction::Sum => self.field_expr()?.map(Some),
        };
        if function == AggregateFunction::Count && !self.at(Symbol::CloseParen) {
            return Err(self
                .unexpected("`)`")
                .with_hint("count() takes no argument"));
        }
        self.expect(Symbol::CloseParen, "an operator or `)`")?;
        let range = self.range_from(start);
        Ok(argument.map(|argument| Aggregate {
            function,
            argument,
            range,
        }))
    }

    /// A number or duration with an optional minus sign, which becomes part of it.
    pub(super) fn signed_number(
        &mut self,
        expected: &'static str,
    ) -> Result<(Literal, TextRange), Error> {
        let start = self.token.range.start;
        self.count_node()?;
        let is_negative = self.eat(Symbol::Minus);
        let value = match (&self.token.kind, is_negative) {
            (TokenKind::Integer(value), false) => Literal::Int(*value),
            (TokenKind::Integer(value), true) => Literal::Int(-value),
            (TokenKind::Float(value), false) => Literal::Float(*value),
            (TokenKind::Float(value), true) => Literal::Float(-value),
            (TokenKind::Duration(value), false) => Literal::Duration(*value),
            (TokenKind::Duration(value), true) => Literal::Duration(-value),
            _ => return Err(self.unexpected(expected)),
        };
        self.advance();
        Ok((value, self.range_from(start)))
    }

    /// Right of the comparison of a parenthesised pipeline: another one, or any literal.
    pub(super) fn scalar_pipeline_rhs(&mut self) -> Result<ScalarExpr, Error> {
        if self.at(Symbol::OpenParen) {
            let first = self.scalar_operand(Operands::Pipelines)?;
            return Ok(self.scalar_from(first, LOOSEST, Operands::Pipelines)?.node);
        }
        let (value, range) = self.literal("a literal or a parenthesised pipeline")?;
        Ok(match value {
            Literal::Int(_) | Literal::Float(_) | Literal::Duration(_) => {
                ScalarExpr::Number { value, range }
            }
            Literal::String(_) | Literal::Bool(_) | Literal::Status(_) | Literal::Kind(_) => {
                ScalarExpr::Literal { value, range }
            }
        })
    }

    pub(super) fn comparison(&self) -> Option<ComparisonOp> {
        self.symbol().and_then(ComparisonOp::from_symbol)
    }

    pub(super) fn expect_comparison(&mut self) -> Result<ComparisonOp, Error> {
        let op = self
            .comparison()
            .ok_or_else(|| self.unexpected("a comparison"))?;
        self.advance();
        Ok(op)
    }
}
