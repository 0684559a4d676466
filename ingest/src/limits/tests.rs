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

fn check(spans: Vec<Span>, limits: &LimitsConfig) -> (ExportTraceServiceRequest, LimitReport) {
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
