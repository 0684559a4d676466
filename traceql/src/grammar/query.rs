//! The whole query.

use super::Parser;
use super::pipeline::Element;
use crate::ast::{Body, Query, ScalarFilter, Stage};
use crate::error::{Error, SyntaxError};
use crate::lexer::{Symbol, TokenKind};
use crate::names::METRICS_FUNCTIONS;

impl Parser<'_> {
    /// `Query = Pipeline ["|" MetricsStage {SecondStage}] Hints
    ///        | PipelineExpr Hints
    ///        | ScalarPipelineFilter Hints`
    pub(super) fn query(mut self) -> Result<Query, Error> {
        if self.token.kind == TokenKind::End {
            return Err(Error::new(SyntaxError::Empty, self.token.range)
                .with_hint("`{ }` selects every span"));
        }
        let body = match self.element(true)? {
            Element::Spansets(spansets) => self.pipeline_body(Stage::Spansets(spansets.node))?,
            Element::Stage(stage) => self.pipeline_body(stage.node)?,
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
        };
        let hints = self.hints()?;
        if hints.is_empty() {
            self.expect_end("`|`, an operator, with(…) or the end of the query")?;
        } else if self.at(Symbol::Pipe) {
            return Err(self
                .unexpected("the end of the query")
                .with_hint("with(…) comes last"));
        } else {
            self.expect_end("the end of the query")?;
        }
        Ok(Query { body, hints })
    }

    /// The rest of a query whose first stage has been read.
    fn pipeline_body(&mut self, first: Stage) -> Result<Body, Error> {
        let mut pipeline = crate::ast::Pipeline {
            stages: vec![first],
        };
        while self.eat(Symbol::Pipe) {
            if let TokenKind::Word(word) = self.token.kind
                && METRICS_FUNCTIONS.contains(&word)
            {
                return Ok(Body::Metrics(self.metrics(pipeline)?));
            }
            pipeline.stages.push(self.later_stage()?.node);
        }
        Ok(Body::Search(pipeline))
    }
}
