//! `/api/search`: the newest traces that match.

use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use engine::LabelValue;
use engine::search::{SpanMatch, SpansetMatch, TraceMatch, Value};
use opentelemetry_proto::tonic::common::v1::any_value::Value as AnyValueOf;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue};
use storage::ids::TraceId;
use traceql::Dialect;

use super::encoding::Encoding;
use super::error::TempoError;
use super::invalid::{InvalidParameter, unreadable};
use super::legacy;
use super::messages::{
    SearchMetrics, SearchResponse, ServiceStats, Span, SpanSet, TraceSearchMetadata, narrow,
};
use super::params::{SECOND_NS, dialect};
use super::window::Window;
use crate::api::params::Params;
use crate::api::state::ApiState;
use crate::api::tenancy;
use crate::api::time::now_ns;
use crate::config::FrontendConfig;
use crate::search::{SearchAnswer, SearchRequest};
use crate::threads::off_reactor;

/// Stands for the service of a root span that is not known, as clients expect.
const NO_ROOT: &str = "<root span not yet received>";

/// What a search asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
struct SearchParams {
    query: String,
    dialect: Dialect,
    window: Window,
    limit: usize,
    spans_per_spanset: usize,
}

impl SearchParams {
    fn parse(
        params: &Params,
        config: &FrontendConfig,
        now_ns: i64,
    ) -> Result<Self, InvalidParameter> {
        let search = &config.query_frontend.search;
        let query = match (params.get("q"), params.get("tags")) {
            (Some(_), Some(_)) => return Err(InvalidParameter::TwoQueries),
            (Some(query), None) => {
                if legacy::durations(params)? != (None, None) {
                    return Err(InvalidParameter::DurationBesideQuery);
                }
                query.to_owned()
            }
            (None, _) => legacy::query(params)?,
        };
        let window = Window::parse(params, config, now_ns, seconds)?;
        let length_ns = window.end_ns.saturating_sub(window.start_ns);
        let max = search.max_duration;
        // Whole seconds at the end are taken whole, and are not what was asked for.
        if max.limit().is_some() && length_ns >= max.as_ns().saturating_add(SECOND_NS) {
            return Err(InvalidParameter::RangeTooLong {
                limit_ns: max.as_ns(),
            });
        }
        let limit = count(params, "limit")?.unwrap_or(search.default_result_limit);
        if limit == 0 {
            return Err(unreadable("limit", "0", "a number greater than zero"));
        }
        if exceeds(limit, search.max_result_limit) {
            let max = search.max_result_limit;
            return Err(InvalidParameter::Limit { limit, max });
        }
        let spans = count(params, "spss")?.unwrap_or(search.default_spans_per_span_set);
        if exceeds(spans, search.max_spans_per_span_set) {
            let max = search.max_spans_per_span_set;
            return Err(InvalidParameter::SpansPerSpanset { spans, max });
        }
        Ok(Self {
            query,
            dialect: dialect(params)?,
            window,
            limit,
            spans_per_spanset: if spans == 0 { usize::MAX } else { spans },
        })
    }
}

/// Whether a number is over a limit, of which 0 is none.
const fn exceeds(number: usize, max: usize) -> bool {
    max > 0 && number > max
}

/// Seconds since the epoch, which this endpoint takes in no other form.
fn seconds(name: &'static str, text: &str) -> Result<i64, InvalidParameter> {
    let seconds = text.parse::<u32>().ok().map(i64::from);
    let ns = seconds.and_then(|seconds| seconds.checked_mul(SECOND_NS));
    ns.ok_or_else(|| unreadable(name, text, "whole seconds since 1970"))
}

fn count(params: &Params, name: &'static str) -> Result<Option<usize>, InvalidParameter> {
    let parse = |text: &str| {
        let count = text.parse::<u32>().ok();
        let count = count.and_then(|count| usize::try_from(count).ok());
        count.ok_or_else(|| unreadable(name, text, "a whole number"))
    };
    params.get(name).map(parse).transpose()
}

pub(super) async fn search(
    State(state): State<ApiState>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, TempoError> {
    let frontend = &*state.frontend;
    let config = frontend.config();
    let tenants = tenancy::tenants(config, &headers)?;
    let params = SearchParams::parse(&Params::of_url(&uri), config, now_ns())?;
    let request = SearchRequest {
        tenants,
        query: params.query,
        dialect: params.dialect,
        start_ns: params.window.start_ns,
        end_ns: params.window.end_ns,
        limit: params.limit,
        spans_per_spanset: params.spans_per_spanset,
    };
    let answer = frontend.search(&request).await?;
    let padded = config.overrides.defaults.read.left_pad_trace_ids;
    let response = off_reactor(move || response(answer, padded)).await?;
    let limit = config.query.max_response_bytes;
    Ok(Encoding::accepted(&headers).send(response, limit).await?)
}

fn response(answer: SearchAnswer, padded: bool) -> SearchResponse {
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

fn attribute((key, value): (String, Value)) -> KeyValue {
    let value = match value {
        Value::Scalar(value) => scalar(value),
        Value::Array(values) => {
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
    use crate::duration::GoDuration;
    use crate::stats::QueryStats;

    const NOW: i64 = 1_700_000_000 * SECOND_NS;

    fn parse<const N: usize>(params: [(&str, &str); N]) -> Result<SearchParams, String> {
        let params = params.into_iter().collect();
        SearchParams::parse(&params, &FrontendConfig::default(), NOW)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn parameters_and_their_defaults() {
        let found = parse([]).unwrap();
        assert_eq!(found.query, "{ }");
        assert_eq!((found.limit, found.spans_per_spanset), (20, 3));
        assert_eq!(found.window.start_ns, NOW - 900 * SECOND_NS);
        let found = parse([
            ("q", "{ .a }"),
            ("limit", "200"),
            ("spss", "0"),
            ("start", "5"),
            ("end", "9"),
        ]);
        let found = found.unwrap();
        assert_eq!(found.query, "{ .a }");
        assert_eq!((found.limit, found.spans_per_spanset), (200, usize::MAX));
        assert_eq!(found.window.start_ns, 5 * SECOND_NS);
        assert_eq!(found.window.end_ns, 10 * SECOND_NS - 1);
    }

    #[test]
    fn bad_parameters_are_named() {
        for (params, part) in [
            (
                [("q", "{}"), ("tags", "a=b")],
                "invalid request: can't specify tags and q in the same query",
            ),
            ([("q", "{}"), ("minDuration", "1s")], "traceDuration"),
            ([("limit", "0"), ("x", "")], "invalid limit: \"0\""),
            ([("limit", "-1"), ("x", "")], "invalid limit: \"-1\""),
            (
                [("limit", "262145"), ("x", "")],
                "limit 262145 exceeds max limit 262144",
            ),
            (
                [("spss", "101"), ("x", "")],
                "spans per span set exceeds 100. received 101",
            ),
            (
                [("start", "1"), ("x", "")],
                "only one of start and end provided",
            ),
            ([("start", "1.5"), ("end", "2")], "invalid start: \"1.5\""),
            (
                [("start", "2020-09-13T12:26:40Z"), ("end", "2")],
                "invalid start",
            ),
            ([("start", "1"), ("end", "4294967296")], "invalid end"),
            ([("dialect", "x"), ("q", "{}")], "invalid dialect"),
        ] {
            let error = parse(params).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn ranges_are_bounded_if_the_configuration_says_so() {
        let mut config = FrontendConfig::default();
        let parse = |config: &FrontendConfig, end: &str| {
            let params = [("start", "1"), ("end", end)].into_iter().collect();
            SearchParams::parse(&params, config, NOW).map_err(|error| error.to_string())
        };
        assert!(parse(&config, "4000000000").is_ok());
        config.query_frontend.search.max_duration = GoDuration::from_secs(3600);
        assert!(parse(&config, "3601").is_ok());
        let error = parse(&config, "3602").unwrap_err();
        assert!(
            error.contains("1h0m0s (query_frontend.search.max_duration)"),
            "{error}"
        );
    }

    fn found() -> SearchAnswer {
        let text = |text: &str| Value::Scalar(LabelValue::String(text.into()));
        let span = |name: Option<&str>| SpanMatch {
            span_id: SpanId([0, 1, 2, 3, 4, 5, 6, 7]),
            start_ns: 1_684_778_327_735_077_898,
            duration_ns: 446_979_497,
            name: name.map(str::to_owned),
            attributes: vec![
                ("status".to_owned(), text("error")),
                ("code".to_owned(), Value::Scalar(LabelValue::Int(0))),
                ("ratio".to_owned(), Value::Scalar(LabelValue::Float(0.5))),
                ("ok".to_owned(), Value::Scalar(LabelValue::Bool(false))),
                (
                    "list".to_owned(),
                    Value::Array(vec![LabelValue::Int(1), LabelValue::Int(2)]),
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
