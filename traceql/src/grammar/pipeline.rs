//! The stages of a pipeline.

use super::group::Group;
use super::spanset::Operands;
use super::{Measured, Parser};
use crate::ast::{AggregateFunction, ScalarExpr, ScalarFilter, SpansetExpr, Stage};
use crate::cause::SyntaxError;
use crate::error::Error;
use crate::lexer::{Symbol, TokenKind};
use crate::operators::LOOSEST;

/// What can stand between two `|`, and what may turn out to stand there instead.
#[derive(Debug)]
pub(super) enum Element {
    /// A stage: filters and spanset operators.
    Spansets(Measured<SpansetExpr>),
    /// Any other stage.
    Stage(Measured<Stage>),
    /// Not a stage: parenthesised pipelines, joined by spanset operators.
    PipelineExpr(Measured<SpansetExpr>),
    /// Not a stage: a scalar without a comparison.
    Scalar(Measured<ScalarExpr>),
    /// Not a stage: scalars of parenthesised pipelines.
    ScalarPipeline(Measured<ScalarExpr>),
}

const A_STAGE: &str = "a stage such as `{ … }`, by(…), select(…) or an aggregate";

impl Parser<'_> {
    /// One element; `is_first` says whether it starts a pipeline, which `coalesce()` may not.
    pub(super) fn element(&mut self, is_first: bool) -> Result<Element, Error> {
        match self.token.kind {
            TokenKind::Symbol(Symbol::OpenBrace) => {
                let filter = self.filter()?;
                Ok(Element::Spansets(self.spansets_from(
                    filter,
                    LOOSEST,
                    Operands::Filters,
                )?))
            }
            TokenKind::Symbol(Symbol::OpenParen) => self.element_from_group(),
            TokenKind::Symbol(Symbol::Minus)
            | TokenKind::Integer(_)
            | TokenKind::Float(_)
            | TokenKind::Duration(_) => self.scalar_element(),
            TokenKind::Word("by") => self.group_by_stage(),
            TokenKind::Word("select") => self.select_stage(),
            TokenKind::Word("coalesce") => {
                let start = self.token.range.start;
                self.count_node()?;
                self.advance();
                if is_first {
                    return Err(Error::new(
                        SyntaxError::LeadingCoalesce,
                        self.range_from(start),
                    ));
                }
                self.expect(Symbol::OpenParen, "`(`")?;
                self.expect(Symbol::CloseParen, "`)`")?;
                Ok(Element::Stage(Measured::leaf(Stage::Coalesce(
                    self.range_from(start),
                ))))
            }
            TokenKind::Word(word) if AggregateFunction::from_name(word).is_some() => {
                self.scalar_element()
            }
            _ => Err(self.unexpected_element(A_STAGE)),
        }
    }

    /// A stage after the first.
    pub(super) fn later_stage(&mut self) -> Result<Measured<Stage>, Error> {
        let element = self.element(false)?;
        self.require_stage(element)
    }

    pub(super) fn require_stage(&self, element: Element) -> Result<Measured<Stage>, Error> {
        match element {
            Element::Spansets(spansets) => Ok(spansets.map(Stage::Spansets)),
            Element::Stage(stage) => Ok(stage),
            Element::Scalar(scalar) => Err(self.missing_comparison(&scalar.node)),
            Element::PipelineExpr(spansets) => {
                let cause = SyntaxError::MixedGroups {
                    found: "a parenthesised pipeline",
                    expected: "other stages",
                };
                Err(Error::new(cause, spansets.node.range())
                    .with_hint("write the stage without its parentheses"))
            }
            Element::ScalarPipeline(scalar) => {
                let cause = SyntaxError::MixedGroups {
                    found: "a parenthesised pipeline with an aggregate",
                    expected: "other stages",
                };
                Err(Error::new(cause, scalar.node.range()))
            }
        }
    }

    fn element_from_group(&mut self) -> Result<Element, Error> {
        match self.group()?.0 {
            Group::Spansets(first) => Ok(Element::Spansets(self.spansets_from(
                first,
                LOOSEST,
                Operands::Filters,
            )?)),
            Group::Pipeline(first) | Group::PipelineExpr(first) => Ok(Element::PipelineExpr(
                self.spansets_from(first, LOOSEST, Operands::Pipelines)?,
            )),
            Group::Scalar(first) => {
                let scalar = self.scalar_from(first, LOOSEST, Operands::Filters)?;
                self.scalar_filter(scalar)
            }
            Group::ScalarPipeline(first) => Ok(Element::ScalarPipeline(self.scalar_from(
                first,
                LOOSEST,
                Operands::Pipelines,
            )?)),
        }
    }

    fn scalar_element(&mut self) -> Result<Element, Error> {
        let scalar = self.scalar()?;
        self.scalar_filter(scalar)
    }

    /// `lhs op rhs`, of which `lhs` has been read; without an operator it stays a scalar.
    fn scalar_filter(&mut self, lhs: Measured<ScalarExpr>) -> Result<Element, Error> {
        let Some(op) = self.comparison() else {
            return Ok(Element::Scalar(lhs));
        };
        self.advance();
        let rhs = self.scalar()?;
        let height = self.join(lhs.height, rhs.height)?;
        let (lhs, rhs) = (lhs.node, rhs.node);
        let range = self.range_from(lhs.range().start);
        let node = Stage::ScalarFilter(ScalarFilter {
            lhs,
            op,
            rhs,
            range,
        });
        Ok(Element::Stage(Measured { node, height }))
    }

    fn group_by_stage(&mut self) -> Result<Element, Error> {
        self.count_node()?;
        self.advance();
        self.expect_by_paren()?;
        let key = self.field_expr()?;
        if self.at(Symbol::Comma) {
            return Err(self
                .unexpected("`)`")
                .with_hint("this by() takes one expression, write `| by(a) | by(b)`"));
        }
        self.expect(Symbol::CloseParen, "an operator or `)`")?;
        Ok(Element::Stage(key.map(Stage::GroupBy)))
    }

    fn select_stage(&mut self) -> Result<Element, Error> {
        self.count_node()?;
        self.advance();
        self.expect(Symbol::OpenParen, "`(` after select")?;
        let attributes = self.comma_separated(Self::attribute_ref)?;
        self.expect(Symbol::CloseParen, "`,` or `)`")?;
        Ok(Element::Stage(Measured::leaf(Stage::Select(attributes))))
    }
}
