//! The answer to a search: traces with their spansets.

use std::collections::BTreeMap;

use storage::ids::{SpanId, TraceId};
use storage::model::SpanGroup;
use traceql::ast::{Attribute, Intrinsic, Query};

use super::attributes::SpanView;
use super::error::EvalError;
use super::pipeline::{Selection, Spanset};
use super::series::{kind_text, status_text};
use super::trace::{Trace, assemble};
use super::value::Value;

/// A period; a trace is in it if some instant of the trace is, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SearchWindow {
    /// Earliest instant, epoch ns.
    pub start_ns: i64,
    /// Latest instant, epoch ns.
    pub end_ns: i64,
}

/// A trace that a search found.
#[derive(Debug, Clone, PartialEq)]
pub struct TraceResult {
    /// Its id.
    pub trace_id: TraceId,
    /// Service of its root span; empty if there is none.
    pub root_service_name: String,
    /// Name of its root span; empty if there is none.
    pub root_name: String,
    /// Earliest start of its spans, epoch ns.
    pub start_ns: i64,
    /// Latest end minus earliest start.
    pub duration_ns: i64,
    /// What was found in it, never nothing.
    pub spansets: Vec<SpansetResult>,
    /// The spans of each service in the whole trace, found or not.
    pub service_stats: BTreeMap<String, ServiceStats>,
}

/// The spans of one service in one trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ServiceStats {
    /// How many.
    pub span_count: usize,
    /// Its spans with status error.
    pub error_count: usize,
}

/// A spanset of one trace.
#[derive(Debug, Clone, PartialEq)]
pub struct SpansetResult {
    /// Values of `by(…)` and aggregates by their text, in the order of the pipeline.
    pub attributes: Vec<(String, Value)>,
    /// How many spans it has; an answer may show fewer of them.
    pub matched: usize,
    /// The spans, in the order received.
    pub spans: Vec<SpanResult>,
}

/// A span that a search found.
///
/// The values here and in [`SpansetResult`] have the types that answers have: String, Int, Float,
/// Bool and Array. Durations, statuses and kinds are texts.
#[derive(Debug, Clone, PartialEq)]
pub struct SpanResult {
    /// Its id.
    pub span_id: SpanId,
    /// Its start, epoch ns.
    pub start_ns: i64,
    /// Its duration.
    pub duration_ns: i64,
    /// Its name, if the query names `name`.
    pub name: Option<String>,
    /// The other attributes that the query names and the span has, keyed without their scope.
    pub attributes: Vec<(String, Value)>,
}

/// The traces in which the query finds something, newest first; of two that start at once the one
/// with the smaller id. Of a metrics query, what its pipeline finds.
///
/// # Errors
/// The query selects nothing itself, or an operator fails on a span or a trace of the window.
pub fn search(
    query: &Query,
    groups: &[SpanGroup],
    window: Option<SearchWindow>,
) -> Result<Vec<TraceResult>, EvalError> {
    let selection = Selection::of(query)?;
    let shown = selection.attributes();
    let mut found = Vec::new();
    for trace in assemble(groups) {
        if window.is_some_and(|window| !overlaps(&trace, window)) {
            continue;
        }
        let spansets = selection.of_trace(&trace)?;
        if !spansets.is_empty() {
            found.push(trace_result(&trace, &spansets, &shown));
        }
    }
    found.sort_by_key(|trace| (std::cmp::Reverse(trace.start_ns), trace.trace_id));
    Ok(found)
}

fn overlaps(trace: &Trace<'_>, window: SearchWindow) -> bool {
    // A trace whose spans all end before they start is the instant at which it starts.
    let end_ns = trace.end_ns.max(trace.start_ns);
    trace.start_ns <= window.end_ns && end_ns >= window.start_ns
}

fn trace_result(trace: &Trace<'_>, spansets: &[Spanset], shown: &[&Attribute]) -> TraceResult {
    let mut service_stats: BTreeMap<String, ServiceStats> = BTreeMap::new();
    for span in &trace.spans {
        let stats = service_stats.entry(span.service_name()).or_default();
        stats.span_count += 1;
        stats.error_count += usize::from(span.span.status_code == 2);
    }
    let spanset_result = |spanset: &Spanset| SpansetResult {
        attributes: spanset
            .attributes
            .iter()
            .map(|(name, value)| (name.clone(), in_answers(value)))
            .collect(),
        matched: spanset.spans.len(),
        spans: spanset
            .spans
            .iter()
            .map(|&index| span_result(SpanView::new(trace, index), shown))
            .collect(),
    };
    TraceResult {
        trace_id: trace.id,
        root_service_name: trace.root_service_name.clone(),
        root_name: trace.root_name.clone(),
        start_ns: trace.start_ns,
        duration_ns: trace.duration_ns,
        spansets: spansets.iter().map(spanset_result).collect(),
        service_stats,
    }
}

fn span_result(view: SpanView<'_>, shown: &[&Attribute]) -> SpanResult {
    let span = view.span().span;
    let mut attributes: Vec<(String, Value)> = Vec::new();
    for &name in shown.iter().filter(|name| !has_own_field(name)) {
        let value = in_answers(&view.last_value(name));
        let name = unscoped_name(name);
        // Under two scopes a name may have one value, which then says nothing twice.
        let is_known = |known: &(String, Value)| known.0 == name && known.1.is_identical(&value);
        if !value.is_nil() && !attributes.iter().any(is_known) {
            attributes.push((name, value));
        }
    }
    let names_name = shown.contains(&&Attribute::of_span(Intrinsic::Name));
    SpanResult {
        span_id: span.span_id,
        start_ns: span.start_ns,
        duration_ns: span.duration_ns(),
        name: names_name.then(|| span.name.clone()),
        attributes,
    }
}

/// Whether the attribute has a place of its own in an answer.
fn has_own_field(name: &Attribute) -> bool {
    matches!(
        name,
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

fn unscoped_name(name: &Attribute) -> String {
    match name {
        Attribute::Key { key, .. } => key.clone(),
        Attribute::Intrinsic { .. } => name.canonical(),
    }
}

fn in_answers(value: &Value) -> Value {
    match value {
        Value::Duration(ns) => Value::String(traceql::format_go_duration(*ns)),
        Value::Status(status) => Value::String(status_text(*status).to_owned()),
        Value::Kind(kind) => Value::String(kind_text(*kind).to_owned()),
        other => other.clone(),
    }
}
