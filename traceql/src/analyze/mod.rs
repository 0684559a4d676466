//! What the grammar cannot say: types, arguments, and reserved constructs.
//!
//! The order of the checks is part of the language. A query can break several rules, and the first
//! one broken decides whether it is invalid or merely unsupported.

mod field_expr;
pub(crate) mod fold;
mod metrics;
mod scalar;

use crate::ast::{Attribute, Body, FieldExpr, Intrinsic, Pipeline, Query, SpansetExpr, Stage};
use crate::error::{Error, UnsupportedFeature, ValidationError};
use crate::limits::Limits;
use crate::text_range::TextRange;
use crate::types::Type;

/// Checks a query that has been parsed.
pub(crate) fn validate(query: &Query, limits: &Limits) -> Result<(), Error> {
    let mut analyzer = Analyzer {
        limits,
        regex_count: 0,
    };
    match &query.body {
        Body::Search(pipeline) => analyzer.pipeline(pipeline),
        Body::PipelineExpr(spansets) => analyzer.spansets(spansets),
        Body::ScalarPipelineFilter(filter) => analyzer.scalar_pipeline_filter(filter),
        Body::Metrics(query) => analyzer.metrics_query(query),
    }
}

struct Analyzer<'a> {
    limits: &'a Limits,
    /// Regular expressions seen so far.
    regex_count: usize,
}

impl Analyzer<'_> {
    fn pipeline(&mut self, pipeline: &Pipeline) -> Result<(), Error> {
        pipeline
            .stages
            .iter()
            .try_for_each(|stage| self.stage(stage))
    }

    fn stage(&mut self, stage: &Stage) -> Result<(), Error> {
        match stage {
            Stage::Spansets(spansets) => self.spansets(spansets),
            Stage::ScalarFilter(filter) => self.scalar_filter(filter),
            Stage::GroupBy(key) => {
                if !key.references_span() {
                    return Err(no_span_reference("by()", key.range));
                }
                self.field_expr(key).map(|_| ())
            }
            Stage::Coalesce(_) => Ok(()),
            Stage::Select(attributes) => attributes
                .iter()
                .try_for_each(|attribute| check_attribute(&attribute.attribute, attribute.range)),
        }
    }

    fn spansets(&mut self, spansets: &SpansetExpr) -> Result<(), Error> {
        match spansets {
            SpansetExpr::Filter { condition, .. } => self.condition(condition.as_ref()),
            SpansetExpr::Binary { lhs, rhs, .. } => {
                self.spansets(lhs)?;
                self.spansets(rhs)
            }
            SpansetExpr::Pipeline { pipeline, .. } => self.pipeline(pipeline),
        }
    }

    /// What stands between braces must be able to be true.
    fn condition(&mut self, condition: Option<&FieldExpr>) -> Result<(), Error> {
        let Some(condition) = condition else {
            return Ok(());
        };
        match self.field_expr(condition)? {
            Type::Bool | Type::Attribute => Ok(()),
            found @ (Type::Int
            | Type::Float
            | Type::String
            | Type::Duration
            | Type::Status
            | Type::Kind
            | Type::Nil) => Err(Error::new(
                ValidationError::ConditionType { found },
                condition.range,
            )
            .with_hint("compare it, or test for presence with `!= nil`")),
        }
    }
}

fn check_attribute(attribute: &Attribute, range: TextRange) -> Result<(), Error> {
    match attribute {
        Attribute::Key {
            of_parent: true, ..
        } => {
            let attribute = attribute.canonical();
            Err(
                Error::new(UnsupportedFeature::ParentAttribute { attribute }, range)
                    .with_hint("relate spans with a structural operator, such as `{ … } > { … }`"),
            )
        }
        Attribute::Intrinsic(Intrinsic::Parent) => {
            Err(Error::new(UnsupportedFeature::ParentIntrinsic, range)
                .with_hint("root spans are those with `nestedSetParent < 0`"))
        }
        Attribute::Intrinsic(_) | Attribute::Key { .. } => Ok(()),
    }
}

fn no_span_reference(place: impl Into<String>, range: TextRange) -> Error {
    Error::new(
        ValidationError::NoSpanReference {
            place: place.into(),
        },
        range,
    )
}
