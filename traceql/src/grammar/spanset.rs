//! Filters and the operators between them.

use super::group::Group;
use super::{Measured, Parser};
use crate::ast::{Pipeline, SpansetExpr, SpansetOp, Stage};
use crate::cause::SyntaxError;
use crate::error::Error;
use crate::lexer::Symbol;
use crate::operators::Level;
use crate::text_range::TextRange;

/// Which operands an expression takes, as its leftmost group decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operands {
    /// Filters and groups of filters, or plain scalars.
    Filters,
    /// Parenthesised pipelines only.
    Pipelines,
}

impl Parser<'_> {
    /// `{ … }`.
    pub(super) fn filter(&mut self) -> Result<Measured<SpansetExpr>, Error> {
        let start = self.token.range.start;
        let condition = self.braced_condition()?;
        let range = self.range_from(start);
        Ok(condition.map(|condition| SpansetExpr::Filter { condition, range }))
    }

    /// The operators from `min` up, and their right operands, that follow `lhs`.
    pub(super) fn spansets_from(
        &mut self,
        mut lhs: Measured<SpansetExpr>,
        min: Level,
        operands: Operands,
    ) -> Result<Measured<SpansetExpr>, Error> {
        while let Some(op) = self.symbol().and_then(SpansetOp::from_symbol)
            && op.level() >= min
        {
            self.advance();
            let rhs = match operands {
                Operands::Filters => self.filters_operand()?,
                Operands::Pipelines => self.pipelines_operand()?,
            };
            let rhs = self.spansets_from(rhs, op.level() + 1, operands)?;
            let height = self.join(lhs.height, rhs.height)?;
            let range = TextRange::new(lhs.node.range().start, self.previous_end);
            let (left, right) = (Box::new(lhs.node), Box::new(rhs.node));
            let node = SpansetExpr::Binary {
                op,
                lhs: left,
                rhs: right,
                range,
            };
            lhs = Measured { node, height };
        }
        Ok(lhs)
    }

    fn filters_operand(&mut self) -> Result<Measured<SpansetExpr>, Error> {
        if self.at(Symbol::OpenBrace) {
            return self.filter();
        }
        if !self.at(Symbol::OpenParen) {
            return Err(self.unexpected_element("`{` or `(`"));
        }
        match self.group()? {
            (Group::Spansets(spansets), _) => Ok(spansets),
            (other, range) => {
                let cause = SyntaxError::MixedGroups {
                    found: other.describe(),
                    expected: "a filter or spanset expression left of it",
                };
                let error = Error::new(cause, range);
                Err(match other {
                    Group::Pipeline(_) | Group::PipelineExpr(_) => error.with_hint(
                        "the leftmost operand decides, put one that has a `|` there and \
                         every operand in parentheses",
                    ),
                    Group::Spansets(_) | Group::Scalar(_) | Group::ScalarPipeline(_) => error,
                })
            }
        }
    }

    fn pipelines_operand(&mut self) -> Result<Measured<SpansetExpr>, Error> {
        if self.at(Symbol::OpenBrace) {
            let filter = self.filter()?;
            let cause = SyntaxError::MixedGroups {
                found: "a bare filter",
                expected: "a parenthesised pipeline left of it",
            };
            return Err(Error::new(cause, filter.node.range()).with_hint("write `({ … })`"));
        }
        if !self.at(Symbol::OpenParen) {
            return Err(self.unexpected_element("`(`"));
        }
        match self.group()? {
            (Group::Spansets(spansets), range) => {
                let height = self.join(spansets.height, 0)?;
                let pipeline = Pipeline {
                    stages: vec![Stage::Spansets(spansets.node)],
                };
                Ok(Measured {
                    node: SpansetExpr::Pipeline { pipeline, range },
                    height,
                })
            }
            (Group::Pipeline(pipeline) | Group::PipelineExpr(pipeline), _) => Ok(pipeline),
            (other @ (Group::Scalar(_) | Group::ScalarPipeline(_)), range) => {
                let cause = SyntaxError::MixedGroups {
                    found: other.describe(),
                    expected: "a parenthesised pipeline left of it",
                };
                Err(Error::new(cause, range))
            }
        }
    }
}
