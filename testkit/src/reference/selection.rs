//! Spans that a pipeline selects in one trace.
//!
//! One filter, with `select` stages that change nothing here. Operators between spansets, grouping
//! and scalar filters belong here too and are not there yet.

use traceql::ast::{FieldExpr, Pipeline, SpansetExpr, Stage};

use super::attributes::SpanView;
use super::error::EvalError;
use super::expression::{Evaluator, attributes};
use super::trace::Trace;

/// The one filter of a span-local pipeline.
#[derive(Debug)]
pub struct SpanFilter<'q> {
    condition: Option<&'q FieldExpr>,
    evaluator: Evaluator,
}

impl<'q> SpanFilter<'q> {
    /// The filter of the pipeline.
    ///
    /// # Errors
    /// The pipeline is more than one filter.
    pub fn of_pipeline(pipeline: &'q Pipeline) -> Result<Self, EvalError> {
        let mut condition = None;
        for (index, stage) in pipeline.stages.iter().enumerate() {
            match stage {
                Stage::Select(_) => {}
                Stage::Spansets(SpansetExpr::Filter {
                    condition: filter, ..
                }) if index == 0 => {
                    condition = filter.as_ref();
                }
                Stage::Spansets(SpansetExpr::Filter { .. }) => {
                    return Err(EvalError::NotImplemented("several filters"));
                }
                Stage::Spansets(SpansetExpr::Binary { .. }) => {
                    return Err(EvalError::NotImplemented("spanset operator"));
                }
                Stage::Spansets(SpansetExpr::Pipeline { .. }) => {
                    return Err(EvalError::NotImplemented("pipeline as operand"));
                }
                Stage::ScalarFilter(_) => return Err(EvalError::NotImplemented("scalar filter")),
                Stage::GroupBy(_) => return Err(EvalError::NotImplemented("by() in the pipeline")),
                Stage::Coalesce(_) => return Err(EvalError::NotImplemented("coalesce()")),
            }
        }
        Ok(Self {
            condition,
            evaluator: Evaluator::default(),
        })
    }

    /// Indexes of the spans of `trace` that are in `candidates` and satisfy the filter.
    ///
    /// # Errors
    /// The condition fails on a candidate; on other spans it is not evaluated.
    pub fn select(&self, trace: &Trace<'_>, candidates: &[usize]) -> Result<Vec<usize>, EvalError> {
        let Some(condition) = self.condition else {
            return Ok(candidates.to_vec());
        };
        let mut selected = Vec::new();
        for &index in candidates {
            if self
                .evaluator
                .selects(condition, SpanView::new(trace, index))?
            {
                selected.push(index);
            }
        }
        Ok(selected)
    }

    /// Whether the condition is a constant that selects nothing. A constant that fails is not: it
    /// has to meet a span to do so.
    #[must_use]
    pub fn is_statically_false(&self) -> bool {
        self.condition
            .filter(|condition| attributes(condition).is_empty())
            .is_some_and(|condition| {
                matches!(self.evaluator.selects_as_constant(condition), Ok(false))
            })
    }
}
