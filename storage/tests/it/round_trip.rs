//! Spans come out of a block as they went in, whatever they look like.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use crate::common::{attribute, block, contents, group, load, open, samples, span, stored, text};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use storage::block::meta::{AttributeScope, ValueType};
use storage::block::{WriteOptions, decode, encode, read_block};
use storage::ids::{SpanId, TraceId};
use storage::model::{
    AnyValue, Attribute, Event, InstrumentationScope, Link, Resource, Span, SpanGroup,
};
use storage::otlp::{from_request, to_resource_spans};

fn small() -> WriteOptions {
    WriteOptions {
        row_group_rows: 7,
        page_rows: 3,
        zstd_level: 1,
    }
}

async fn through_file(groups: &[SpanGroup], write: &WriteOptions) -> Vec<SpanGroup> {
    let (store, meta) = stored(groups, write).await;
    decode(&read_block(&open(&store, &meta)).await.unwrap()).unwrap()
}

fn any_value() -> impl Strategy<Value = AnyValue> {
    let leaf = prop_oneof![
        Just(AnyValue::Empty),
        "[a-c]{0,3}".prop_map(AnyValue::String),
        "\\PC{0,8}".prop_map(AnyValue::String),
        any::<bool>().prop_map(AnyValue::Bool),
        any::<i64>().prop_map(AnyValue::Int),
        prop_oneof![any::<f64>(), Just(-0.0), Just(f64::NAN)].prop_map(AnyValue::Double),
        prop::collection::vec(any::<u8>(), 0..5).prop_map(AnyValue::Bytes),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(AnyValue::Array),
            prop::collection::vec((key(), inner), 0..3).prop_map(|list| {
                let list = list.into_iter().map(|(key, value)| Attribute {
                    key: key.into(),
                    value,
                });
                AnyValue::KeyValueList(list.collect())
            }),
        ]
    })
}

/// Few keys, so that they repeat inside lists, differ only in case, and look like column names.
fn key() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            "",
            "a",
            "A",
            "a:int",
            "a:string",
            "a~2",
            "service.name",
            "attributes",
            "name",
            "b\n",
        ])
        .prop_map(str::to_owned),
        "\\PC{1,4}",
    ]
}

fn attributes() -> impl Strategy<Value = Vec<Attribute>> {
    let attribute = (key(), any_value()).prop_map(|(key, value)| Attribute {
        key: key.into(),
        value,
    });
    prop::collection::vec(attribute, 0..6)
}

fn one_span() -> impl Strategy<Value = Span> {
    let ids = (1u8..4, 1u8..8, 0u8..8);
    let texts = ("[a-c]{0,2}", "[a-c]{0,2}", "\\PC{0,3}");
    let numbers = (any::<u32>(), -2i32..9, -2i32..5, 0u32..3);
    let times = prop_oneof![(0i64..5_000_000_000, -5i64..5_000), Just((i64::MAX - 3, 3))];
    let event = (0i64..100, "[a-b]{0,2}", attributes(), 0u32..2).prop_map(
        |(time_ns, name, attributes, dropped_attributes_count)| Event {
            time_ns,
            name,
            attributes,
            dropped_attributes_count,
        },
    );
    let link = (1u8..9, 1u8..9, "[a-b]{0,2}", attributes(), any::<u32>()).prop_map(
        |(trace, span, trace_state, attributes, flags)| Link {
            trace_id: TraceId([trace; 16]),
            span_id: SpanId([span; 8]),
            trace_state,
            attributes,
            dropped_attributes_count: flags % 3,
            flags,
        },
    );
    let lists = (
        prop::collection::vec(event, 0..3),
        prop::collection::vec(link, 0..3),
    );
    (ids, texts, numbers, times, attributes(), lists).prop_map(
        |(ids, texts, numbers, (start_ns, length), attributes, (events, links))| Span {
            trace_id: TraceId([ids.0; 16]),
            span_id: SpanId([ids.1; 8]),
            parent_span_id: (ids.2 != 0).then_some(SpanId([ids.2; 8])),
            trace_state: texts.0,
            flags: numbers.0,
            name: texts.1,
            kind: numbers.1,
            start_ns,
            end_ns: (start_ns + length).max(0),
            attributes,
            dropped_attributes_count: numbers.3,
            events,
            dropped_events_count: numbers.3 / 2,
            links,
            dropped_links_count: numbers.3,
            status_code: numbers.2,
            status_message: texts.2,
        },
    )
}

pub(crate) fn groups() -> impl Strategy<Value = Vec<SpanGroup>> {
    let entities = prop::collection::vec(Just(vec![18u8, 1, 120]), 0..2);
    let resource =
        (attributes(), 0u32..2, "[u]{0,1}", entities).prop_map(|(a, dropped, url, refs)| {
            Arc::new(Resource {
                attributes: a,
                dropped_attributes_count: dropped,
                schema_url: url,
                entity_refs: refs,
            })
        });
    let scope = ("[l]{0,1}", "[1]{0,1}", attributes(), 0u32..2, "[u]{0,1}").prop_map(
        |(name, version, attributes, dropped_attributes_count, schema_url)| {
            let scope = InstrumentationScope {
                name,
                version,
                attributes,
                dropped_attributes_count,
                schema_url,
            };
            Arc::new(scope)
        },
    );
    let group = (resource, scope, prop::collection::vec(one_span(), 1..6)).prop_map(
        |(resource, scope, spans)| SpanGroup {
            resource,
            scope,
            spans,
        },
    );
    prop::collection::vec(group, 1..5)
}

/// A new seed each time, which a failing test shows; `SPANDREL_SEED` repeats one.
pub(crate) fn seeded() -> ProptestConfig {
    let given = std::env::var("SPANDREL_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or_else(|| RandomState::new().hash_one(0));
    eprintln!("SPANDREL_SEED={seed}");
    ProptestConfig {
        cases: 64,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(seed),
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(seeded())]

    #[test]
    fn any_spans(groups in groups()) {
        let expected = contents(&groups);
        prop_assert_eq!(&contents(&decode(&block(&groups)).unwrap()), &expected);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let read = runtime.block_on(through_file(&groups, &small()));
        prop_assert_eq!(&contents(&read), &expected);
        // Out over OTLP and in again.
        let request = ExportTraceServiceRequest { resource_spans: to_resource_spans(&read) };
        let decoded = from_request(request);
        prop_assert!(decoded.rejected.is_empty());
        prop_assert_eq!(&contents(&decoded.groups), &expected);
    }

    #[test]
    fn any_order_of_arrival_gives_the_same_block(
        groups in groups(),
        order in prop::collection::vec(any::<prop::sample::Index>(), 40),
    ) {
        let options = crate::common::options();
        let expected = encode(&groups, &options).unwrap();
        let mut single: Vec<SpanGroup> = Vec::new();
        for group in &groups {
            for span in &group.spans {
                single.push(SpanGroup { spans: vec![span.clone()], ..group.clone() });
            }
        }
        for (i, other) in order.iter().enumerate() {
            let i = i % single.len();
            let other = other.index(single.len());
            single.swap(i, other);
        }
        // A repeated delivery changes nothing either.
        single.push(single[0].clone());
        let shuffled = encode(&single, &options).unwrap();
        prop_assert_eq!(&shuffled.meta, &expected.meta);
        prop_assert_eq!(&shuffled.batches, &expected.batches);
    }
}

#[test]
fn recorded_traces() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    for path in samples() {
        let groups = load(&path);
        let spans: usize = groups.iter().map(|group| group.spans.len()).sum();
        let write = WriteOptions {
            row_group_rows: 500,
            page_rows: 100,
            ..WriteOptions::default()
        };
        let read = runtime.block_on(through_file(&groups, &write));
        let expected = contents(&groups);
        assert!(
            expected.len() == spans,
            "{}: {spans} spans, {} different",
            path.display(),
            expected.len()
        );
        assert!(contents(&read) == expected, "{}", path.display());
    }
}

#[test]
fn columns_and_types_are_named() {
    let mut first = span(1, 1, 0, 10);
    first.attributes = vec![
        attribute("k", AnyValue::Int(1)),
        attribute("k", AnyValue::String("second".to_owned())),
        attribute("list", AnyValue::Array(vec![AnyValue::Int(1)])),
    ];
    let mut second = span(1, 2, 1, 11);
    second.attributes = vec![attribute("k", AnyValue::String("x".to_owned()))];
    let mut third = span(1, 3, 1, 12);
    third.attributes = vec![attribute("k", AnyValue::Int(3)), text("K", "upper case")];
    let block = block(&[SpanGroup {
        resource: Arc::default(),
        scope: Arc::default(),
        spans: vec![first, second, third],
    }]);
    let meta = &block.meta;
    let types = |scope, key: &str| {
        let found = meta
            .attributes
            .iter()
            .find(|a| a.scope == scope && &*a.key == key)
            .unwrap();
        let of = |t: &storage::block::meta::AttributeTypeMeta| {
            let column = t.column.as_deref().unwrap_or_default();
            (t.value_type, column.to_owned(), t.count)
        };
        found.types.iter().map(of).collect::<Vec<_>>()
    };
    assert_eq!(
        types(AttributeScope::Span, "k"),
        [
            (ValueType::Int, "span.k~2".to_owned(), 2),
            (ValueType::String, "span.k:string".to_owned(), 1)
        ]
    );
    assert_eq!(
        types(AttributeScope::Span, "K"),
        [(ValueType::String, "span.K".to_owned(), 1)]
    );
    assert_eq!(
        types(AttributeScope::Span, "list"),
        [(ValueType::IntArray, String::new(), 1)]
    );
    assert_eq!(
        types(AttributeScope::Resource, "service.name"),
        [(ValueType::String, "resource.service.name".to_owned(), 0)]
    );
    assert_eq!(meta.services, Some(vec!["".into()]));
    let names: Vec<&str> = block
        .schema
        .fields()
        .iter()
        .map(|f| f.name().as_str())
        .collect();
    assert_eq!(
        names,
        meta.columns.iter().map(|c| &*c.name).collect::<Vec<_>>()
    );
}

#[test]
fn row_groups_end_where_traces_end() {
    let spans = (1..=50).flat_map(|t| (1..=7).map(move |s| span(t, s, s - 1, 1_000 * t as i64)));
    let groups = [group("a", spans.collect())];
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let write = WriteOptions {
        row_group_rows: 100,
        page_rows: 10,
        zstd_level: 1,
    };
    let (store, meta) = runtime.block_on(stored(&groups, &write));
    let filter = runtime
        .block_on(open(&store, &meta).trace_id_filter())
        .unwrap();
    assert_eq!(meta.row_groups.len(), 4);
    assert!(
        meta.row_groups
            .iter()
            .all(|rg| rg.row_count % 7 == 0 && rg.row_count <= 100)
    );
    assert_eq!(meta.row_count, 350);
    assert!((1..=50).all(|trace| filter.contains(crate::common::trace_id(trace))));
    assert!(
        meta.columns
            .iter()
            .all(|column| column.compressed_bytes > 0)
    );
}
