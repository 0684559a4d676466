//! What a metrics query needs, decided before any data is looked at.

use std::fmt;

use traceql::Dialect;
use traceql::ast::{
    Attribute, Body, FieldExpr, FieldExprKind, Intrinsic, Literal, MetricsQuery, MetricsStage,
    Pipeline, Query, SecondStage, SpansetExpr, SpansetOp, Stage, StructuralForm,
};

use crate::fingerprint::Fingerprint;
use crate::lower::nested_set::parent_test;
use crate::prune::Patterns;

/// Which spans a query selects.
#[derive(Debug, Clone, PartialEq)]
pub enum Selection {
    /// Those that meet conditions by themselves, all of them.
    Spans(Vec<FieldExpr>),
    /// Those that stages over whole traces leave.
    Traces(Pipeline),
}

impl Selection {
    /// What the stages of a pipeline need to see. `needs_traces`: what follows them needs whole
    /// traces.
    pub(crate) fn of(pipeline: &Pipeline, dialect: Dialect, needs_traces: bool) -> Self {
        let mut conditions = Vec::new();
        for stage in &pipeline.stages {
            match stage {
                Stage::Spansets(SpansetExpr::Filter { condition, .. }) => {
                    conditions.extend(condition.clone());
                }
                // Selecting attributes adds nothing to which spans are meant.
                Stage::Select(_) => {}
                _ => return Self::Traces(pipeline.clone()),
            }
        }
        if needs_traces || conditions.iter().any(|it| looks_around(it, dialect)) {
            return Self::Traces(pipeline.clone());
        }
        Self::Spans(conditions)
    }

    /// Whether which spans are selected depends on seeing all spans of a trace together.
    fn needs_whole_traces(&self) -> bool {
        match self {
            Self::Spans(conditions) => {
                let mut attributes = conditions.iter().flat_map(FieldExpr::attributes);
                attributes.any(is_of_trace)
            }
            Self::Traces(_) => true,
        }
    }

    /// Whether no span can ever be selected, whatever the data.
    #[must_use]
    pub fn is_never(&self) -> bool {
        match self {
            Self::Spans(conditions) => conditions.iter().any(is_false),
            Self::Traces(pipeline) => is_never(pipeline),
        }
    }
}

/// Whether a pipeline selects nothing, whatever the data.
pub(crate) fn is_never(pipeline: &Pipeline) -> bool {
    let nothing = |stage: &Stage| matches!(stage, Stage::Spansets(expr) if selects_nothing(expr));
    pipeline.stages.iter().any(nothing)
}

fn is_false(condition: &FieldExpr) -> bool {
    condition.kind == FieldExprKind::Literal(Literal::Bool(false))
}

/// Whether an expression is a constant that selects nothing.
fn selects_nothing(expr: &SpansetExpr) -> bool {
    match expr {
        SpansetExpr::Filter { condition, .. } => condition.as_ref().is_some_and(is_false),
        SpansetExpr::Binary { op, lhs, rhs, .. } => {
            let (lhs, rhs) = (selects_nothing(lhs), selects_nothing(rhs));
            match op {
                SpansetOp::Or => lhs && rhs,
                SpansetOp::Structural {
                    form: StructuralForm::Negated,
                    ..
                } => rhs,
                SpansetOp::And | SpansetOp::Structural { .. } => lhs || rhs,
            }
        }
        SpansetExpr::Pipeline { pipeline, .. } => is_never(pipeline),
    }
}

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
    pub(crate) fn of(metrics: &MetricsQuery, whole: &Query) -> Self {
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

/// Whether an attribute takes a look at other spans of the trace: those that a block has no column
/// for.
fn needs_trace(attribute: &Attribute, dialect: Dialect) -> bool {
    *attribute == Attribute::of_span(Intrinsic::NestedSetParent)
        || dialect == Dialect::Spandrel
            && (attribute.is_of_parent()
                || *attribute == Attribute::of_span(Intrinsic::Parent)
                || *attribute == Attribute::of_span(Intrinsic::SpanSelfTime))
}

/// Whether a condition on a span takes a look at other spans of the trace.
fn looks_around(condition: &FieldExpr, dialect: Dialect) -> bool {
    match &condition.kind {
        FieldExprKind::Literal(_) => false,
        FieldExprKind::Attribute(attribute) => needs_trace(attribute, dialect),
        FieldExprKind::Unary { operand, .. } => looks_around(operand, dialect),
        FieldExprKind::Binary { op, lhs, rhs } => {
            parent_test(*op, lhs, rhs).is_none()
                && (looks_around(lhs, dialect) || looks_around(rhs, dialect))
        }
        FieldExprKind::NilTest { operand, .. } => operand
            .as_ref()
            .is_some_and(|operand| looks_around(operand, dialect)),
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

/// Whether an attribute of a span follows from all spans of its trace.
fn is_of_trace(attribute: &Attribute) -> bool {
    attribute.is_of_parent()
        || matches!(
            attribute,
            Attribute::Intrinsic {
                intrinsic: Intrinsic::Parent
                    | Intrinsic::SpanChildCount
                    | Intrinsic::SpanSelfTime
                    | Intrinsic::TraceDuration
                    | Intrinsic::RootName
                    | Intrinsic::RootServiceName
                    | Intrinsic::NestedSetLeft
                    | Intrinsic::NestedSetRight
                    | Intrinsic::NestedSetParent,
                ..
            }
        )
}

impl fmt::Display for MetricsPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
