//! What a block knows of a span beside what the span says: when it arrived, how long it was, and how
//! many it stands for.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::AsArray as _;
use arrow::datatypes::{DataType, Float64Type, Int64Type, UInt32Type};
use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span as Message;
use proptest::prelude::*;
use prost::Message as _;
use storage::block::{
    MemoryBlock, ReadBack, WriteOptions, decode, encode_requests, read_block, store_block,
    write_parquet,
};
use storage::model::{Span, SpanGroup};
use storage::otlp::{PlainRequest, to_resource_spans};
use storage::schema::{fixed_fields, names};

use crate::common::{attribute, contents, group, open, options, prefix, span, text};
use crate::round_trip::{groups, seeded};

pub(crate) fn request(groups: &[SpanGroup], received_s: Option<i64>) -> PlainRequest {
    let message = ExportTraceServiceRequest {
        resource_spans: to_resource_spans(groups),
    };
    let (plain, rejected) = PlainRequest::read(message.encode_to_vec().into()).unwrap();
    assert!(rejected.is_empty());
    plain.arrived(received_s)
}

/// The messages of all spans of some groups, in their order.
fn messages(groups: &[SpanGroup]) -> Vec<Message> {
    let resources = to_resource_spans(groups).into_iter();
    let scopes = resources.flat_map(|resource| resource.scope_spans);
    scopes.flat_map(|scope| scope.spans).collect()
}

/// Arrival, length and weight of a row.
pub(crate) type Received = (Option<i64>, Option<u32>, Option<f64>);

pub(crate) fn received(block: &MemoryBlock) -> Vec<Received> {
    let rows = block.batches.iter().flat_map(|batch| {
        let column = |name| batch.column_by_name(name).unwrap();
        let seconds = column(names::RECEIVED_S).as_primitive::<Int64Type>();
        let lengths = column(names::RECEIVED_BYTES).as_primitive::<UInt32Type>();
        let weights = column(names::SAMPLING_WEIGHT).as_primitive::<Float64Type>();
        let rows = seconds.iter().zip(lengths.iter()).zip(weights.iter());
        rows.map(|((second, length), weight)| (second, length, weight))
            .collect::<Vec<_>>()
    });
    rows.collect()
}

fn sampled(id: u64, trace_state: &str) -> Span {
    Span {
        trace_state: trace_state.to_owned(),
        ..span(1, id, 0, 1_000 * id as i64)
    }
}

#[tokio::test]
async fn arrival_length_and_weight_come_back_from_a_file() {
    let spans = [
        sampled(1, "ot=th:8"),
        sampled(2, ""),
        sampled(3, "a=b,ot=th:c;rv:ffffffffffffff"),
        sampled(4, "ot=th:0"),
        sampled(5, "ot=th:8;"),
        sampled(6, "ot=th:fd70a4"),
    ];
    let arrivals = [Some(7), Some(-3), None, Some(0), Some(i64::MAX), Some(7)];
    let weights = [
        Some(2.0),
        None,
        Some(4.0),
        None,
        None,
        Some(16_777_216.0 / f64::from(0x0100_0000 - 0x00fd_70a4)),
    ];
    let requests: Vec<PlainRequest> = spans
        .iter()
        .zip(arrivals)
        .map(|(span, arrival)| request(&[group("shop", vec![span.clone()])], arrival))
        .collect();
    // The times of spans move, and their arrival does not.
    let block = encode_requests(&requests, 5, &options()).unwrap();
    let lengths = messages(&[group("shop", spans.to_vec())]);
    let lengths = lengths.iter().map(|span| span.encoded_len() as u32);
    let expected: Vec<Received> = arrivals
        .into_iter()
        .zip(lengths)
        .zip(weights)
        .map(|((arrival, length), weight)| (arrival, Some(length), weight))
        .collect();
    assert_eq!(received(&block), expected);

    let store = Arc::new(object_store::memory::InMemory::new()) as _;
    let small = WriteOptions {
        page_rows: 2,
        ..WriteOptions::default()
    };
    let written = write_parquet(&block, &small).unwrap();
    let meta = store_block(&store, &prefix(), written, ReadBack::Verify).await;
    let read = read_block(&open(&store, &meta.unwrap())).await.unwrap();
    assert_eq!(received(&read), expected);
    // They are not said by the span.
    let mut later = spans.to_vec();
    later.iter_mut().for_each(|span| span.shift(5));
    assert_eq!(
        contents(&decode(&read).unwrap()),
        contents(&[group("shop", later)])
    );
}

#[test]
fn spans_that_never_came_as_a_message_have_neither_arrival_nor_length() {
    let block = crate::common::block(&[group("shop", vec![sampled(1, "ot=th:8")])]);
    assert_eq!(received(&block), [(None, None, Some(2.0))]);
}

/// Fields that nobody knows, and those that say nothing, are part of what was received.
#[test]
fn a_length_is_that_of_the_message_as_it_came() {
    let groups = [group("shop", vec![span(1, 1, 0, 1_000)])];
    let mut span = messages(&groups)[0].encode_to_vec();
    span.extend([0x30, 0, 0x98, 6, 1]);
    let field = |number: u8, content: &[u8]| {
        let mut out = vec![number << 3 | 2];
        prost::encoding::encode_varint(content.len() as u64, &mut out);
        out.extend_from_slice(content);
        out
    };
    let bytes = field(1, &field(2, &field(2, &span)));
    let (plain, _) = PlainRequest::read(Bytes::from(bytes)).unwrap();
    let block = encode_requests([&plain], 0, &options()).unwrap();
    let length = u32::try_from(span.len()).unwrap();
    assert_eq!(received(&block), [(None, Some(length), None)]);
}

#[test]
fn of_equal_spans_the_first_known_arrival_stays() {
    let mut spans = vec![span(1, 1, 0, 1_000)];
    spans[0].attributes = vec![
        text("k", "v"),
        attribute("n", storage::model::AnyValue::Int(1)),
    ];
    let groups = [group("shop", spans)];
    let arrived = |arrivals: &[Option<i64>]| {
        let requests = arrivals.iter().map(|second| request(&groups, *second));
        let requests: Vec<_> = requests.collect();
        let block = encode_requests(&requests, 0, &options()).unwrap();
        let rows = received(&block);
        assert_eq!(rows.len(), 1);
        rows[0].0
    };
    assert_eq!(arrived(&[None, None]), None);
    assert_eq!(arrived(&[Some(9), Some(8), Some(10)]), Some(8));
    assert_eq!(arrived(&[None, Some(8), None, Some(9)]), Some(8));
    assert_eq!(arrived(&[Some(-1), Some(0)]), Some(-1));
}

/// What is known of arrivals outlives compaction, of traces that are copied and of those that are joined; of
/// a span in two blocks the first arrival stays.
#[tokio::test]
async fn compaction_keeps_arrivals() {
    let store: Arc<dyn object_store::ObjectStore> = Arc::new(object_store::memory::InMemory::new());
    let alone = group("shop", vec![sampled(1, "ot=th:8")]);
    let twice = || span(7, 2, 0, 2_000);
    let joined = |id| group("shop", vec![span(7, id, 0, 1_000 * id as i64), twice()]);
    let requests = [
        vec![request(&[alone], Some(10)), request(&[joined(3)], Some(11))],
        vec![request(&[joined(4)], Some(20))],
    ];
    let mut inputs = Vec::new();
    for requests in requests {
        let block = encode_requests(&requests, 0, &options()).unwrap();
        let written = write_parquet(&block, &WriteOptions::default()).unwrap();
        let meta = store_block(&store, &prefix(), written, ReadBack::Verify).await;
        inputs.push(meta.unwrap());
    }
    let rewrite = storage::compaction::rewrite::Rewrite {
        inputs: &inputs,
        window_length_s: 3_600,
        piece_bits: 0,
        without: Arc::default(),
        options: WriteOptions::default(),
        read_back: ReadBack::Verify,
        workers: &storage::compaction::workers::Workers::start(1).unwrap(),
    };
    let rewritten = rewrite
        .run(&store, &prefix(), &crate::common::random())
        .await
        .unwrap();
    let read = read_block(&open(&store, &rewritten.outputs[0]))
        .await
        .unwrap();
    let seconds: Vec<Option<i64>> = received(&read).iter().map(|row| row.0).collect();
    assert_eq!(seconds, [Some(10), Some(11), Some(11), Some(20)]);
    assert!(
        received(&read)
            .iter()
            .all(|row| row.1.is_some_and(|bytes| bytes > 20))
    );
    assert_eq!(received(&read)[0].2, Some(2.0));
}

/// A span once more with fields that say nothing: equal, and longer.
fn longer(groups: &[SpanGroup], by: usize) -> PlainRequest {
    let mut bytes = Vec::new();
    for mut resource in to_resource_spans(groups) {
        let scopes = std::mem::take(&mut resource.scope_spans);
        let mut resource = resource.encode_to_vec();
        for mut scope in scopes {
            let spans = std::mem::take(&mut scope.spans);
            let mut scope = scope.encode_to_vec();
            for span in spans {
                let mut span = span.encode_to_vec();
                span.extend([0x98, 6, 1].repeat(by));
                prost::encoding::bytes::encode(2, &span, &mut scope);
            }
            prost::encoding::bytes::encode(2, &scope, &mut resource);
        }
        prost::encoding::bytes::encode(1, &resource, &mut bytes);
    }
    PlainRequest::read(bytes.into()).unwrap().0
}

/// The least arrival that is known, and the least length among those of that arrival, of equal spans.
fn first(all: &[(Option<i64>, u32)]) -> (Option<i64>, u32) {
    let second = all.iter().filter_map(|(second, _)| *second).min();
    let lengths = all.iter().filter(|(other, _)| *other == second);
    (second, lengths.map(|(_, length)| *length).min().unwrap())
}

proptest! {
    #![proptest_config(seeded())]

    #[test]
    fn the_order_of_equal_spans_does_not_matter(
        groups in groups(),
        sent in prop::collection::vec((any::<prop::sample::Index>(), prop::option::of(-2i64..3), 0usize..3), 1..30),
        order in prop::collection::vec(any::<prop::sample::Index>(), 40),
    ) {
        let mut single: Vec<SpanGroup> = Vec::new();
        for group in &groups {
            for span in &group.spans {
                single.push(SpanGroup { spans: vec![span.clone()], ..group.clone() });
            }
        }
        let mut requests = Vec::new();
        let mut copies: BTreeMap<String, Vec<(Option<i64>, u32)>> = BTreeMap::new();
        for (which, received_s, padding) in sent {
            let one = std::slice::from_ref(which.get(&single));
            let length = messages(one)[0].encoded_len() + 3 * padding;
            let copies = copies.entry(contents(one).remove(0)).or_default();
            copies.push((received_s, u32::try_from(length).unwrap()));
            requests.push(longer(one, padding).arrived(received_s));
        }
        let options = options();
        let expected = encode_requests(&requests, 0, &options).unwrap();
        for (i, other) in order.iter().enumerate() {
            let (i, other) = (i % requests.len(), other.index(requests.len()));
            requests.swap(i, other);
        }
        let shuffled = encode_requests(&requests, 0, &options).unwrap();
        prop_assert_eq!(&shuffled.meta, &expected.meta);
        prop_assert_eq!(&shuffled.batches, &expected.batches);

        let mut found: Vec<_> = received(&expected).iter().map(|row| (row.0, row.1.unwrap())).collect();
        let mut firsts: Vec<_> = copies.values().map(|all| first(all)).collect();
        found.sort_unstable();
        firsts.sort_unstable();
        prop_assert_eq!(found, firsts);
    }
}

#[test]
fn optional_columns_are_nullable_and_of_their_types() {
    let fields = fixed_fields();
    let types = names::OPTIONAL.map(|name| {
        let field = fields.iter().find(|field| field.name() == name).unwrap();
        assert!(field.is_nullable());
        field.data_type().clone()
    });
    let expected = [DataType::Int64, DataType::UInt32, DataType::Float64];
    assert_eq!(types, expected);
}
