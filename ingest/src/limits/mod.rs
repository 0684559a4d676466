//! Limits on single spans: what is too much is cut or turned away, and the sender is told.

mod report;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use storage::otlp::PlainBounds;

use crate::config::LimitsConfig;

pub(crate) use report::LimitReport;

/// What a request and its spans may hold for there to be nothing to do for
/// [`prescan`](crate::prescan::prescan) and [`apply`].
pub(crate) fn bounds(limits: &LimitsConfig, now_ns: u64) -> PlainBounds {
    PlainBounds {
        span_len: limits.max_span_bytes,
        key_len: limits.max_attribute_key_bytes,
        value_len: limits.max_attribute_bytes,
        span_attributes: limits.max_span_attributes,
        resource_attributes: limits.max_resource_attributes,
        event_attributes: limits.max_event_attributes,
        events: limits.max_span_events,
        links: limits.max_span_links,
        value_depth: limits.max_value_depth,
        start_ns: latest_start(limits, now_ns),
        spans: limits.max_spans_per_request,
        messages: limits.max_messages_per_request,
    }
}

fn latest_start(limits: &LimitsConfig, now_ns: u64) -> u64 {
    now_ns.saturating_add(u64::try_from(limits.max_future.as_nanos()).unwrap_or(u64::MAX))
}

/// Applies the limits of single spans to a request.
///
/// `value_depth` is the deepest value in the request, so that the usual request is spared a walk.
pub(crate) fn apply(
    request: &mut ExportTraceServiceRequest,
    limits: &LimitsConfig,
    value_depth: u32,
    request_len: usize,
    now_ns: u64,
) -> LimitReport {
    let mut pass = Pass {
        limits,
        latest_start: latest_start(limits, now_ns),
        check_depth: value_depth > limits.max_value_depth,
        check_size: request_len > limits.max_span_bytes,
        report: LimitReport::default(),
    };
    for resource_spans in &mut request.resource_spans {
        let mut resource_bad = false;
        if let Some(resource) = &mut resource_spans.resource {
            resource_bad = pass.too_deep(&resource.attributes);
            pass.attributes(
                &mut resource.attributes,
                &mut resource.dropped_attributes_count,
                limits.max_resource_attributes,
            );
        }
        for scope_spans in &mut resource_spans.scope_spans {
            let mut bad = resource_bad;
            if let Some(scope) = &mut scope_spans.scope {
                bad |= pass.too_deep(&scope.attributes);
                pass.attributes(
                    &mut scope.attributes,
                    &mut scope.dropped_attributes_count,
                    limits.max_resource_attributes,
                );
            }
            scope_spans.spans.retain_mut(|span| pass.keep(span, bad));
        }
    }
    pass.report
}

struct Pass<'a> {
    limits: &'a LimitsConfig,
    latest_start: u64,
    check_depth: bool,
    check_size: bool,
    report: LimitReport,
}

impl Pass<'_> {
    fn keep(&mut self, span: &mut Span, surroundings_bad: bool) -> bool {
        if surroundings_bad || self.span_too_deep(span) {
            self.report.reject("err-value-too-deep", &span.name);
            return false;
        }
        if span.start_time_unix_nano > self.latest_start {
            self.report.reject("err-time-range", &span.name);
            return false;
        }
        if self.check_size && span.encoded_len() > self.limits.max_span_bytes {
            self.report.reject("err-span-too-large", &span.name);
            return false;
        }
        self.attributes(
            &mut span.attributes,
            &mut span.dropped_attributes_count,
            self.limits.max_span_attributes,
        );
        self.cut(
            &mut span.events,
            &mut span.dropped_events_count,
            self.limits.max_span_events,
        );
        self.cut(
            &mut span.links,
            &mut span.dropped_links_count,
            self.limits.max_span_links,
        );
        for event in &mut span.events {
            let max = self.limits.max_event_attributes;
            self.attributes(
                &mut event.attributes,
                &mut event.dropped_attributes_count,
                max,
            );
        }
        for link in &mut span.links {
            let max = self.limits.max_event_attributes;
            self.attributes(
                &mut link.attributes,
                &mut link.dropped_attributes_count,
                max,
            );
        }
        true
    }

    fn span_too_deep(&self, span: &Span) -> bool {
        self.too_deep(&span.attributes)
            || span
                .events
                .iter()
                .any(|event| self.too_deep(&event.attributes))
            || span
                .links
                .iter()
                .any(|link| self.too_deep(&link.attributes))
    }

    fn too_deep(&self, attributes: &[KeyValue]) -> bool {
        self.check_depth
            && attributes
                .iter()
                .filter_map(|a| a.value.as_ref())
                .any(|v| depth(v) > self.limits.max_value_depth)
    }

    fn attributes(&mut self, attributes: &mut Vec<KeyValue>, dropped: &mut u32, max: usize) {
        self.cut(attributes, dropped, max);
        for attribute in attributes {
            self.key(&mut attribute.key);
            if let Some(value) = &mut attribute.value {
                self.value(value);
            }
        }
    }

    fn cut<T>(&mut self, items: &mut Vec<T>, dropped: &mut u32, max: usize) {
        let excess = items.len().saturating_sub(max);
        if excess > 0 {
            items.truncate(max);
            *dropped = dropped.saturating_add(u32::try_from(excess).unwrap_or(u32::MAX));
            self.report.dropped += excess as u64;
        }
    }

    fn key(&mut self, key: &mut String) {
        self.text(key, self.limits.max_attribute_key_bytes);
    }

    fn value(&mut self, value: &mut AnyValue) {
        match &mut value.value {
            Some(Value::StringValue(text)) => self.text(text, self.limits.max_attribute_bytes),
            Some(Value::BytesValue(bytes)) if bytes.len() > self.limits.max_attribute_bytes => {
                bytes.truncate(self.limits.max_attribute_bytes);
                self.report.truncated += 1;
            }
            Some(Value::ArrayValue(array)) => {
                array.values.iter_mut().for_each(|value| self.value(value))
            }
            Some(Value::KvlistValue(list)) => {
                for entry in &mut list.values {
                    self.key(&mut entry.key);
                    if let Some(value) = &mut entry.value {
                        self.value(value);
                    }
                }
            }
            _ => {}
        }
    }

    fn text(&mut self, text: &mut String, max: usize) {
        if text.len() > max {
            text.truncate(text.floor_char_boundary(max));
            self.report.truncated += 1;
        }
    }
}

/// Levels of arrays and maps. The decoder has bounded them, so recursion is safe.
fn depth(value: &AnyValue) -> u32 {
    match &value.value {
        Some(Value::ArrayValue(array)) => 1 + array.values.iter().map(depth).max().unwrap_or(0),
        Some(Value::KvlistValue(list)) => {
            1 + list
                .values
                .iter()
                .filter_map(|entry| entry.value.as_ref())
                .map(depth)
                .max()
                .unwrap_or(0)
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests;
