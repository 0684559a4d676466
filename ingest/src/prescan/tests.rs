use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, EntityRef, InstrumentationScope, KeyValue, KeyValueList, any_value::Value,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, span};
use prost::Message;
use storage::otlp::{PlainBounds, PlainRequest};

use super::*;

fn attribute(value: Value) -> KeyValue {
    KeyValue {
        key: "k".into(),
        value: Some(AnyValue { value: Some(value) }),
        ..Default::default()
    }
}

fn nested(levels: u32) -> Value {
    (0..levels).fold(Value::IntValue(1), |inner, level| {
        if level % 2 == 0 {
            Value::ArrayValue(ArrayValue {
                values: vec![AnyValue { value: Some(inner) }],
            })
        } else {
            Value::KvlistValue(KeyValueList {
                values: vec![attribute(inner)],
            })
        }
    })
}

fn request(value: Value) -> Vec<u8> {
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(Resource {
                attributes: vec![attribute(Value::BoolValue(true))],
                ..Default::default()
            }),
            scope_spans: vec![ScopeSpans {
                scope: Some(InstrumentationScope {
                    attributes: vec![attribute(Value::IntValue(1))],
                    ..Default::default()
                }),
                spans: vec![
                    Span {
                        attributes: vec![attribute(value), attribute(Value::DoubleValue(1.0))],
                        events: vec![span::Event {
                            attributes: vec![attribute(Value::IntValue(1))],
                            ..Default::default()
                        }],
                        links: vec![span::Link::default(), span::Link::default()],
                        ..Default::default()
                    },
                    Span::default(),
                ],
                ..Default::default()
            }],
            ..Default::default()
        }],
    }
    .encode_to_vec()
}

#[test]
fn everything_is_counted() {
    let counts = prescan(&request(nested(3)), &LimitsConfig::default()).unwrap();
    assert_eq!(
        counts,
        Counts {
            resources: 1,
            scopes: 1,
            spans: 2,
            events: 1,
            links: 2,
            // Five written out, one inside the nested value.
            attributes: 6,
            values: 2,
            value_depth: 3,
        }
    );
}

fn wrapped(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut outer = vec![tag];
    prost::encoding::encode_varint(content.len() as u64, &mut outer);
    outer.extend_from_slice(content);
    outer
}

#[test]
fn empty_messages_are_stopped_at_the_limit() {
    let limits = LimitsConfig::default();
    let empty = |tag: u8| [tag, 0].repeat(10 << 20);
    let spans = wrapped(0x0a, &wrapped(0x12, &empty(0x12)));
    assert!(matches!(
        prescan(&spans, &limits),
        Err(PushError::TooManyItems { what: "spans", .. })
    ));
    let span = |content: &[u8]| wrapped(0x0a, &wrapped(0x12, &wrapped(0x12, content)));
    let entity_keys = wrapped(0x0a, &wrapped(0x0a, &wrapped(0x1a, &empty(0x1a))));
    // Resources, scopes, attributes, events, links, keys of entities.
    let requests = [
        empty(0x0a),
        wrapped(0x0a, &empty(0x12)),
        span(&empty(0x4a)),
        span(&empty(0x5a)),
        span(&empty(0x6a)),
        entity_keys,
    ];
    for request in requests {
        assert!(matches!(
            prescan(&request, &limits),
            Err(PushError::TooManyItems {
                what: "messages",
                ..
            })
        ));
    }
}

#[test]
fn no_bytes_upset_it() {
    let bytes = request(nested(5));
    for at in 0..bytes.len() {
        let cut = prescan(&bytes[..at], &LimitsConfig::default());
        assert_eq!(
            cut.is_ok(),
            ExportTraceServiceRequest::decode(&bytes[..at]).is_ok(),
            "cut at {at}"
        );
        for value in 0..=255 {
            let mut damaged = bytes.clone();
            damaged[at] = value;
            let scanned = prescan(&damaged, &LimitsConfig::default());
            // What decodes has been counted right.
            if let (Ok(counts), Ok(decoded)) =
                (scanned, ExportTraceServiceRequest::decode(&damaged[..]))
            {
                let spans: usize = decoded
                    .resource_spans
                    .iter()
                    .flat_map(|r| &r.scope_spans)
                    .map(|s| s.spans.len())
                    .sum();
                assert_eq!(counts.spans, spans as u64);
            }
        }
    }
}

#[test]
fn numbers_have_64_bits() {
    // Of a field that OTLP does not have.
    let field = |last: u8| [vec![0x98, 0x06], vec![0xff; 9], vec![last]].concat();
    assert!(prescan(&field(1), &LimitsConfig::default()).is_ok());
    for last in [2, 0x7f, 0xff] {
        let bytes = field(last);
        assert!(ExportTraceServiceRequest::decode(&bytes[..]).is_err());
        let refused = prescan(&bytes, &LimitsConfig::default());
        assert!(matches!(refused, Err(PushError::Malformed { .. })));
    }
}

/// A request of valid spans.
fn plain() -> Vec<u8> {
    let mut request = ExportTraceServiceRequest::decode(&request(nested(5))[..]).unwrap();
    let resource = &mut request.resource_spans[0];
    resource.resource.as_mut().unwrap().entity_refs = vec![EntityRef {
        id_keys: vec!["a".into(), "b".into()],
        description_keys: vec!["c".into()],
        ..Default::default()
    }];
    for span in &mut resource.scope_spans[0].spans {
        (span.trace_id, span.span_id) = (vec![1; 16], vec![2; 8]);
        for link in &mut span.links {
            (link.trace_id, link.span_id) = (vec![3; 16], vec![4; 8]);
        }
    }
    request.encode_to_vec()
}

#[test]
fn what_is_plain_is_counted_alike() {
    let is_plain = |bytes: &[u8], spans, messages| {
        let bounds = PlainBounds {
            spans,
            messages,
            ..PlainBounds::NONE
        };
        PlainRequest::from_bytes(Bytes::copy_from_slice(bytes), &bounds).is_some()
    };
    let bytes = plain();
    let mut plain = 0;
    for at in 0..bytes.len() {
        for value in [bytes[at], 0, 1, 2, 0x0a, 0x12, 0x1a, 0x7f, 0x80, 0xff] {
            let mut damaged = bytes.clone();
            damaged[at] = value;
            if is_plain(&damaged, u64::MAX, u64::MAX) {
                let counts = prescan(&damaged, &LimitsConfig::default());
                let counts = counts.expect("what is plain passes the scan");
                let (spans, messages) = (counts.spans, counts.messages());
                assert!(is_plain(&damaged, spans, messages), "{at} {value}");
                if spans > 0 {
                    assert!(!is_plain(&damaged, spans - 1, messages), "{at} {value}");
                    assert!(!is_plain(&damaged, spans, messages - 1), "{at} {value}");
                    plain += 1;
                }
            }
        }
    }
    assert!(plain > bytes.len(), "{plain}");
}

#[test]
fn depth_is_bounded() {
    assert!(prescan(&request(nested(90)), &LimitsConfig::default()).is_err());
    assert_eq!(
        prescan(&request(nested(20)), &LimitsConfig::default())
            .unwrap()
            .value_depth,
        20
    );
    // Far deeper than any stack.
    let deep = (0..300_000).fold(Vec::new(), |inner, _| {
        wrapped(0x2a, &inner[..inner.len().min(3000)])
    });
    assert!(
        prescan(
            &wrapped(
                0x0a,
                &wrapped(0x12, &wrapped(0x12, &wrapped(0x4a, &wrapped(0x12, &deep))))
            ),
            &LimitsConfig::default()
        )
        .is_err()
    );
}
