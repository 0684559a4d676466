//! Requests that are kept as bytes mean what their decoded form means, whatever the bytes are.

use arrow::array::RecordBatch;
use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, KeyValue, KeyValueList, any_value::Value,
};
use proptest::prelude::*;
use prost::Message as _;
use storage::block::{MemoryBlock, encode, encode_requests};
use storage::model::SpanGroup;
use storage::otlp::{PlainBounds, PlainRequest, from_request, to_resource_spans};
use storage::schema::names;

use crate::common::{group, options, span, text};
use crate::round_trip::{groups, seeded};

fn request(groups: &[SpanGroup]) -> ExportTraceServiceRequest {
    ExportTraceServiceRequest {
        resource_spans: to_resource_spans(groups),
    }
}

fn is_plain(bytes: &[u8]) -> bool {
    PlainRequest::from_bytes(Bytes::copy_from_slice(bytes), &PlainBounds::NONE).is_some()
}

/// The block of a request by both ways, which must agree; `None` where it has no span, or is none.
fn both_ways(bytes: &[u8], offset_ns: i64) -> Option<MemoryBlock> {
    let read = PlainRequest::read(Bytes::copy_from_slice(bytes));
    let message = ExportTraceServiceRequest::decode(bytes);
    let (Ok((plain, rejected)), Ok(message)) = (&read, &message) else {
        assert!(read.is_err() && message.is_err(), "{read:?} {message:?}");
        return None;
    };
    let mut decoded = from_request(message.clone());
    assert_eq!(rejected, &decoded.rejected);
    assert_eq!(plain.span_count(), decoded.span_count());
    let ends = decoded.groups.iter().flat_map(|group| &group.spans);
    assert_eq!(plain.latest_end_ns(), ends.map(|span| span.end_ns).max());
    if decoded.groups.is_empty() {
        return None;
    }
    for span in decoded.groups.iter_mut().flat_map(|group| &mut group.spans) {
        span.shift(offset_ns);
    }
    let options = options();
    let expected = encode(&decoded.groups, &options).unwrap();
    let block = encode_requests([plain], offset_ns, &options).unwrap();
    assert_eq!(block.meta, expected.meta);
    // Only what came in a message has a length.
    assert_eq!(without_lengths(&block), without_lengths(&expected));
    Some(block)
}

fn without_lengths(block: &MemoryBlock) -> Vec<RecordBatch> {
    let length = block.schema.index_of(names::RECEIVED_BYTES).unwrap();
    let mut batches = block.batches.clone();
    batches.iter_mut().for_each(|batch| {
        batch.remove_column(length);
    });
    batches
}

/// One thing that can happen to bytes.
fn damage(bytes: &mut Vec<u8>, kind: u8, at: prop::sample::Index, other: prop::sample::Index) {
    if bytes.is_empty() {
        return;
    }
    let (at, other) = (at.index(bytes.len()), other.index(bytes.len()));
    let (from, to) = (at.min(other), at.max(other));
    match kind % 6 {
        0 => bytes[at] ^= 1 << (other % 8),
        1 => bytes.truncate(at),
        2 => drop(bytes.drain(from..to.min(from + 9))),
        // A field twice, if it is one.
        3 => {
            let piece = bytes[from..to.min(from + 40)].to_vec();
            bytes.splice(to..to, piece);
        }
        4 => bytes.extend_from_within(at..),
        _ => bytes[at] = other.to_le_bytes()[0],
    }
}

proptest! {
    #![proptest_config(seeded())]

    #[test]
    fn valid_requests_are_kept_as_they_are(
        groups in groups(),
        offset_ns in prop_oneof![Just(0), -1_000i64..1_000, Just(i64::MAX)],
    ) {
        let bytes = request(&groups).encode_to_vec();
        prop_assert!(is_plain(&bytes));
        both_ways(&bytes, offset_ns);
    }

    #[test]
    fn damaged_requests_mean_the_same_both_ways(
        groups in groups(),
        damages in prop::collection::vec((any::<u8>(), any::<prop::sample::Index>(), any::<prop::sample::Index>()), 1..40),
    ) {
        let bytes = request(&groups).encode_to_vec();
        for (kind, at, other) in damages {
            let mut damaged = bytes.clone();
            damage(&mut damaged, kind, at, other);
            both_ways(&damaged, 0);
            damage(&mut damaged, kind / 6, other, at);
            both_ways(&damaged, 0);
        }
    }

    #[test]
    fn any_bytes_are_a_request_both_ways_or_neither(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        both_ways(&bytes, 0);
    }
}

/// A field with these bytes.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    prost::encoding::encode_varint(content.len() as u64, &mut out);
    out.extend_from_slice(content);
    out
}

/// A request with one span, which has these bytes after its ids.
fn with_span(more: &[u8]) -> Vec<u8> {
    let span = [field(1, &[7; 16]), field(2, &[8; 8]), more.to_vec()].concat();
    field(1, &field(2, &field(2, &span)))
}

#[test]
fn what_stands_twice_is_merged_as_protobuf_says() {
    let status = |code: u8| field(15, &[0x18, code]);
    let message = field(15, &field(2, b"why"));
    let key_value = |value: &[u8]| field(9, &[field(1, b"k"), field(2, value)].concat());
    let array = |text: &[u8]| field(5, &field(1, &field(1, text)));
    let resource = |attribute: &[u8]| field(1, &field(1, &[field(1, attribute)].concat()));
    let span = field(
        2,
        &field(2, &[field(1, &[7; 16]), field(2, &[8; 8])].concat()),
    );
    let merged = [
        with_span(&[status(1), message.clone(), status(2)].concat()),
        with_span(&[message, status(1)].concat()),
        with_span(&key_value(&[field(1, b"text"), vec![0x10, 1]].concat())),
        with_span(&key_value(&[array(b"a"), array(b"b")].concat())),
        field(1, &[resource(b"a"), span.clone(), resource(b"b")].concat()),
    ];
    for bytes in merged {
        assert!(!is_plain(&bytes), "{bytes:?}");
        assert!(both_ways(&bytes, 0).is_some());
    }
    // A scalar counts as its last, and the resource may come after its spans.
    let plain = [
        with_span(
            &[
                field(5, b"first"),
                field(5, b"second"),
                vec![0x30, 1, 0x30, 2],
            ]
            .concat(),
        ),
        field(1, &[span, resource(b"a")].concat()),
        with_span(&key_value(&[])),
        with_span(&field(9, &[])),
        // An index into a table of strings, fields that nobody knows, a parent of zeros.
        with_span(&key_value(&[0x40, 3])),
        with_span(&[vec![0xe2, 3, 2, b'n', b'o', 0x98, 6, 1], field(4, &[0; 8])].concat()),
        with_span(&[
            0x30, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1,
        ]),
    ];
    for bytes in plain {
        assert!(is_plain(&bytes), "{bytes:?}");
        assert!(both_ways(&bytes, 0).is_some());
    }
}

#[test]
fn what_is_not_valid_is_left_out_both_ways() {
    let too_late = |field: u8| [vec![field << 3 | 1], vec![0xff; 8]].concat();
    let link = |ids: &[u8]| field(13, ids);
    let invalid = [
        field(1, &field(2, &field(2, &field(1, &[7; 16])))),
        with_span(&field(1, &[0; 16])),
        with_span(&field(2, b"short")),
        with_span(&field(4, b"short")),
        with_span(&too_late(7)),
        with_span(&too_late(8)),
        with_span(&field(11, &too_late(1))),
        with_span(&link(&field(1, &[1; 16]))),
        with_span(&link(&[field(1, &[1; 16]), field(2, &[0; 8])].concat())),
    ];
    for bytes in invalid {
        assert!(!is_plain(&bytes), "{bytes:?}");
        assert!(both_ways(&bytes, 0).is_none());
    }
}

#[test]
fn values_may_be_as_deep_as_decoders_go() {
    let nested = |levels: u32, map: bool| {
        let mut value = AnyValue {
            value: Some(Value::IntValue(1)),
        };
        for _ in 0..levels {
            let inner = if map {
                Value::KvlistValue(KeyValueList {
                    values: vec![KeyValue {
                        value: Some(value),
                        ..KeyValue::default()
                    }],
                })
            } else {
                Value::ArrayValue(ArrayValue {
                    values: vec![value],
                })
            };
            value = AnyValue { value: Some(inner) };
        }
        field(
            9,
            &[field(1, b"k"), field(2, &value.encode_to_vec())].concat(),
        )
    };
    for levels in 0..60 {
        both_ways(&with_span(&nested(levels, false)), 0);
        both_ways(&with_span(&nested(levels, true)), 0);
    }
    assert!(both_ways(&with_span(&nested(45, false)), 0).is_some());
    both_ways(&with_span(&nested(200, true)), 0);
}

#[test]
fn bounds_are_kept() {
    let mut one = span(1, 1, 0, 1_000);
    one.attributes = vec![text("key", "value"), text("k", "v")];
    let bytes = Bytes::from(request(&[group("shop", vec![one])]).encode_to_vec());
    let plain = |bounds: PlainBounds| PlainRequest::from_bytes(bytes.clone(), &bounds).is_some();
    let none = PlainBounds::NONE;
    assert!(plain(none.clone()));
    // The key of the resource is longer: `service.name`.
    assert!(plain(PlainBounds {
        key_len: 12,
        value_len: 5,
        ..none.clone()
    }));
    assert!(!plain(PlainBounds {
        key_len: 11,
        ..none.clone()
    }));
    assert!(!plain(PlainBounds {
        value_len: 4,
        ..none.clone()
    }));
    assert!(plain(PlainBounds {
        span_attributes: 2,
        resource_attributes: 1,
        ..none.clone()
    }));
    assert!(!plain(PlainBounds {
        span_attributes: 1,
        ..none.clone()
    }));
    assert!(!plain(PlainBounds {
        resource_attributes: 0,
        ..none.clone()
    }));
    assert!(plain(PlainBounds {
        start_ns: 1_000,
        ..none.clone()
    }));
    assert!(!plain(PlainBounds {
        start_ns: 999,
        ..none.clone()
    }));
    assert!(!plain(PlainBounds {
        span_len: 40,
        ..none
    }));
}

#[test]
fn bounds_of_lists_and_depth_are_kept() {
    let value = field(2, &field(5, &field(1, &field(6, &[]))));
    let event = field(11, &field(3, &[field(1, b"k"), value].concat()));
    let link = field(13, &[field(1, &[1; 16]), field(2, &[1; 8])].concat());
    let bytes = Bytes::from(with_span(&[event.clone(), event, link].concat()));
    let plain = |bounds: PlainBounds| PlainRequest::from_bytes(bytes.clone(), &bounds).is_some();
    let none = PlainBounds::NONE;
    assert!(plain(PlainBounds {
        events: 2,
        links: 1,
        event_attributes: 1,
        value_depth: 2,
        ..none.clone()
    }));
    assert!(!plain(PlainBounds {
        events: 1,
        ..none.clone()
    }));
    assert!(!plain(PlainBounds {
        links: 0,
        ..none.clone()
    }));
    assert!(!plain(PlainBounds {
        event_attributes: 0,
        ..none.clone()
    }));
    assert!(!plain(PlainBounds {
        value_depth: 1,
        ..none
    }));
}
