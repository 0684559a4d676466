//! Limits on single spans: what is too much is cut or turned away, and the sender is told.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use storage::otlp::{PlainBounds, Rejection, RejectionReason};

use crate::config::LimitsConfig;

/// What happened to the spans of a request.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// Spans turned away, by reason: how many, and the name of the first.
    rejected: BTreeMap<&'static str, (u64, String)>,
    /// Keys and values cut.
    truncated: u64,
    /// Attributes, events and links dropped.
    dropped: u64,
}

impl Report {
    pub(crate) fn rejected(&self) -> u64 {
        self.rejected.values().map(|(count, _)| count).sum()
    }

    /// The reasons for which spans were turned away, and how many each.
    pub(crate) fn reasons(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.rejected
            .iter()
            .map(|(code, (count, _))| (*code, *count))
    }

    pub(crate) fn reject(&mut self, code: &'static str, span_name: &str) {
        let (count, _) = self
            .rejected
            .entry(code)
            .or_insert_with(|| (0, span_name.chars().take(64).collect()));
        *count += 1;
    }

    pub(crate) fn add(&mut self, rejections: &[Rejection]) {
        for rejection in rejections {
            let code = match rejection.reason {
                RejectionReason::TimeOutOfRange => "err-time-range",
                RejectionReason::ValueTooDeep => "err-value-too-deep",
                _ => "err-invalid-id",
            };
            self.reject(code, &rejection.span_name);
        }
    }

    /// What to tell the sender; empty if all is well.
    pub(crate) fn message(&self) -> String {
        let mut message = String::new();
        let mut part = |text: std::fmt::Arguments<'_>| {
            if !message.is_empty() {
                message.push_str("; ");
            }
            // Writing to a string cannot fail.
            let _ = message.write_fmt(text);
        };
        for (code, (count, example)) in &self.rejected {
            part(format_args!(
                "{code}: {count} spans rejected, first {example:?}"
            ));
        }
        if self.truncated > 0 {
            part(format_args!(
                "err-attr-truncated: {} attribute keys or values cut",
                self.truncated
            ));
        }
        if self.dropped > 0 {
            part(format_args!(
                "err-attr-dropped: {} attributes, events or links dropped",
                self.dropped
            ));
        }
        message
    }
}

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
) -> Report {
    let mut pass = Pass {
        limits,
        latest_start: latest_start(limits, now_ns),
        check_depth: value_depth > limits.max_value_depth,
        check_size: request_len > limits.max_span_bytes,
        report: Report::default(),
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
    report: Report,
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
mod tests {
    use std::time::Duration;

    use opentelemetry_proto::tonic::common::v1::ArrayValue;
    use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, span};

    use super::*;

    const NOW: u64 = 1_700_000_000_000_000_000;

    fn text(key: &str, value: &str) -> KeyValue {
        let value = Some(AnyValue {
            value: Some(Value::StringValue(value.into())),
        });
        KeyValue {
            key: key.into(),
            value,
            ..Default::default()
        }
    }

    fn deep(levels: u32) -> KeyValue {
        let mut value = AnyValue {
            value: Some(Value::IntValue(1)),
        };
        for _ in 0..levels {
            value = AnyValue {
                value: Some(Value::ArrayValue(ArrayValue {
                    values: vec![value],
                })),
            };
        }
        KeyValue {
            key: "deep".into(),
            value: Some(value),
            ..Default::default()
        }
    }

    fn request(spans: Vec<Span>) -> ExportTraceServiceRequest {
        let scope_spans = vec![ScopeSpans {
            spans,
            ..Default::default()
        }];
        ExportTraceServiceRequest {
            resource_spans: vec![ResourceSpans {
                scope_spans,
                ..Default::default()
            }],
        }
    }

    fn spans(request: &ExportTraceServiceRequest) -> &[Span] {
        &request.resource_spans[0].scope_spans[0].spans
    }

    fn check(spans: Vec<Span>, limits: &LimitsConfig) -> (ExportTraceServiceRequest, Report) {
        let mut request = request(spans);
        let len = request.encoded_len();
        let report = apply(&mut request, limits, 99, len, NOW);
        (request, report)
    }

    #[test]
    fn a_usual_request_is_left_alone() {
        let span = Span {
            name: "a".into(),
            attributes: vec![text("k", "v")],
            ..Default::default()
        };
        let (after, report) = check(vec![span.clone()], &LimitsConfig::default());
        assert_eq!(spans(&after), [span]);
        assert!(report.message().is_empty());
    }

    #[test]
    fn one_bad_span_costs_itself_only() {
        let limits = LimitsConfig {
            max_span_bytes: 4000,
            max_future: Duration::from_secs(1),
            ..Default::default()
        };
        let named = |name: &str| Span {
            name: name.into(),
            ..Default::default()
        };
        let (after, report) = check(
            vec![
                named("good"),
                Span {
                    attributes: vec![deep(16)],
                    ..named("just deep enough")
                },
                Span {
                    attributes: vec![deep(17)],
                    ..named("too deep")
                },
                Span {
                    start_time_unix_nano: NOW + 1_000_000_000,
                    ..named("soon")
                },
                Span {
                    start_time_unix_nano: NOW + 1_000_000_001,
                    ..named("too late")
                },
                Span {
                    start_time_unix_nano: u64::MAX,
                    ..named("far too late")
                },
                Span {
                    trace_state: "x".repeat(4001),
                    ..named("large")
                },
            ],
            &limits,
        );
        let kept: Vec<&str> = spans(&after).iter().map(|s| s.name.as_str()).collect();
        assert_eq!(kept, ["good", "just deep enough", "soon"]);
        assert_eq!(report.rejected(), 4);
        assert_eq!(
            report.message(),
            "err-span-too-large: 1 spans rejected, first \"large\"; \
             err-time-range: 2 spans rejected, first \"too late\"; \
             err-value-too-deep: 1 spans rejected, first \"too deep\""
        );
    }

    #[test]
    fn long_text_is_cut_between_characters() {
        let limits = LimitsConfig {
            max_attribute_bytes: 5,
            max_attribute_key_bytes: 3,
            ..Default::default()
        };
        let span = Span {
            attributes: vec![text("abcd", "ab\u{20ac}\u{20ac}")],
            ..Default::default()
        };
        let (after, report) = check(vec![span], &limits);
        assert_eq!(spans(&after)[0].attributes, [text("abc", "ab\u{20ac}")]);
        assert_eq!((report.rejected(), report.truncated), (0, 2));
        assert!(report.message().starts_with("err-attr-truncated"));
    }

    #[test]
    fn what_is_too_many_is_dropped_and_counted() {
        let limits = LimitsConfig {
            max_span_attributes: 1,
            max_event_attributes: 1,
            max_span_events: 2,
            max_span_links: 0,
            ..Default::default()
        };
        let event = span::Event {
            attributes: vec![text("a", "1"), text("b", "2")],
            ..Default::default()
        };
        let (after, report) = check(
            vec![Span {
                attributes: vec![text("a", "1"), text("b", "2"), text("c", "3")],
                dropped_attributes_count: 5,
                events: vec![event; 3],
                links: vec![span::Link::default()],
                ..Default::default()
            }],
            &limits,
        );
        let span = &spans(&after)[0];
        assert_eq!(
            (span.attributes.len(), span.dropped_attributes_count),
            (1, 7)
        );
        assert_eq!((span.events.len(), span.dropped_events_count), (2, 1));
        assert_eq!((span.links.len(), span.dropped_links_count), (0, 1));
        assert_eq!(span.events[0].dropped_attributes_count, 1);
        assert_eq!(report.dropped, 2 + 1 + 1 + 2);
    }
}
