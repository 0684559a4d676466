//! Parenthesised groups outside of braces.
//!
//! A `(` may open a spanset expression, a whole pipeline, or a scalar. What is inside decides, and
//! the leftmost group decides for the whole expression: after `({ .a } && { .b })` every operand
//! must be a filter or such a group; after `({ .a } | count() > 1)` every operand must be a
//! parenthesised pipeline, of which `({ .b })` is one, too.

use super::pipeline::Element;
use super::{Measured, Parser};
use crate::ast::{Pipeline, ScalarExpr, SpansetExpr, Stage};
use crate::error::Error;
use crate::lexer::Symbol;
use crate::text_range::TextRange;

/// What stood between a pair of parentheses.
#[derive(Debug)]
pub(super) enum Group {
    /// Filters and spanset operators only.
    Spansets(Measured<SpansetExpr>),
    /// Stages joined by `|`, or one stage that is no spanset expression. Always
    /// [`SpansetExpr::Pipeline`].
    Pipeline(Measured<SpansetExpr>),
    /// Groups of pipelines, joined by spanset operators.
    PipelineExpr(Measured<SpansetExpr>),
    /// An aggregate, a number, or arithmetic on them.
    Scalar(Measured<ScalarExpr>),
    /// A pipeline that ends in a bare aggregate, or arithmetic on such.
    ScalarPipeline(Measured<ScalarExpr>),
}

impl Group {
    /// What it is, for messages.
    pub(super) const fn describe(&self) -> &'static str {
        match self {
            Self::Spansets(_) => "a parenthesised spanset expression",
            Self::Pipeline(_) | Self::PipelineExpr(_) => "a parenthesised pipeline",
            Self::Scalar(_) => "a parenthesised number",
            Self::ScalarPipeline(_) => "a parenthesised pipeline with an aggregate",
        }
    }
}

impl Parser<'_> {
    /// `( … )`, parentheses included, and where it stands.
    pub(super) fn group(&mut self) -> Result<(Group, TextRange), Error> {
        let start = self.token.range.start;
        self.expect(Symbol::OpenParen, "`(`")?;
        let mut content = self.nested(Self::group_content)?;
        self.expect(Symbol::CloseParen, "an operator or `)`")?;
        let range = self.range_from(start);
        // Parentheses are no node of their own: they show in the range of what they hold.
        match &mut content {
            Group::Spansets(spansets)
            | Group::Pipeline(spansets)
            | Group::PipelineExpr(spansets) => spansets.node.set_range(range),
            Group::Scalar(scalar) | Group::ScalarPipeline(scalar) => scalar.node.set_range(range),
        }
        Ok((content, range))
    }

    fn group_content(&mut self) -> Result<Group, Error> {
        let first = match self.element(true)? {
            Element::Spansets(spansets) if !self.at(Symbol::Pipe) => {
                return Ok(Group::Spansets(spansets));
            }
            Element::Spansets(spansets) => spansets.map(Stage::Spansets),
            Element::Stage(stage) => stage,
            Element::PipelineExpr(spansets) => return Ok(Group::PipelineExpr(spansets)),
            Element::Scalar(scalar) => return Ok(Group::Scalar(scalar)),
            Element::ScalarPipeline(scalar) => return Ok(Group::ScalarPipeline(scalar)),
        };
        self.pipeline_group(first)
    }

    /// The rest of a pipeline inside parentheses. Only here may it end in an aggregate without a
    /// comparison.
    fn pipeline_group(&mut self, first: Measured<Stage>) -> Result<Group, Error> {
        let mut height = first.height;
        let mut pipeline = Pipeline {
            stages: vec![first.node],
        };
        let range = TextRange::default();
        while self.eat(Symbol::Pipe) {
            let is_bare = !self.at(Symbol::OpenParen);
            let stage = match self.element(false)? {
                Element::Scalar(Measured {
                    node: ScalarExpr::Aggregate(aggregate),
                    height: own,
                }) if is_bare && self.at(Symbol::CloseParen) => {
                    let height = self.join(height, own)?;
                    let node = ScalarExpr::Pipeline {
                        pipeline,
                        aggregate,
                        range,
                    };
                    return Ok(Group::ScalarPipeline(Measured { node, height }));
                }
                other => self.require_stage(other)?,
            };
            height = height.max(stage.height);
            pipeline.stages.push(stage.node);
        }
        let height = self.join(height, 0)?;
        Ok(Group::Pipeline(Measured {
            node: SpansetExpr::Pipeline { pipeline, range },
            height,
        }))
    }
}
