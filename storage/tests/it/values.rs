//! The values of an attribute are those that its spans have, read from little.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use crate::common::{attribute, block, group, load, open, samples, span, stored, text};
use storage::block::meta::{AttributeScope, BlockMeta};
use storage::block::{Value, ValueLimits, ValueSource, WriteOptions, live_values, read_values};
use storage::model::{AnyValue, Attribute, Event, Link, Span, SpanGroup};
use storage::schema::names;

const ALWAYS: RangeInclusive<i64> = i64::MIN..=i64::MAX;

/// What the model says: the values of the first attribute of the key in each list.
pub(crate) fn expected(
    groups: &[SpanGroup],
    source: &ValueSource,
    starts: &RangeInclusive<i64>,
) -> BTreeSet<Value> {
    let mut out = BTreeSet::new();
    let mut add = |list: &[Attribute], key: &str| {
        let mut scalars = |value: &AnyValue| match value {
            AnyValue::String(text) => drop(out.insert(Value::String(text.clone()))),
            AnyValue::Int(value) => drop(out.insert(Value::Int(*value))),
            AnyValue::Double(value) => drop(out.insert(Value::Double(*value))),
            AnyValue::Bool(value) => drop(out.insert(Value::Bool(*value))),
            _ => {}
        };
        match list
            .iter()
            .find(|attribute| attribute.key.as_ref() == key)
            .map(|a| &a.value)
        {
            Some(AnyValue::Array(values)) => values.iter().for_each(&mut scalars),
            Some(value) => scalars(value),
            None => {}
        }
    };
    let mut named = BTreeSet::new();
    for group in groups {
        for span in group
            .spans
            .iter()
            .filter(|span| starts.contains(&span.start_ns))
        {
            match source {
                ValueSource::Column(_) => {
                    named.insert(Value::String(span.name.clone()));
                }
                ValueSource::EventName => {
                    let names = span.events.iter().map(|event| event.name.clone());
                    named.extend(names.map(Value::String));
                }
                ValueSource::Attribute { scope, key } => match scope {
                    AttributeScope::Resource => add(&group.resource.attributes, key),
                    AttributeScope::Instrumentation => add(&group.scope.attributes, key),
                    AttributeScope::Span => add(&span.attributes, key),
                    AttributeScope::Event => {
                        span.events
                            .iter()
                            .for_each(|event| add(&event.attributes, key));
                    }
                    AttributeScope::Link => {
                        span.links
                            .iter()
                            .for_each(|link| add(&link.attributes, key));
                    }
                },
            }
        }
    }
    named.extend(out);
    named
}

fn sources(meta: &BlockMeta) -> Vec<ValueSource> {
    let attributes = meta
        .attributes
        .iter()
        .map(|attribute| ValueSource::Attribute {
            scope: attribute.scope,
            key: attribute.key.to_string(),
        });
    let fields = [ValueSource::Column(names::NAME), ValueSource::EventName];
    attributes.chain(fields).collect()
}

async fn check(groups: &[SpanGroup], what: &str) {
    let live = block(groups);
    let write = WriteOptions {
        row_group_rows: 400,
        page_rows: 50,
        zstd_level: 1,
    };
    let (store, meta) = stored(groups, &write).await;
    let file = open(&store, &meta);
    let middle = meta.min_start_ns + (meta.max_start_ns - meta.min_start_ns) / 2;
    let ranges = [ALWAYS, middle..=i64::MAX, meta.min_start_ns..=middle, 0..=0];
    for source in sources(&meta) {
        for range in &ranges {
            let expected = expected(groups, &source, range);
            let none = ValueLimits::NONE;
            let read = read_values(file.clone(), &source, range.clone(), none).await;
            assert_eq!(
                read.unwrap().into_values(),
                expected,
                "{what}: {source:?} {range:?}"
            );
            let found = live_values(&live, &source, range.clone(), none).unwrap();
            assert_eq!(
                found.into_values(),
                expected,
                "{what} live: {source:?} {range:?}"
            );
        }
    }
}

#[tokio::test]
async fn recorded_traces() {
    for path in samples() {
        check(&load(&path), &path.display().to_string()).await;
    }
}

/// Every type, in columns and beside them.
fn every_type() -> Vec<SpanGroup> {
    let spans = (1..=900).map(|number: u64| {
        let n = i64::try_from(number).unwrap();
        let mut attributes = vec![
            text("unique", &format!("value {number} of many")),
            attribute("int", AnyValue::Int(n % 5)),
            attribute(
                "double",
                AnyValue::Double([0.5, f64::NAN, -0.0][number as usize % 3]),
            ),
            attribute("bool", AnyValue::Bool(n % 2 == 0)),
            attribute(
                "mixed",
                if n % 7 == 0 {
                    AnyValue::Int(n)
                } else {
                    AnyValue::String("x".to_owned())
                },
            ),
            attribute(
                "list",
                AnyValue::Array(vec![AnyValue::Int(n % 3), AnyValue::Bool(true)]),
            ),
            attribute("map", AnyValue::KeyValueList(Vec::new())),
        ];
        if n % 300 == 0 {
            attributes.push(text("rare", &format!("r{n}")));
            attributes.push(attribute("rare number", AnyValue::Double(1.5)));
        }
        let of_event = vec![
            text("message", &format!("m{}", n % 4)),
            attribute("code", AnyValue::Int(n % 2)),
        ];
        let of_link = vec![attribute("kind", AnyValue::Bool(n % 900 == 0))];
        Span {
            attributes,
            events: vec![
                Event {
                    name: format!("e{}", n % 3),
                    attributes: of_event,
                    ..Event::default()
                };
                (n % 3) as usize
            ],
            links: vec![
                Link {
                    attributes: of_link,
                    ..Link::default()
                };
                (n % 2) as usize
            ],
            ..span(number / 3, number, 0, n * 1_000_000)
        }
    });
    vec![group("shop", spans.collect())]
}

#[tokio::test]
async fn every_type_of_value() {
    check(&every_type(), "every type").await;
}

#[tokio::test]
async fn values_come_from_dictionaries() {
    let spans = (1..=60_000u64).map(|number| {
        let mut span = span(number, number, 0, number as i64 * 1_000_000);
        span.attributes = vec![text(
            "route",
            &format!("/some/route/{}", number * 7919 % 500),
        )];
        span
    });
    let (store, meta) = stored(&[group("shop", spans.collect())], &WriteOptions::default()).await;
    let file = open(&store, &meta);
    let source = ValueSource::Attribute {
        scope: AttributeScope::Span,
        key: "route".to_owned(),
    };
    let bytes_of = |range: RangeInclusive<i64>| {
        let (file, source) = (file.clone(), source.clone());
        async move {
            let before = (file.counters().bytes(), file.counters().requests());
            let set = read_values(file.clone(), &source, range, ValueLimits::NONE)
                .await
                .unwrap();
            assert_eq!(set.into_values().len(), 500);
            (
                file.counters().bytes() - before.0,
                file.counters().requests() - before.1,
            )
        }
    };
    // Once the chunk is verified, its dictionary is all that is read.
    bytes_of(ALWAYS).await;
    let (dictionary, requests) = bytes_of(ALWAYS).await;
    let (rows, _) = bytes_of(1_000_000..=59_000_000_000).await;
    assert_eq!(requests, 1);
    assert!(
        dictionary * 10 < rows,
        "{dictionary} bytes of dictionary, {rows} of rows"
    );
}

#[tokio::test]
async fn limits_end_the_reading() {
    let groups = every_type();
    let (store, meta) = stored(&groups, &WriteOptions::default()).await;
    let file = open(&store, &meta);
    let limits = ValueLimits {
        values: 10,
        ..ValueLimits::NONE
    };
    for key in ["unique", "message", "nothing"] {
        let scope = if key == "message" {
            AttributeScope::Event
        } else {
            AttributeScope::Span
        };
        let source = ValueSource::Attribute {
            scope,
            key: key.to_owned(),
        };
        let set = read_values(file.clone(), &source, ALWAYS, limits)
            .await
            .unwrap();
        assert_eq!(set.is_full(), key == "unique", "{key}");
        let live = live_values(&block(&groups), &source, ALWAYS, limits).unwrap();
        assert_eq!(live.is_full(), key == "unique", "{key}");
        assert!(live.into_values().len() <= 10);
    }
}
