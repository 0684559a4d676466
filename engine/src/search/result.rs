//! The answer of a search, as plain values.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use storage::ids::{SpanId, TraceId};

use crate::series::AttributeValue;

/// A trace of which some spans match.
#[derive(Debug, Clone, PartialEq)]
pub struct TraceMatch {
    /// The trace.
    pub trace_id: TraceId,
    /// `service.name` of the root span; empty if no root is known, or it has none.
    pub root_service_name: String,
    /// Name of the root span; empty if no root is known.
    pub root_name: String,
    /// Earliest start of the trace's spans, ns since the epoch.
    pub start_ns: i64,
    /// Last end minus first start of the trace's spans in ns, at least 0.
    pub duration_ns: i64,
    /// Of the whole trace, matching or not: spans and failed spans by service.
    pub services: BTreeMap<String, ServiceStats>,
    /// What matches: one spanset, or one per group after `by()`; none of them is empty.
    pub spansets: Vec<SpansetMatch>,
}

/// The spans of one service in one trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ServiceStats {
    /// Spans.
    pub span_count: u64,
    /// Spans with status error.
    pub error_count: u64,
}

/// Spans of one trace that match together.
#[derive(Debug, Clone, PartialEq)]
pub struct SpansetMatch {
    /// Values of `by(…)` and of aggregates, under their canonical text, in pipeline order.
    pub attributes: Vec<(String, AttributeValue)>,
    /// Spans in the spanset; [`Self::spans`] may be fewer.
    pub matched: u64,
    /// The first of the spans by start, then span id; as many as were asked for.
    pub spans: Vec<SpanMatch>,
}

/// A span that matches.
#[derive(Debug, Clone, PartialEq)]
pub struct SpanMatch {
    /// The span.
    pub span_id: SpanId,
    /// Start, ns since the epoch.
    pub start_ns: i64,
    /// End minus start in ns, at least 0.
    pub duration_ns: i64,
    /// Name, if the query reads it.
    pub name: Option<String>,
    /// Attributes that the query reads and the span has, without scope; intrinsics by their
    /// canonical name. Those with a field of their own here or in [`TraceMatch`] are left out.
    pub attributes: Vec<(String, AttributeValue)>,
}

impl TraceMatch {
    /// The order of an answer: newest start first, ties by trace id.
    #[must_use]
    pub fn newest_first(&self, other: &Self) -> Ordering {
        let by_start = other.start_ns.cmp(&self.start_ns);
        by_start.then_with(|| self.trace_id.cmp(&other.trace_id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(start_ns: i64, id: u8) -> TraceMatch {
        TraceMatch {
            trace_id: TraceId([id; 16]),
            root_service_name: String::new(),
            root_name: String::new(),
            start_ns,
            duration_ns: 0,
            services: BTreeMap::new(),
            spansets: Vec::new(),
        }
    }

    #[test]
    fn newest_traces_come_first_and_ties_are_settled_by_id() {
        let mut traces = [trace(1, 1), trace(2, 3), trace(3, 1), trace(2, 2)];
        traces.sort_by(TraceMatch::newest_first);
        let order = traces.map(|trace| (trace.start_ns, trace.trace_id.0[0]));
        assert_eq!(order, [(3, 1), (2, 2), (2, 3), (1, 1)]);
    }
}
