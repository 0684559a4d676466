//! Rules for metrics stages.

use super::Analyzer;
use crate::ast::{
    Compare, MetricsAggregate, MetricsExpr, MetricsFunction, MetricsQuery, MetricsStage,
    SecondStage,
};
use crate::cause::{LimitExceeded, UnsupportedFeature, ValidationError};
use crate::dialect::Dialect;
use crate::error::Error;
use crate::limits::LimitName;
use crate::text_range::TextRange;

impl Analyzer<'_> {
    pub(super) fn metrics_query(&mut self, query: &MetricsQuery) -> Result<(), Error> {
        self.pipeline(&query.pipeline)?;
        match &query.stage {
            MetricsStage::Aggregate(aggregate) => self.aggregate_over_time(aggregate)?,
            MetricsStage::Compare(compare) => {
                self.compare(compare)?;
                if let Some(stage) = query.second_stages.first() {
                    let range = second_stage_range(stage);
                    return Err(Error::new(ValidationError::StageAfterCompare, range));
                }
            }
        }
        query.second_stages.iter().try_for_each(check_second_stage)
    }

    /// Neither the aggregated attribute nor those of `by` are checked for their type: a value that
    /// does not fit counts as absent. Tempo takes even those of a parent span, which are all absent.
    fn aggregate_over_time(&self, aggregate: &MetricsAggregate) -> Result<(), Error> {
        if self.dialect == Dialect::Spandrel {
            let attributes = aggregate.argument.iter().chain(&aggregate.by);
            for attribute in attributes {
                self.check_attribute(&attribute.attribute, attribute.range)?;
            }
        }
        check_aggregate(aggregate)
    }

    /// Arithmetic on series: every operand is checked in the order of the text.
    pub(super) fn metrics_expr(&mut self, expr: &MetricsExpr) -> Result<(), Error> {
        match expr {
            MetricsExpr::Query { query, range } => self.metrics_operand(query, *range),
            MetricsExpr::Number { .. } => Ok(()),
            MetricsExpr::Negative { operand, .. } => self.metrics_expr(operand),
            MetricsExpr::Binary { lhs, rhs, .. } => {
                self.metrics_expr(lhs)?;
                self.metrics_expr(rhs)
            }
            MetricsExpr::Narrowed {
                operand,
                stages,
                range,
            } => {
                self.metrics_expr(operand)?;
                if !operand.has_series() {
                    return Err(Error::new(ValidationError::StageOnNumber, *range));
                }
                stages.iter().try_for_each(check_second_stage)
            }
        }
    }

    fn metrics_operand(&mut self, query: &MetricsQuery, range: TextRange) -> Result<(), Error> {
        self.metrics_query(query)?;
        if matches!(query.stage, MetricsStage::Compare(_)) {
            return Err(Error::new(ValidationError::CompareOperand, range));
        }
        self.metrics_operand_count += 1;
        let (observed, allowed) = (self.metrics_operand_count, self.limits.max_metrics_operands);
        if observed > allowed {
            let limit = LimitExceeded {
                name: LimitName::MetricsOperands,
                observed,
                allowed,
            };
            return Err(Error::new(limit, range));
        }
        Ok(())
    }

    fn compare(&mut self, compare: &Compare) -> Result<(), Error> {
        self.condition(compare.selection.as_ref())?;
        let top_n = compare.top_n;
        if top_n < 1 {
            return Err(Error::new(
                ValidationError::CompareTopN { top_n },
                compare.range,
            ));
        }
        let (start, end) = compare.window_ns;
        let is_unset = start == 0 && end == 0;
        if !is_unset && (start <= 0 || end <= start) {
            let error = ValidationError::CompareWindow { start, end };
            return Err(Error::new(error, compare.range));
        }
        Ok(())
    }
}

/// The number of groups, and the quantiles.
fn check_aggregate(aggregate: &MetricsAggregate) -> Result<(), Error> {
    let allowed = match aggregate.function {
        MetricsFunction::Rate
        | MetricsFunction::CountOverTime
        | MetricsFunction::MinOverTime
        | MetricsFunction::MaxOverTime
        | MetricsFunction::SumOverTime => 5,
        // These need one label, or one partial value, more.
        MetricsFunction::AvgOverTime
        | MetricsFunction::HistogramOverTime
        | MetricsFunction::QuantileOverTime { .. } => 4,
    };
    let observed = aggregate.by.len();
    if let Some(first_excess) = aggregate.by.get(allowed) {
        let function = aggregate.function.as_str();
        let error = UnsupportedFeature::TooManyGroups {
            function,
            observed,
            allowed,
        };
        return Err(Error::new(error, first_excess.range));
    }
    if let MetricsFunction::QuantileOverTime { quantiles } = &aggregate.function
        && let Some(&quantile) = quantiles
            .iter()
            .find(|quantile| !(0.0..=1.0).contains(*quantile))
    {
        let error = ValidationError::QuantileOutOfRange { quantile };
        return Err(Error::new(error, aggregate.range).with_hint("the 99th percentile is 0.99"));
    }
    Ok(())
}

fn check_second_stage(stage: &SecondStage) -> Result<(), Error> {
    let (function, limit) = match stage {
        SecondStage::TopK { limit, .. } => ("topk", *limit),
        SecondStage::BottomK { limit, .. } => ("bottomk", *limit),
        SecondStage::Filter { .. } => return Ok(()),
    };
    if limit < 1 {
        let error = ValidationError::SeriesLimit { function, limit };
        return Err(Error::new(error, second_stage_range(stage)));
    }
    Ok(())
}

const fn second_stage_range(stage: &SecondStage) -> TextRange {
    match stage {
        SecondStage::TopK { range, .. }
        | SecondStage::BottomK { range, .. }
        | SecondStage::Filter { range, .. } => *range,
    }
}
