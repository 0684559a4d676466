//! What a search needs, decided before any data is looked at.

use std::fmt;

use traceql::Dialect;
use traceql::ast::{Attribute, Body, Intrinsic, Pipeline, Query, Stage};

use super::patterns::Patterns;
use super::selection::is_never;
use crate::error::EngineError;

/// A search that this engine can run.
#[derive(Debug, Clone)]
pub struct SearchPlan {
    /// Whose rules expressions are evaluated by.
    pub(crate) dialect: Dialect,
    /// Which spans match.
    pub(crate) pipeline: Pipeline,
    /// The attributes that matching spans are shown with, in order of appearance.
    pub(crate) shown: Vec<Attribute>,
    /// Whether spans are shown with their name.
    pub(crate) shows_name: bool,
    pub(crate) patterns: Patterns,
    /// The query in canonical form.
    text: String,
}

impl SearchPlan {
    /// Decides how to run a compiled query. Of a metrics query only the selection of spans is run.
    ///
    /// # Errors
    /// [`EngineError::NotSearch`] for arithmetic between metrics queries, which selects no spans.
    pub fn analyse(query: &Query) -> Result<Self, EngineError> {
        let pipeline = match &query.body {
            Body::Search(pipeline) => pipeline.clone(),
            Body::Metrics(metrics) => metrics.pipeline.clone(),
            Body::PipelineExpr(expr) => Pipeline {
                stages: vec![Stage::Spansets(expr.clone())],
            },
            Body::MetricsExpr(_) => return Err(EngineError::NotSearch),
            Body::ScalarPipelineFilter(filter) => Pipeline {
                stages: vec![Stage::ScalarFilter(filter.clone())],
            },
        };
        let mut shown: Vec<Attribute> = Vec::new();
        for attribute in pipeline.attributes() {
            if !has_own_field(attribute) && !shown.contains(attribute) {
                shown.push(attribute.clone());
            }
        }
        let name = Attribute::of_span(Intrinsic::Name);
        Ok(Self {
            shows_name: pipeline.attributes().contains(&&name),
            dialect: query.dialect,
            pipeline,
            shown,
            patterns: Patterns::default(),
            text: query.to_string(),
        })
    }

    /// Whether no span can ever match, whatever the data.
    #[must_use]
    pub fn is_never(&self) -> bool {
        is_never(&self.pipeline)
    }
}

impl fmt::Display for SearchPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Traces that were under way at some time of `[start_ns, end_ns]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SearchWindow {
    /// First moment, ns since the epoch.
    pub start_ns: i64,
    /// Last moment, ns since the epoch.
    pub end_ns: i64,
}

/// How much of an answer is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SearchLimits {
    /// Traces.
    pub traces: usize,
    /// Spans of each spanset.
    pub spans_per_spanset: usize,
    /// Traces that started earlier are not wanted, whatever matches, ns since the epoch: those that
    /// are known are all newer.
    pub not_before_ns: Option<i64>,
}

/// Whether an answer has a field for the attribute besides a span's list of attributes.
const fn has_own_field(attribute: &Attribute) -> bool {
    matches!(
        attribute,
        Attribute::Intrinsic {
            intrinsic: Intrinsic::Name
                | Intrinsic::Duration
                | Intrinsic::TraceDuration
                | Intrinsic::RootName
                | Intrinsic::RootServiceName
                | Intrinsic::TraceId
                | Intrinsic::SpanId,
            of_parent: false,
        }
    )
}
