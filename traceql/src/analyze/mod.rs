//! What the grammar cannot say: types, arguments, and reserved constructs.
//!
//! The order of the checks is part of the language. A query can break several rules, and the first
//! one broken decides whether it is invalid or merely unsupported.

mod field_expr;
pub(crate) mod fold;
mod metrics;
mod scalar;

use crate::ast::{Attribute, Body, FieldExpr, Intrinsic, Pipeline, Query, SpansetExpr, Stage};
use crate::cause::{UnsupportedFeature, ValidationError};
use crate::dialect::Dialect;
use crate::error::Error;
use crate::limits::Limits;
use crate::text_range::TextRange;
use crate::types::Type;

/// Checks a query that has been parsed.
pub(crate) fn validate(query: &Query, limits: &Limits) -> Result<(), Error> {
    let mut analyzer = Analyzer {
        dialect: query.dialect,
        limits,
        regex_count: 0,
        metrics_operand_count: 0,
    };
    match &query.body {
        Body::Search(pipeline) => analyzer.pipeline(pipeline),
        Body::PipelineExpr(spansets) => analyzer.spansets(spansets),
        Body::ScalarPipelineFilter(filter) => analyzer.scalar_pipeline_filter(filter),
        Body::Metrics(query) => analyzer.metrics_query(query),
        Body::MetricsExpr(expr) => analyzer.metrics_expr(expr),
    }
}

struct Analyzer<'a> {
    dialect: Dialect,
    limits: &'a Limits,
    /// Regular expressions seen so far.
    regex_count: usize,
    /// Metrics queries inside one of metrics arithmetic seen so far.
    metrics_operand_count: usize,
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
            Stage::Select(attributes) => attributes.iter().try_for_each(|attribute| {
                self.check_attribute(&attribute.attribute, attribute.range)
            }),
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

    /// What Tempo reserves is of use here, but for the parent span as such, which is no value.
    fn check_attribute(&self, attribute: &Attribute, range: TextRange) -> Result<(), Error> {
        let is_parent = *attribute == Attribute::of_span(Intrinsic::Parent);
        match self.dialect {
            Dialect::Spandrel if is_parent => Err(Error::new(ValidationError::ParentValue, range)
                .with_hint(
                    "test with `parent = nil` or `parent != nil`, or take a field of it such as \
                     `parent:name`",
                )),
            Dialect::Tempo if attribute.is_of_parent() => {
                let attribute = attribute.canonical();
                Err(
                    Error::new(UnsupportedFeature::ParentAttribute { attribute }, range).with_hint(
                        "relate spans with a structural operator, such as `{ … } > { … }`",
                    ),
                )
            }
            Dialect::Tempo if is_parent => {
                Err(Error::new(UnsupportedFeature::ParentIntrinsic, range)
                    .with_hint("root spans are those with `nestedSetParent < 0`"))
            }
            Dialect::Spandrel | Dialect::Tempo => Ok(()),
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

fn no_span_reference(place: impl Into<String>, range: TextRange) -> Error {
    Error::new(
        ValidationError::NoSpanReference {
            place: place.into(),
        },
        range,
    )
}
