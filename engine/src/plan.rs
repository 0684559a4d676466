//! What a metrics query needs, decided before any data is looked at.

use std::fmt;

use traceql::Dialect;
use traceql::ast::{
    Attribute, Body, FieldExpr, FieldExprKind, Intrinsic, Literal, MetricsAggregate, MetricsStage,
    Query, ScalarExpr, SecondStage, SpansetExpr, Stage,
};

use crate::error::EngineError;

/// A metrics query that this engine can run: filters that look at one span at a time, one
/// aggregation over time, and what is done to the finished series.
#[derive(Debug, Clone)]
pub struct MetricsPlan {
    /// The conditions that a span must meet, all of them.
    pub filters: Vec<FieldExpr>,
    /// The aggregation.
    pub aggregate: MetricsAggregate,
    /// Whether quantiles are estimated from power-of-two buckets, `with(quantile="log2")`.
    pub log2_quantiles: bool,
    /// Stages applied to the finished series.
    pub second_stages: Vec<SecondStage>,
    /// The query in canonical form.
    text: String,
}

impl MetricsPlan {
    /// Decides how to run a compiled query.
    ///
    /// # Errors
    /// [`EngineError::NotMetrics`] for a search, [`EngineError::NotImplemented`] naming the first
    /// construct that this engine does not run.
    pub fn analyse(query: &Query) -> Result<Self, EngineError> {
        let metrics = match &query.body {
            Body::Metrics(metrics) => metrics,
            Body::MetricsExpr(_) => return not_implemented("arithmetic on series".to_owned()),
            Body::Search(_) | Body::PipelineExpr(_) | Body::ScalarPipelineFilter(_) => {
                return Err(EngineError::NotMetrics);
            }
        };
        let mut filters = Vec::new();
        for stage in &metrics.pipeline.stages {
            match stage {
                Stage::Spansets(SpansetExpr::Filter { condition, .. }) => {
                    filters.extend(condition.clone())
                }
                // Selecting attributes adds nothing to a metric.
                Stage::Select(_) => {}
                Stage::Spansets(SpansetExpr::Binary { op, .. }) => {
                    return not_implemented(format!("spanset operator `{op}`"));
                }
                Stage::Spansets(SpansetExpr::Pipeline { .. }) => {
                    return not_implemented("nested pipelines".to_owned());
                }
                Stage::ScalarFilter(filter) => {
                    return not_implemented(match &filter.lhs {
                        ScalarExpr::Aggregate(aggregate) => {
                            format!("filter on the aggregate `{aggregate}` of a spanset")
                        }
                        _ => "filter on an aggregate of a spanset".to_owned(),
                    });
                }
                Stage::GroupBy(by) => return not_implemented(format!("pipeline stage `by({by})`")),
                Stage::Coalesce(_) => {
                    return not_implemented("pipeline stage `coalesce()`".to_owned());
                }
            }
        }
        let MetricsStage::Aggregate(aggregate) = &metrics.stage else {
            return not_implemented("metrics function `compare()`".to_owned());
        };
        if query.dialect == Dialect::Spandrel {
            let used = aggregate.argument.iter().chain(&aggregate.by);
            let used = used.map(|used| &used.attribute);
            let mut used = used.chain(filters.iter().flat_map(FieldExpr::attributes));
            if let Some(attribute) = used.find(|attribute| !is_of_one_span(attribute)) {
                return not_implemented(format!("`{attribute}`"));
            }
        }
        let log2 = |name: &str, value: &Literal| {
            name == "quantile" && *value == Literal::String("log2".to_owned())
        };
        Ok(Self {
            filters,
            aggregate: aggregate.clone(),
            log2_quantiles: query.hints.iter().any(|hint| log2(&hint.name, &hint.value)),
            second_stages: metrics.second_stages.clone(),
            text: query.to_string(),
        })
    }

    /// Whether no span can ever be selected, whatever the data: such a query has no series at all.
    #[must_use]
    pub fn is_never(&self) -> bool {
        self.filters
            .iter()
            .any(|filter| filter.kind == FieldExprKind::Literal(Literal::Bool(false)))
    }

    /// Whether the aggregated attribute is a duration, which is kept in ns and shown in seconds.
    #[must_use]
    pub fn aggregates_duration(&self) -> bool {
        let durations = [
            Intrinsic::Duration,
            Intrinsic::SpanSelfTime,
            Intrinsic::TraceDuration,
            Intrinsic::EventTimeSinceStart,
        ];
        self.aggregate
            .argument
            .as_ref()
            .is_some_and(|argument| match &argument.attribute {
                Attribute::Intrinsic { intrinsic, .. } => durations.contains(intrinsic),
                Attribute::Key { .. } => false,
            })
    }
}

/// Whether a span has the attribute whatever the other spans of its trace are.
fn is_of_one_span(attribute: &Attribute) -> bool {
    !attribute.is_of_parent()
        && *attribute != Attribute::of_span(Intrinsic::Parent)
        && *attribute != Attribute::of_span(Intrinsic::SpanSelfTime)
}

fn not_implemented(construct: String) -> Result<MetricsPlan, EngineError> {
    Err(EngineError::NotImplemented { construct })
}

impl fmt::Display for MetricsPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
