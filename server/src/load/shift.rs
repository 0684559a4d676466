//! Moving recorded spans in time, all by one offset.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use storage::model::SpanGroup;

use super::source::{Counter, Source, SourceError};
use super::{Cancel, Shift};

/// The offset in ns that a shift means for these sources; reads them once.
pub(super) fn offset_ns(
    sources: &[Source],
    shift: Shift,
    cancel: &Cancel,
) -> Result<i64, SourceError> {
    let Shift::EndAt(end_ns) = shift else {
        return Ok(0);
    };
    let mut latest = None;
    for source in sources {
        for request in source.open(&Counter::default(), &Counter::default())? {
            latest = latest.max(latest_end(&request?));
            if cancel.is_cancelled() {
                break;
            }
        }
    }
    Ok(latest.map_or(0, |latest| end_ns.saturating_sub(latest)))
}

fn latest_end(request: &ExportTraceServiceRequest) -> Option<i64> {
    let scopes = request
        .resource_spans
        .iter()
        .flat_map(|resource| &resource.scope_spans);
    let ends = scopes
        .flat_map(|scope| &scope.spans)
        .map(|span: &Span| span.end_time_unix_nano);
    // Times beyond the year 2262 are rejected later, and do not count here.
    ends.filter_map(|end| i64::try_from(end).ok()).max()
}

/// Moves spans and their events.
pub(super) fn apply(groups: &mut [SpanGroup], offset_ns: i64) {
    if offset_ns == 0 {
        return;
    }
    for span in groups.iter_mut().flat_map(|group| &mut group.spans) {
        span.start_ns = span.start_ns.saturating_add(offset_ns);
        span.end_ns = span.end_ns.saturating_add(offset_ns);
        for event in &mut span.events {
            event.time_ns = event.time_ns.saturating_add(offset_ns);
        }
    }
}
