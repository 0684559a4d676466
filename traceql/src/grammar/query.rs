//! The whole query.

use std::collections::BTreeSet;

use super::pipeline::Element;
use super::{Measured, Parser};
use crate::ast::{Body, Pipeline, Query, ScalarFilter, Stage};
use crate::cause::SyntaxError;
use crate::dialect::Dialect;
use crate::error::Error;
use crate::lexer::{Symbol, TokenKind};
use crate::names::METRICS_FUNCTIONS;

impl Parser<'_> {
    /// `Query = Pipeline ["|" MetricsStage {SecondStage}] Hints
    ///        | PipelineExpr Hints
    ///        | ScalarPipelineFilter Hints
    ///        | MetricsExpr Hints`
    pub(super) fn query(mut self) -> Result<Query, Error> {
        if self.token.kind == TokenKind::End {
            return Err(Error::new(SyntaxError::Empty, self.token.range)
                .with_hint("`{ }` selects every span"));
        }
        self.metrics_groups = self.groups_ahead();
        let body = if self.metrics_groups.is_empty() {
            self.body()?
        } else {
            Body::MetricsExpr(self.metrics_expr()?.node)
        };
        let hints = self.hints()?;
        if hints.is_empty() {
            let is_plain = matches!(&body, Body::Metrics(query) if query.second_stages.is_empty());
            self.expect_end("`|`, an operator, with(…) or the end of the query")
                .map_err(|error| self.advise_parentheses(error, is_plain))?;
        } else if self.at(Symbol::Pipe) {
            return Err(self
                .unexpected("the end of the query")
                .with_hint("with(…) comes last"));
        } else {
            self.expect_end("the end of the query")?;
        }
        Ok(Query {
            dialect: self.dialect,
            body,
            hints,
        })
    }

    /// The parentheses that hold operands of metrics arithmetic, if the query is such.
    fn groups_ahead(&self) -> BTreeSet<usize> {
        match (self.dialect, &self.token.kind) {
            (
                Dialect::Spandrel,
                TokenKind::Symbol(Symbol::OpenParen | Symbol::Minus)
                | TokenKind::Integer(_)
                | TokenKind::Float(_)
                | TokenKind::Duration(_),
            ) => self.metrics_groups(),
            _ => BTreeSet::new(),
        }
    }

    fn body(&mut self) -> Result<Body, Error> {
        Ok(match self.element(true)? {
            Element::Spansets(spansets) => self.pipeline_body(spansets.map(Stage::Spansets))?.node,
            Element::Stage(stage) => self.pipeline_body(stage)?.node,
            Element::PipelineExpr(spansets) => {
                if self.at(Symbol::Pipe) {
                    let error = SyntaxError::ContinuedPipelineExpr;
                    return Err(Error::new(error, self.token.range)
                        .with_hint("write the pipeline without its parentheses"));
                }
                Body::PipelineExpr(spansets.node)
            }
            Element::ScalarPipeline(lhs) => {
                let start = lhs.node.range().start;
                let op = self.expect_comparison()?;
                let rhs = self.scalar_pipeline_rhs()?;
                let range = self.range_from(start);
                let lhs = lhs.node;
                Body::ScalarPipelineFilter(ScalarFilter {
                    lhs,
                    op,
                    rhs,
                    range,
                })
            }
            Element::Scalar(scalar) => return Err(self.missing_comparison(&scalar.node)),
        })
    }

    /// The rest of a query whose first stage has been read.
    pub(super) fn pipeline_body(
        &mut self,
        first: Measured<Stage>,
    ) -> Result<Measured<Body>, Error> {
        let mut height = first.height;
        let mut pipeline = Pipeline {
            stages: vec![first.node],
        };
        while self.eat(Symbol::Pipe) {
            if let TokenKind::Word(word) = self.token.kind
                && METRICS_FUNCTIONS.contains(&word)
            {
                let node = Body::Metrics(self.metrics(pipeline)?);
                return Ok(Measured { node, height });
            }
            let stage = self.later_stage()?;
            height = height.max(stage.height);
            pipeline.stages.push(stage.node);
        }
        let node = Body::Search(pipeline);
        Ok(Measured { node, height })
    }
}
