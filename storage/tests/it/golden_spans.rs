//! The spans of the golden blocks: every kind of value in every place, and what is seldom set.

use std::sync::Arc;

use crate::common::{attribute, span, span_id, text, trace_id};
use storage::model::{
    AnyValue, Attribute, Event, InstrumentationScope, Link, Resource, Span, SpanGroup,
};

/// Start of the first span, ns since the epoch.
const START_NS: i64 = 1_750_000_000_000_000_000;

/// A value of each kind.
fn kinds() -> Vec<(&'static str, AnyValue)> {
    let number = AnyValue::Int;
    let word = |word: &str| AnyValue::String(word.to_owned());
    vec![
        ("text", word("käse & wine\n\"quoted\"")),
        ("text.empty", word("")),
        ("text.long", word(&"long ".repeat(40))),
        ("int", number(42)),
        ("int.least", number(i64::MIN)),
        ("int.most", number(i64::MAX)),
        ("double", AnyValue::Double(-0.125)),
        ("double.zero", AnyValue::Double(-0.0)),
        ("double.least", AnyValue::Double(f64::MIN)),
        ("double.tiny", AnyValue::Double(f64::MIN_POSITIVE)),
        ("bool", AnyValue::Bool(true)),
        ("bool.false", AnyValue::Bool(false)),
        ("bytes", AnyValue::Bytes(vec![0, 1, 0xfe, 0xff])),
        ("array.text", AnyValue::Array(vec![word("a"), word("b")])),
        ("array.int", AnyValue::Array(vec![number(-1), number(1)])),
        (
            "array.double",
            AnyValue::Array(vec![AnyValue::Double(0.5), AnyValue::Double(1e300)]),
        ),
        ("array.bool", AnyValue::Array(vec![AnyValue::Bool(false)])),
        (
            "array.mixed",
            AnyValue::Array(vec![word("a"), number(1), AnyValue::Bool(true)]),
        ),
        ("array.empty", AnyValue::Array(Vec::new())),
        (
            "array.nested",
            AnyValue::Array(vec![AnyValue::Array(vec![number(1)])]),
        ),
        (
            "map",
            AnyValue::KeyValueList(vec![
                text("inner", "text"),
                attribute("list", AnyValue::Array(vec![number(7)])),
            ]),
        ),
        ("map.empty", AnyValue::KeyValueList(Vec::new())),
        ("nothing", AnyValue::Empty),
    ]
}

fn all_kinds(prefix: &str) -> Vec<Attribute> {
    let kinds = kinds().into_iter();
    kinds
        .map(|(name, value)| attribute(&format!("{prefix}.{name}"), value))
        .collect()
}

/// Values of some kinds, for places that are stored as others are of which all kinds are there.
fn some_kinds(prefix: &str) -> Vec<Attribute> {
    let mut all = all_kinds(prefix);
    all.retain(|one| {
        let kinds = [".text", ".int", ".double.zero", ".bytes", ".array.text"];
        kinds.iter().any(|kind| one.key.ends_with(kind))
    });
    all
}

/// A span with all there is.
fn full(id: u64) -> Span {
    let mut attributes = all_kinds("span");
    // One key twice, a key too long for a column, and one that no column can be named after.
    attributes.push(text("twice", "first"));
    attributes.push(attribute("twice", AnyValue::Int(2)));
    attributes.push(text(&"k".repeat(300), "of a long key"));
    attributes.push(attribute("with\ttab", AnyValue::Int(9)));
    let event = |name: &str, attributes| Event {
        time_ns: START_NS + 17,
        name: name.to_owned(),
        attributes,
        dropped_attributes_count: 3,
    };
    let link = |to: u64, attributes| Link {
        trace_id: trace_id(to),
        span_id: span_id(to + 1),
        trace_state: "vendor=link".to_owned(),
        attributes,
        dropped_attributes_count: 4,
        flags: 0x101,
    };
    Span {
        trace_state: "vendor=1,other=2".to_owned(),
        flags: 0x301,
        kind: 5,
        attributes,
        dropped_attributes_count: 11,
        events: vec![
            event("exception", all_kinds("event")),
            event("", Vec::new()),
        ],
        dropped_events_count: u32::MAX,
        links: vec![link(900, some_kinds("link")), link(901, Vec::new())],
        dropped_links_count: 13,
        status_code: 2,
        status_message: "it went wrong".to_owned(),
        ..span(1, id, 1, START_NS + 10)
    }
}

/// Spans of one service: trees of traces, and a key whose values have several types.
fn usual(traces: std::ops::Range<u64>) -> Vec<Span> {
    let mut spans = Vec::new();
    for trace in traces {
        for nth in 0..4 {
            let id = trace * 100 + nth;
            let parent = if nth == 0 { 0 } else { trace * 100 + nth / 2 };
            let start_ns = START_NS + i64::try_from(trace).unwrap() * 1_000_000_000;
            let mixed = match id % 5 {
                0 => AnyValue::String(format!("text {}", id % 3)),
                1 => AnyValue::Int(-7),
                2 => AnyValue::Double(2.5),
                3 => AnyValue::Bool(true),
                _ => AnyValue::Array(vec![AnyValue::Int(1), AnyValue::Int(2)]),
            };
            spans.push(Span {
                kind: i32::try_from(nth).unwrap(),
                status_code: i32::from(nth == 3),
                attributes: vec![
                    attribute("mixed", mixed),
                    attribute("http.status_code", AnyValue::Int(200 + 4 * (id as i64 % 2))),
                ],
                ..span(trace, id, parent, start_ns + i64::try_from(nth).unwrap())
            });
        }
    }
    spans
}

/// Spans out of the usual: nothing set, times turned round and far away, no parent to be found, a
/// circle of parents, numbers that no list has.
fn unusual() -> Vec<Span> {
    vec![
        Span {
            name: String::new(),
            end_ns: 0,
            ..span(50, 1, 0, 0)
        },
        Span {
            end_ns: START_NS - 5,
            ..span(51, 1, 0, START_NS)
        },
        Span {
            start_ns: i64::MAX - 1,
            end_ns: i64::MAX,
            ..span(52, 1, 0, START_NS)
        },
        span(53, 2, 777, START_NS),
        span(54, 1, 2, START_NS),
        span(54, 2, 1, START_NS + 1),
        Span {
            kind: -3,
            status_code: 99,
            ..span(55, 1, 1, START_NS)
        },
    ]
}

/// Spans of several services, of one without a name, and of one whose name is a number.
pub(crate) fn several_services() -> Vec<SpanGroup> {
    let scope = InstrumentationScope {
        name: "library".to_owned(),
        version: "1.2.3".to_owned(),
        attributes: some_kinds("scope"),
        dropped_attributes_count: 5,
        schema_url: "https://example.org/scope".to_owned(),
    };
    let mut attributes = vec![text("service.name", "shop")];
    attributes.extend(all_kinds("resource"));
    let shop = Resource {
        attributes,
        dropped_attributes_count: 6,
        schema_url: "https://example.org/resource".to_owned(),
        // Field 2, the type of an entity, and field 3, a key that identifies it.
        entity_refs: vec![b"\x12\x04host\x1a\x07host.id".to_vec()],
    };
    let named = |name: AnyValue| Resource {
        attributes: vec![attribute("service.name", name)],
        ..Resource::default()
    };
    let group = |resource: Resource, scope: &InstrumentationScope, spans| SpanGroup {
        resource: Arc::new(resource),
        scope: Arc::new(scope.clone()),
        spans,
    };
    let none = InstrumentationScope::default();
    let mut of_shop = usual(1..4);
    of_shop.push(full(7));
    let cart = named(AnyValue::String("cart".to_owned()));
    vec![
        group(shop, &scope, of_shop),
        group(cart.clone(), &scope, usual(10..13)),
        group(cart, &none, unusual()),
        group(Resource::default(), &none, usual(20..21)),
        group(named(AnyValue::Int(5)), &none, usual(30..31)),
    ]
}

/// A single span.
pub(crate) fn single_span() -> Vec<SpanGroup> {
    vec![SpanGroup {
        resource: Arc::default(),
        scope: Arc::default(),
        spans: vec![span(80, 1, 0, START_NS)],
    }]
}
