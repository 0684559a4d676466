use opentelemetry_proto::tonic::common::v1::any_value::Value;

use super::*;

fn decode(text: &str) -> ExportTraceServiceRequest {
    decode_json(text.as_bytes()).unwrap()
}

fn span(fields: &str) -> opentelemetry_proto::tonic::trace::v1::Span {
    let text = format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{{fields}}}]}}]}}]}}"#);
    decode(&text)
        .resource_spans
        .remove(0)
        .scope_spans
        .remove(0)
        .spans
        .remove(0)
}

#[test]
fn the_whole_message_is_read() {
    let request = decode(
        r#"{"resourceSpans":[{
            "resource":{"attributes":[{"key":"service.name","value":{"stringValue":"cart"}}],"droppedAttributesCount":1},
            "schemaUrl":"r",
            "scopeSpans":[{"scope":{"name":"lib","version":"1","attributes":[],"droppedAttributesCount":2},"schemaUrl":"s",
              "spans":[{"traceId":"5B8EFFF798038103D269B633813FC60C","spanId":"eee19b7ec3c1b174","parentSpanId":"EEE19B7EC3C1B173",
                "traceState":"a=b","flags":257,"name":"n","kind":2,"startTimeUnixNano":"1544712660000000000","endTimeUnixNano":1544712661000000000,
                "events":[{"timeUnixNano":"5","name":"e","attributes":[{"key":"k","value":{"boolValue":true}}],"droppedAttributesCount":3}],
                "links":[{"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174","traceState":"t","flags":1}],
                "droppedEventsCount":4,"droppedLinksCount":5,"droppedAttributesCount":6,
                "status":{"code":2,"message":"bad"}}]}]}]}"#,
    );
    let resource_spans = &request.resource_spans[0];
    assert_eq!(
        resource_spans
            .resource
            .as_ref()
            .unwrap()
            .dropped_attributes_count,
        1
    );
    assert_eq!(
        (
            resource_spans.schema_url.as_str(),
            resource_spans.scope_spans[0].schema_url.as_str()
        ),
        ("r", "s")
    );
    let scope = resource_spans.scope_spans[0].scope.as_ref().unwrap();
    assert_eq!(
        (
            scope.name.as_str(),
            scope.version.as_str(),
            scope.dropped_attributes_count
        ),
        ("lib", "1", 2)
    );
    let span = &resource_spans.scope_spans[0].spans[0];
    assert_eq!(
        hex::encode(&span.trace_id),
        "5b8efff798038103d269b633813fc60c"
    );
    assert_eq!(hex::encode(&span.parent_span_id), "eee19b7ec3c1b173");
    assert_eq!(
        (span.start_time_unix_nano, span.end_time_unix_nano),
        (1_544_712_660_000_000_000, 1_544_712_661_000_000_000)
    );
    assert_eq!(
        (span.kind, span.flags, span.trace_state.as_str()),
        (2, 257, "a=b")
    );
    assert_eq!(
        (
            span.dropped_events_count,
            span.dropped_links_count,
            span.dropped_attributes_count
        ),
        (4, 5, 6)
    );
    assert_eq!(
        (
            span.events[0].time_unix_nano,
            span.events[0].dropped_attributes_count
        ),
        (5, 3)
    );
    assert_eq!((span.links[0].flags, span.links[0].span_id.len()), (1, 8));
    assert_eq!(
        span.status.as_ref().map(|s| (s.code, s.message.as_str())),
        Some((2, "bad"))
    );
}

#[test]
fn enumerations_have_names_or_numbers() {
    assert_eq!(span(r#""kind":"SPAN_KIND_SERVER""#).kind, 2);
    assert_eq!(span(r#""kind":"SPAN_KIND_CONSUMER""#).kind, 5);
    assert_eq!(span(r#""kind":"3""#).kind, 3);
    assert_eq!(span(r#""kind":77"#).kind, 77);
    assert_eq!(
        span(r#""status":{"code":"STATUS_CODE_ERROR"}"#)
            .status
            .unwrap()
            .code,
        2
    );
    assert!(
        decode_json(br#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"kind":"SERVER"}]}]}]}"#)
            .is_err()
    );
}

#[test]
fn null_is_absent_and_unknown_keys_are_ignored() {
    assert_eq!(decode("{}").resource_spans.len(), 0);
    assert_eq!(
        decode(r#"{"resourceSpans":null,"more":{"a":[1,{"b":2}]}}"#)
            .resource_spans
            .len(),
        0
    );
    let span = span(
        r#""name":null,"traceId":null,"kind":null,"startTimeUnixNano":null,"attributes":null,"events":null,
           "status":null,"future":[{"x":[]}]"#,
    );
    assert_eq!(span, Default::default());
}

#[test]
fn all_values_are_read() {
    let span = span(
        r#""attributes":[
            {"key":"s","value":{"stringValue":"x"}}, {"key":"b","value":{"boolValue":false}},
            {"key":"i","value":{"intValue":"-9223372036854775808"}}, {"key":"j","value":{"intValue":7}},
            {"key":"d","value":{"doubleValue":1.5}}, {"key":"e","value":{"doubleValue":"NaN"}},
            {"key":"f","value":{"doubleValue":"-Infinity"}}, {"key":"g","value":{"doubleValue":3}},
            {"key":"y","value":{"bytesValue":"AQID"}}, {"key":"u","value":{"bytesValue":"_-8"}},
            {"key":"a","value":{"arrayValue":{"values":[{"intValue":1},{}]}}},
            {"key":"m","value":{"kvlistValue":{"values":[{"key":"z","value":{"stringValue":"w"}}]}}},
            {"key":"n","value":{"unknownValue":{"x":1}}}, {"key":"o","value":null}, {"key":"p"}]"#,
    );
    let values: Vec<Option<Value>> = span
        .attributes
        .into_iter()
        .map(|a| a.value.and_then(|v| v.value))
        .collect();
    assert_eq!(values[0], Some(Value::StringValue("x".into())));
    assert_eq!(values[1], Some(Value::BoolValue(false)));
    assert_eq!(values[2], Some(Value::IntValue(i64::MIN)));
    assert_eq!(values[3], Some(Value::IntValue(7)));
    assert_eq!(values[4], Some(Value::DoubleValue(1.5)));
    assert!(matches!(values[5], Some(Value::DoubleValue(d)) if d.is_nan()));
    assert_eq!(values[6], Some(Value::DoubleValue(f64::NEG_INFINITY)));
    assert_eq!(values[7], Some(Value::DoubleValue(3.0)));
    assert_eq!(values[8], Some(Value::BytesValue(vec![1, 2, 3])));
    assert_eq!(values[9], Some(Value::BytesValue(vec![0xff, 0xef])));
    assert!(matches!(&values[10], Some(Value::ArrayValue(a)) if a.values.len() == 2));
    assert!(matches!(&values[11], Some(Value::KvlistValue(l)) if l.values[0].key == "z"));
    assert_eq!(&values[12..], [None, None, None]);
}

#[test]
fn ids_that_are_not_hex_cost_their_span_only() {
    // The wrong id stays wrong, for the check of ids to find; the request is not refused.
    assert_ne!(span(r#""spanId":"xyz""#).span_id.len(), 8);
    assert_ne!(span(r#""spanId":"eee19b7ec3c1b17""#).span_id.len(), 8);
    assert_ne!(
        span(r#""traceId":"5b8efff798038103d269b633813fc60z""#)
            .trace_id
            .len(),
        16
    );
}

#[test]
fn wrong_text_is_an_error_never_a_crash() {
    for text in [
        "",
        "[",
        "null",
        "1",
        "[]",
        "{\"resourceSpans\":1}",
        "{\"resourceSpans\":[null]",
        "\u{fffd}",
    ] {
        assert!(decode_json(text.as_bytes()).is_err(), "{text}");
    }
    let deep = format!(r#"{{"x":{}1{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    assert!(matches!(
        decode_json(deep.as_bytes()),
        Err(JsonError::TooDeep)
    ));
    assert!(decode_json(&[0xff, b'{', 0x80]).is_err());
}

#[test]
fn shape_is_measured_outside_of_strings() {
    assert_eq!(
        measure(br#"{"a\"{[":[{},{"b":"}"}]}"#),
        Shape {
            objects: 3,
            nesting: 3
        }
    );
    assert_eq!(
        measure(br#"{"a":"\\"}"#),
        Shape {
            objects: 1,
            nesting: 1
        }
    );
}
