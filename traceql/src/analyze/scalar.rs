//! Rules for aggregates and comparisons of them.

use super::field_expr::check_operator;
use super::{Analyzer, no_span_reference};
use crate::ast::{Aggregate, Literal, ScalarExpr, ScalarFilter};
use crate::cause::{UnsupportedFeature, ValidationError};
use crate::dialect::Dialect;
use crate::error::Error;
use crate::types::Type;

impl Analyzer<'_> {
    /// A stage such as `count() > 2`, the only form that Tempo evaluates.
    pub(super) fn scalar_filter(&mut self, filter: &ScalarFilter) -> Result<(), Error> {
        self.check_comparison(filter)?;
        match (self.dialect, &filter.lhs, &filter.rhs) {
            (Dialect::Spandrel, _, _)
            | (Dialect::Tempo, ScalarExpr::Aggregate(_), ScalarExpr::Number { .. }) => Ok(()),
            (Dialect::Tempo, _, _) => Err(Error::new(
                UnsupportedFeature::ScalarFilter,
                filter.range,
            )
            .with_hint("write an aggregate left and a single number right, such as `count() > 2`")),
        }
    }

    /// A comparison of parenthesised pipelines. Tempo evaluates none, but a wrong one is wrong first.
    pub(super) fn scalar_pipeline_filter(&mut self, filter: &ScalarFilter) -> Result<(), Error> {
        self.check_comparison(filter)?;
        match self.dialect {
            Dialect::Spandrel => Ok(()),
            Dialect::Tempo => Err(Error::new(
                UnsupportedFeature::ScalarPipelineFilter,
                filter.range,
            )
            .with_hint("write the comparison as a stage, such as `{ … } | count() > 2`")),
        }
    }

    fn check_comparison(&mut self, filter: &ScalarFilter) -> Result<(), Error> {
        let lhs = self.scalar(&filter.lhs)?;
        let rhs = self.scalar(&filter.rhs)?;
        check_operator(filter.op.into(), lhs, rhs, filter.range)
    }

    fn scalar(&mut self, scalar: &ScalarExpr) -> Result<Type, Error> {
        match scalar {
            ScalarExpr::Aggregate(aggregate) => self.aggregate(aggregate),
            ScalarExpr::Number { value, .. } | ScalarExpr::Literal { value, .. } => {
                Ok(Literal::static_type(value))
            }
            ScalarExpr::Binary {
                op,
                lhs,
                rhs,
                range,
            } => {
                let left = self.scalar(lhs)?;
                let right = self.scalar(rhs)?;
                check_operator(*op, left, right, *range)?;
                Ok(Type::of_binary(*op, left, right))
            }
            ScalarExpr::Pipeline {
                pipeline,
                aggregate,
                ..
            } => {
                self.pipeline(pipeline)?;
                self.aggregate(aggregate)
            }
        }
    }

    fn aggregate(&mut self, aggregate: &Aggregate) -> Result<Type, Error> {
        let function = aggregate.function;
        let Some(argument) = &aggregate.argument else {
            return Ok(Type::Int);
        };
        let found = self.field_expr(argument)?;
        if !found.is_numeric() && found != Type::Attribute {
            let error = ValidationError::AggregateType { function, found };
            return Err(Error::new(error, argument.range));
        }
        if !argument.references_span() {
            return Err(no_span_reference(format!("{function}()"), argument.range)
                .with_hint("count spans with count()"));
        }
        Ok(Type::of_aggregate(function, found))
    }
}
