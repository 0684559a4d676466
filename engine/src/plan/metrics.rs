//! What a metrics query needs, decided before any data is looked at.

use std::fmt;

use traceql::Dialect;
use traceql::ast::{
    Attribute, Body, FieldExpr, Intrinsic, Literal, MetricsQuery, MetricsStage, Query, SecondStage,
};

use super::patterns::Patterns;
use super::selection::{Selection, is_of_trace, looks_around, needs_trace};
use crate::fingerprint::Fingerprint;

/// A metrics query that this engine can run: which spans, one aggregation over time, and what is
/// done to the finished series.
#[derive(Debug, Clone)]
pub struct MetricsPlan {
    /// Which spans are aggregated.
    pub selection: Selection,
    /// What is computed of them.
    pub stage: MetricsStage,
    /// Whether quantiles are estimated from power-of-two buckets, `with(quantile="log2")`.
    pub log2_quantiles: bool,
    /// Whose rules expressions are evaluated by.
    pub dialect: Dialect,
    /// Stages applied to the finished series.
    pub second_stages: Vec<SecondStage>,
    /// Most exemplars of the answer, if the query says so: `with(exemplars=10)`; 0 for none.
    pub exemplars: Option<usize>,
    /// The same for queries that come to the same partial states over the same spans.
    pub fingerprint: Fingerprint,
    pub(crate) patterns: Patterns,
    /// The query in canonical form.
    text: String,
}

impl MetricsPlan {
    /// Decides how to run a metrics query that is all or a part of `whole`.
    pub(super) fn of(metrics: &MetricsQuery, whole: &Query) -> Self {
        let needs_traces = match &metrics.stage {
            MetricsStage::Aggregate(_) => used(&metrics.stage)
                .into_iter()
                .any(|attribute| needs_trace(attribute, whole.dialect)),
            MetricsStage::Compare(compare) => {
                let mut condition = compare.selection.iter();
                condition.any(|condition| looks_around(condition, whole.dialect))
            }
        };
        let log2 = |name: &str, value: &Literal| {
            name == "quantile" && *value == Literal::String("log2".to_owned())
        };
        let log2_quantiles = whole.hints.iter().any(|hint| log2(&hint.name, &hint.value));
        let text = Query {
            dialect: whole.dialect,
            body: Body::Metrics(metrics.clone()),
            hints: whole.hints.clone(),
        };
        Self {
            selection: Selection::of(&metrics.pipeline, whole.dialect, needs_traces),
            dialect: whole.dialect,
            stage: metrics.stage.clone(),
            log2_quantiles,
            second_stages: metrics.second_stages.clone(),
            exemplars: exemplars(whole),
            fingerprint: Fingerprint::of_query(whole, metrics, log2_quantiles),
            patterns: Patterns::default(),
            text: text.to_string(),
        }
    }

    /// The attributes that the query names, in order of appearance.
    pub(crate) fn attributes(&self) -> Vec<Attribute> {
        let mut named: Vec<&Attribute> = match &self.selection {
            Selection::Spans(conditions) => {
                conditions.iter().flat_map(FieldExpr::attributes).collect()
            }
            Selection::Traces(pipeline) => pipeline.attributes(),
        };
        named.extend(used(&self.stage));
        let mut attributes: Vec<Attribute> = Vec::new();
        for attribute in named {
            if !attributes.contains(attribute) {
                attributes.push(attribute.clone());
            }
        }
        attributes
    }

    /// Whether no span can ever be selected, whatever the data: such a query has no series at all.
    #[must_use]
    pub fn is_never(&self) -> bool {
        self.selection.is_never()
    }

    /// Whether the answer depends on seeing all spans of a trace together.
    #[must_use]
    pub fn needs_whole_traces(&self) -> bool {
        // A comparison counts children, and names roots.
        matches!(self.stage, MetricsStage::Compare(_))
            || self.selection.needs_whole_traces()
            || used(&self.stage).into_iter().any(is_of_trace)
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
        let MetricsStage::Aggregate(aggregate) = &self.stage else {
            return false;
        };
        aggregate
            .argument
            .as_ref()
            .is_some_and(|argument| match &argument.attribute {
                Attribute::Intrinsic { intrinsic, .. } => durations.contains(intrinsic),
                Attribute::Key { .. } => false,
            })
    }
}

/// What a query says about exemplars; `true` leaves their number open.
fn exemplars(query: &Query) -> Option<usize> {
    let hint = query.hints.iter().rfind(|hint| hint.name == "exemplars")?;
    match hint.value {
        Literal::Bool(false) => Some(0),
        Literal::Int(count) => Some(usize::try_from(count).unwrap_or(0)),
        _ => None,
    }
}

/// The attributes that a stage looks at.
fn used(stage: &MetricsStage) -> Vec<&Attribute> {
    match stage {
        MetricsStage::Aggregate(aggregate) => {
            let used = aggregate.argument.iter().chain(&aggregate.by);
            used.map(|used| &used.attribute).collect()
        }
        MetricsStage::Compare(compare) => {
            let condition = compare.selection.iter();
            condition.flat_map(FieldExpr::attributes).collect()
        }
    }
}

impl fmt::Display for MetricsPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
