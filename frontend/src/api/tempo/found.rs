//! The traces that a search found, as messages.

use engine::search::{SpanMatch, SpansetMatch, TraceMatch};
use engine::{AttributeValue, LabelValue};
use opentelemetry_proto::tonic::common::v1::any_value::Value as AnyValueOf;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue};
use storage::ids::TraceId;

use super::messages::{
    SearchMetrics, SearchResponse, ServiceStats, Span, SpanSet, TraceSearchMetadata, narrow,
};
use crate::search::SearchAnswer;

/// Stands for the service of a root span that is not known, as clients expect.
const NO_ROOT: &str = "<root span not yet received>";

/// The message of an answer; `padded`: with trace ids of all 32 digits.
pub(super) fn response(answer: SearchAnswer, padded: bool) -> SearchResponse {
    let traces = answer.traces.into_iter().map(|found| trace(found, padded));
    SearchResponse {
        traces: traces.collect(),
        metrics: Some(SearchMetrics::from(&answer.stats)),
    }
}

fn trace(found: TraceMatch, padded: bool) -> TraceSearchMetadata {
    let span_sets: Vec<SpanSet> = found.spansets.into_iter().map(spanset).collect();
    let services = found.services.into_iter().map(|(service, stats)| {
        let stats = ServiceStats {
            span_count: narrow(stats.span_count),
            error_count: narrow(stats.error_count),
        };
        (service, stats)
    });
    TraceSearchMetadata {
        trace_id: trace_id(found.trace_id, padded),
        root_service_name: if found.root_service_name.is_empty() {
            NO_ROOT.to_owned()
        } else {
            found.root_service_name
        },
        root_trace_name: found.root_name,
        start_time_unix_nano: unsigned(found.start_ns),
        duration_ms: narrow(unsigned(found.duration_ns / 1_000_000)),
        span_set: span_sets.first().cloned(),
        span_sets,
        service_stats: services.collect(),
    }
}

/// Hex digits; unless they are asked for, without zeros in front.
fn trace_id(id: TraceId, padded: bool) -> String {
    let digits = id.to_string();
    if padded {
        return digits;
    }
    digits.trim_start_matches('0').to_owned()
}

fn spanset(found: SpansetMatch) -> SpanSet {
    SpanSet {
        spans: found.spans.into_iter().map(span).collect(),
        matched: narrow(found.matched),
        attributes: found.attributes.into_iter().map(attribute).collect(),
    }
}

fn span(found: SpanMatch) -> Span {
    Span {
        span_id: found.span_id.to_string(),
        name: found.name.unwrap_or_default(),
        start_time_unix_nano: unsigned(found.start_ns),
        duration_nanos: unsigned(found.duration_ns),
        attributes: found.attributes.into_iter().map(attribute).collect(),
    }
}

fn attribute((key, value): (String, AttributeValue)) -> KeyValue {
    let value = match value {
        AttributeValue::Scalar(value) => scalar(value),
        AttributeValue::Array(values) => {
            let values = values.into_iter().map(|value| AnyValue {
                value: Some(scalar(value)),
            });
            AnyValueOf::ArrayValue(ArrayValue {
                values: values.collect(),
            })
        }
    };
    KeyValue {
        key,
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

fn scalar(value: LabelValue) -> AnyValueOf {
    match value {
        LabelValue::String(text) => AnyValueOf::StringValue(text.into()),
        LabelValue::Int(value) => AnyValueOf::IntValue(value),
        LabelValue::Float(value) => AnyValueOf::DoubleValue(value),
        LabelValue::Bool(value) => AnyValueOf::BoolValue(value),
    }
}

/// No span is older than 1970, as OTLP has no such time.
fn unsigned(ns: i64) -> u64 {
    u64::try_from(ns).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use engine::search;
    use serde_json::json;
    use storage::ids::SpanId;

    use super::super::proto_json::Json;
    use super::*;
    use crate::stats::QueryStats;

    fn found() -> SearchAnswer {
        let text = |text: &str| AttributeValue::Scalar(LabelValue::String(text.into()));
        let span = |name: Option<&str>| SpanMatch {
            span_id: SpanId([0, 1, 2, 3, 4, 5, 6, 7]),
            start_ns: 1_684_778_327_735_077_898,
            duration_ns: 446_979_497,
            name: name.map(str::to_owned),
            attributes: vec![
                ("status".to_owned(), text("error")),
                (
                    "code".to_owned(),
                    AttributeValue::Scalar(LabelValue::Int(0)),
                ),
                (
                    "ratio".to_owned(),
                    AttributeValue::Scalar(LabelValue::Float(0.5)),
                ),
                (
                    "ok".to_owned(),
                    AttributeValue::Scalar(LabelValue::Bool(false)),
                ),
                (
                    "list".to_owned(),
                    AttributeValue::Array(vec![LabelValue::Int(1), LabelValue::Int(2)]),
                ),
            ],
        };
        let mut id = [0; 16];
        id[7] = 0x2f;
        id[15] = 0x10;
        let first = TraceMatch {
            trace_id: TraceId(id),
            root_service_name: "shop".to_owned(),
            root_name: "update".to_owned(),
            start_ns: 1_684_778_327_699_392_724,
            duration_ns: 557_999_999,
            services: BTreeMap::from([
                (
                    "shop".to_owned(),
                    search::ServiceStats {
                        span_count: 3,
                        error_count: 1,
                    },
                ),
                (
                    "cart".to_owned(),
                    search::ServiceStats {
                        span_count: 2,
                        error_count: 0,
                    },
                ),
            ]),
            spansets: vec![
                SpansetMatch {
                    attributes: vec![("avg(duration)".to_owned(), text("1.2s"))],
                    matched: 7,
                    spans: vec![span(Some("SELECT"))],
                },
                SpansetMatch {
                    attributes: Vec::new(),
                    matched: 1,
                    spans: vec![span(None)],
                },
            ],
        };
        let second = TraceMatch {
            root_service_name: String::new(),
            root_name: String::new(),
            duration_ns: 999_999,
            services: BTreeMap::new(),
            spansets: Vec::new(),
            ..first.clone()
        };
        let stats = QueryStats {
            inspected_bytes: 3_811_736,
            inspected_spans: 9000,
            blocks_total: 3,
            jobs_total: 2,
            jobs_completed: 2,
            block_bytes: 5000,
            ..QueryStats::default()
        };
        SearchAnswer {
            traces: vec![first, second],
            stats,
        }
    }

    #[test]
    fn answers_as_json() {
        let json = serde_json::to_value(Json(response(found(), false))).unwrap();
        let attributes = json!([
            {"key": "status", "value": {"stringValue": "error"}},
            {"key": "code", "value": {"intValue": "0"}},
            {"key": "ratio", "value": {"doubleValue": 0.5}},
            {"key": "ok", "value": {"boolValue": false}},
            {"key": "list", "value": {"arrayValue": {"values": [{"intValue": "1"}, {"intValue": "2"}]}}},
        ]);
        let span = json!({
            "spanID": "0001020304050607",
            "name": "SELECT",
            "startTimeUnixNano": "1684778327735077898",
            "durationNanos": "446979497",
            "attributes": attributes,
        });
        let mut nameless = span.clone();
        nameless.as_object_mut().unwrap().remove("name");
        let first = json!({
            "spans": [span],
            "matched": 7,
            "attributes": [{"key": "avg(duration)", "value": {"stringValue": "1.2s"}}],
        });
        assert_eq!(
            json["traces"][0],
            json!({
                "traceID": "2f0000000000000010",
                "rootServiceName": "shop",
                "rootTraceName": "update",
                "startTimeUnixNano": "1684778327699392724",
                "durationMs": 557,
                "spanSet": first,
                "spanSets": [first, {"spans": [nameless], "matched": 1}],
                "serviceStats": {"shop": {"spanCount": 3, "errorCount": 1}, "cart": {"spanCount": 2}},
            })
        );
        assert_eq!(
            json["traces"][1],
            json!({
                "traceID": "2f0000000000000010",
                "rootServiceName": "<root span not yet received>",
                "startTimeUnixNano": "1684778327699392724",
            })
        );
        assert_eq!(
            json["metrics"],
            json!({
                "inspectedBytes": "3811736",
                "totalBlocks": 3,
                "completedJobs": 2,
                "totalJobs": 2,
                "totalBlockBytes": "5000",
                "inspectedSpans": "9000",
            })
        );
        let none = serde_json::to_string(&Json(response(SearchAnswer::default(), false)));
        assert_eq!(none.unwrap(), r#"{"traces":[],"metrics":{}}"#);
    }

    #[test]
    fn ids_can_be_padded() {
        let padded = response(found(), true).traces.remove(0).trace_id;
        assert_eq!(padded, "000000000000002f0000000000000010");
    }
}
