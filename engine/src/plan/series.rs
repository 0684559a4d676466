//! What a query for series needs: metrics queries, and what is computed with their series.

use std::fmt;
use std::sync::Arc;

use traceql::ast::{BinaryOp, Body, Literal, MetricsExpr, MetricsStage, Query, SecondStage};

use super::metrics::MetricsPlan;
use crate::error::EngineError;

/// What a query for series needs: metrics queries, each run by itself, and what is computed with
/// their series.
#[derive(Debug, Clone)]
pub struct SeriesPlan {
    operands: Vec<Arc<MetricsPlan>>,
    /// What is computed with their series.
    pub(crate) expr: SeriesExpr,
    /// The query in canonical form.
    text: String,
}

/// What is computed with the series of metrics queries.
#[derive(Debug, Clone)]
pub(crate) enum SeriesExpr {
    /// The series of the next of the operands.
    Operand,
    Number(f64),
    Negative(Box<SeriesExpr>),
    Binary {
        op: BinaryOp,
        lhs: Box<SeriesExpr>,
        rhs: Box<SeriesExpr>,
    },
    Narrowed {
        operand: Box<SeriesExpr>,
        stages: Vec<SecondStage>,
    },
}

impl SeriesPlan {
    /// Decides how to run a compiled query.
    ///
    /// # Errors
    /// [`EngineError::NotMetrics`] for a search.
    pub fn analyse(query: &Query) -> Result<Self, EngineError> {
        let mut operands = Vec::new();
        let expr = match &query.body {
            Body::MetricsExpr(expr) => analyse(expr, query, &mut operands),
            Body::Metrics(metrics) => {
                operands.push(Arc::new(MetricsPlan::of(metrics, query)));
                SeriesExpr::Operand
            }
            Body::Search(_) | Body::PipelineExpr(_) | Body::ScalarPipelineFilter(_) => {
                return Err(EngineError::NotMetrics);
            }
        };
        Ok(Self {
            operands,
            expr,
            text: query.to_string(),
        })
    }

    /// The metrics queries to run, in the order of the text.
    #[must_use]
    pub fn operands(&self) -> &[Arc<MetricsPlan>] {
        &self.operands
    }

    /// The metrics query whose series may be shown with exemplars: one whose series are the answer as
    /// they are. Computed series count no spans, and a comparison counts each in many.
    #[must_use]
    pub fn exemplified(&self) -> Option<&Arc<MetricsPlan>> {
        match (&self.expr, self.operands.as_slice()) {
            (SeriesExpr::Operand, [plan]) if matches!(plan.stage, MetricsStage::Aggregate(_)) => {
                Some(plan)
            }
            _ => None,
        }
    }
}

impl fmt::Display for SeriesPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn analyse(expr: &MetricsExpr, whole: &Query, operands: &mut Vec<Arc<MetricsPlan>>) -> SeriesExpr {
    match expr {
        MetricsExpr::Query { query, .. } => {
            operands.push(Arc::new(MetricsPlan::of(query, whole)));
            SeriesExpr::Operand
        }
        MetricsExpr::Number { value, .. } => SeriesExpr::Number(number(value)),
        MetricsExpr::Negative { operand, .. } => {
            SeriesExpr::Negative(Box::new(analyse(operand, whole, operands)))
        }
        MetricsExpr::Binary { op, lhs, rhs, .. } => SeriesExpr::Binary {
            op: *op,
            lhs: Box::new(analyse(lhs, whole, operands)),
            rhs: Box::new(analyse(rhs, whole, operands)),
        },
        MetricsExpr::Narrowed {
            operand, stages, ..
        } => SeriesExpr::Narrowed {
            operand: Box::new(analyse(operand, whole, operands)),
            stages: stages.clone(),
        },
    }
}

/// The grammar admits only numbers.
fn number(value: &Literal) -> f64 {
    value.as_sample().unwrap_or(f64::NAN)
}
