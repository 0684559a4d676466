//! Small traces that break assumptions.
//!
//! Values come from small pools, so that conditions hit and groups have several members. Two things
//! are left out because their meaning depends on the order in which spans are stored: roots of one
//! trace with different names, and parents that cannot be told apart. So are empty arrays. NaN, which engines may order
//! as they like, appears under the key `nan` only.

use std::sync::Arc;

use rand::seq::{IndexedRandom, SliceRandom};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use storage::ids::{SpanId, TraceId};
use storage::model::{
    AnyValue, Attribute, Event, InstrumentationScope, Link, Resource, Span, SpanGroup,
};

use super::resources::attribute;
use crate::reference::Grid;

/// Length of the intervals around whose borders spans start.
pub const NASTY_STEP_NS: i64 = 10_000_000_000;
/// Start of the window; spans start in its intervals, at their borders, and outside.
pub(super) const WINDOW_START_NS: i64 = 1_700_000_000_000_000_000;
const INTERVALS: usize = 4;

/// Texts that string attributes and names take.
pub(super) const STRINGS: &[&str] = &[
    "",
    "x",
    "y",
    "xy",
    "X",
    "1",
    "größe",
    "日本",
    "a b",
    "line\nbreak",
    "\"quoted\"",
    "true",
];
/// Names of spans.
pub(super) const SPAN_NAMES: &[&str] = &["root", "GET /", "x", "", "größe", "query"];
/// Names of services.
pub(super) const SERVICE_NAMES: &[&str] = &["a", "b", "größe", ""];
/// Names of events.
pub(super) const EVENT_NAMES: &[&str] = &["e1", "e2", "exception", ""];

const SERVER: i32 = 2;
const CLIENT: i32 = 3;

/// The grid that goes with [`nasty_traces`].
#[must_use]
pub fn nasty_grid() -> Grid {
    Grid {
        start_ns: WINDOW_START_NS,
        step_ns: NASTY_STEP_NS,
        intervals: INTERVALS,
    }
}

/// `count` traces, in groups whose order says nothing about the traces.
#[must_use]
pub fn nasty_traces(seed: u64, count: usize) -> Vec<SpanGroup> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let resources: Vec<Arc<Resource>> = (0..5)
        .map(|number| Arc::new(resource(&mut rng, number)))
        .collect();
    let scopes: Vec<Arc<InstrumentationScope>> = (0..3)
        .map(|number| Arc::new(scope(&mut rng, number)))
        .collect();
    let mut placed: Vec<(usize, usize, Span)> = Vec::new();
    for number in 0..count {
        // Roots of one trace must not differ in service, so they come from one resource.
        let root_resource = rng.random_range(0..resources.len());
        for span in trace(&mut rng, number) {
            let is_root = span.parent_span_id.is_none();
            let resource = if is_root {
                root_resource
            } else {
                rng.random_range(0..resources.len())
            };
            placed.push((resource, rng.random_range(0..scopes.len()), span));
        }
    }
    placed.shuffle(&mut rng);
    let mut groups: Vec<SpanGroup> = Vec::new();
    while !placed.is_empty() {
        // Cut into runs, so that a resource comes in several groups.
        let run: Vec<_> = placed.drain(..placed.len().min(20)).collect();
        for (resource_index, resource) in resources.iter().enumerate() {
            for (scope_index, scope) in scopes.iter().enumerate() {
                let here = |(resource, scope, _): &&(usize, usize, Span)| {
                    (*resource, *scope) == (resource_index, scope_index)
                };
                let spans: Vec<Span> = run
                    .iter()
                    .filter(here)
                    .map(|(_, _, span)| span.clone())
                    .collect();
                if !spans.is_empty() {
                    groups.push(SpanGroup {
                        resource: Arc::clone(resource),
                        scope: Arc::clone(scope),
                        spans,
                    });
                }
            }
        }
    }
    groups
}

fn resource(rng: &mut ChaCha8Rng, number: usize) -> Resource {
    let mut resource = Resource::default();
    // One resource has no service name at all.
    if let Some(name) = SERVICE_NAMES.get(number) {
        resource.attributes.push(attribute(
            "service.name",
            AnyValue::String((*name).to_owned()),
        ));
    }
    resource.attributes.extend(attributes(rng));
    resource
}

fn scope(rng: &mut ChaCha8Rng, number: usize) -> InstrumentationScope {
    let (name, version) = [("", ""), ("lib", "1.0"), ("größe", "")][number % 3];
    let attributes = attributes(rng);
    InstrumentationScope {
        name: name.to_owned(),
        version: version.to_owned(),
        attributes,
        ..Default::default()
    }
}

/// One trace of a shape that something may stumble over.
fn trace(rng: &mut ChaCha8Rng, number: usize) -> Vec<Span> {
    let mut trace_id = [0; 16];
    // Leading zeros in some ids, and ids that share a prefix.
    let significant = *[1, 8, 16].choose(rng).expect("not empty");
    rng.fill(&mut trace_id[16 - significant..]);
    // The number keeps ids apart, and from zero, which is no id.
    trace_id[14..].copy_from_slice(&(number as u16 + 1).to_be_bytes());
    let mut spans: Vec<Span> = (0..rng.random_range(1..=8))
        .map(|_| span(rng, TraceId(trace_id)))
        .collect();
    for (index, span) in spans.iter_mut().enumerate() {
        // Ids with many zeros, as short ids padded by a converter have.
        span.span_id = SpanId([
            0,
            if rng.random_bool(0.5) { 0 } else { 0xab },
            0,
            0,
            0,
            0,
            0,
            index as u8 + 1,
        ]);
    }
    let is_chain = rng.random_bool(0.2);
    for index in 1..spans.len() {
        let above = if is_chain {
            index - 1
        } else {
            rng.random_range(0..index)
        };
        spans[index].parent_span_id = Some(spans[above].span_id);
    }
    let missing = Some(SpanId([9; 8]));
    let last = spans.len() - 1;
    match rng.random_range(0..12) {
        // A missing parent: at the end, in the middle, instead of the root, or of everything.
        0 => spans[last].parent_span_id = missing,
        1 => spans[last / 2].parent_span_id = missing,
        2 => spans[0].parent_span_id = missing,
        3 if last >= 2 => {
            for span in &mut spans {
                span.parent_span_id = missing;
            }
        }
        // Several roots, with and without something below.
        4 => spans[last].parent_span_id = None,
        5 => spans[last / 2].parent_span_id = None,
        // A cycle, alone or beside a root; for a short trace a span that is its own parent.
        6 => spans[0].parent_span_id = Some(spans[last].span_id),
        7 if last >= 2 => {
            spans[1].parent_span_id = Some(spans[2].span_id);
            spans[2].parent_span_id = Some(spans[1].span_id);
        }
        // Both sides of a call under one id, as Zipkin has it.
        8 if last >= 1 => share_id(rng, &mut spans, 2),
        9 if last >= 2 => share_id(rng, &mut spans, 3),
        // The same span, sent twice.
        10 => spans.push(spans[last].clone()),
        _ => {}
    }
    // Whichever root names the trace, it has one name.
    let root_name = pick(rng, SPAN_NAMES);
    for root in spans
        .iter_mut()
        .filter(|span| span.parent_span_id.is_none())
    {
        root.name.clone_from(&root_name);
    }
    spans
}

/// Gives the last spans of the trace the id of one of them; two of them are client and server.
fn share_id(rng: &mut ChaCha8Rng, spans: &mut [Span], sharing: usize) {
    let first = spans.len() - sharing;
    let (id, parent) = (spans[first].span_id, spans[first].parent_span_id);
    for span in &mut spans[first..] {
        span.span_id = id;
        span.parent_span_id = parent;
    }
    spans[first].kind = CLIENT;
    spans[first + 1].kind = SERVER;
    // A child of the shared id, where there is a span left to be one.
    if first >= 2 && rng.random_bool(0.7) {
        spans[first - 1].parent_span_id =
            Some(id).filter(|_| parent != Some(spans[first - 1].span_id));
        if spans[first - 1].parent_span_id.is_none() {
            spans[first - 1].parent_span_id = Some(spans[0].span_id);
        }
    }
}

fn span(rng: &mut ChaCha8Rng, trace_id: TraceId) -> Span {
    let start_ns = start(rng);
    let end_ns = match rng.random_range(0..12) {
        0 => start_ns,
        1 => start_ns.saturating_sub(1_000_000),
        2 => i64::MAX,
        3 => start_ns + 1,
        _ => {
            start_ns
                + [
                    1_000,
                    1_000_000,
                    1_500_000,
                    2_097_152,
                    100_000_000,
                    1_000_000_000,
                    90_000_000_000,
                ][rng.random_range(0..7)]
        }
    };
    Span {
        trace_id,
        name: pick(rng, SPAN_NAMES),
        // Numbers that OTLP does not define are among them.
        kind: rng.random_range(-1..=6),
        status_code: rng.random_range(-1..=3),
        status_message: if rng.random_bool(0.3) {
            pick(rng, STRINGS)
        } else {
            String::new()
        },
        start_ns,
        end_ns: end_ns.max(0),
        attributes: attributes(rng),
        events: (0..few(rng)).map(|_| event(rng, start_ns)).collect(),
        links: (0..few(rng)).map(|_| link(rng)).collect(),
        ..Span::default()
    }
}

/// On a border of an interval, beside it, within, or far away.
fn start(rng: &mut ChaCha8Rng) -> i64 {
    let border = WINDOW_START_NS + NASTY_STEP_NS * rng.random_range(-1..=INTERVALS as i64 + 1);
    match rng.random_range(0..12) {
        0 => border,
        1 => border + 1,
        2 => border - 1,
        3 => 0,
        _ => WINDOW_START_NS + rng.random_range(0..NASTY_STEP_NS * INTERVALS as i64),
    }
}

/// Mostly none.
fn few(rng: &mut ChaCha8Rng) -> usize {
    if rng.random_bool(0.6) {
        0
    } else {
        rng.random_range(1..=3)
    }
}

fn event(rng: &mut ChaCha8Rng, start_ns: i64) -> Event {
    // Some events come before their span.
    let time_ns = (start_ns
        + [0, 1, -1, 5_000_000, -2_000_000_000, 1_000_000_000][rng.random_range(0..6)])
    .max(0);
    Event {
        time_ns,
        name: pick(rng, EVENT_NAMES),
        attributes: attributes(rng),
        ..Event::default()
    }
}

fn link(rng: &mut ChaCha8Rng) -> Link {
    let mut trace_id = [0; 16];
    trace_id[15] = rng.random_range(1..4);
    let span_id = SpanId([0, 0, 0, 0, 0, 0, 0, rng.random_range(1..4)]);
    Link {
        trace_id: TraceId(trace_id),
        span_id,
        attributes: attributes(rng),
        ..Link::default()
    }
}

/// Attributes with distinct keys. Most keys mostly have one type; all of them are sometimes absent.
fn attributes(rng: &mut ChaCha8Rng) -> Vec<Attribute> {
    let mut attributes = Vec::new();
    for key in [
        "i", "n", "f", "s", "b", "arr", "mixed", "name", "duration", "größe", "a b", "nan",
    ] {
        if rng.random_bool(0.5) {
            let value = match key {
                // Always of one type, if it is there.
                "n" => AnyValue::Int(rng.random_range(-3..=9)),
                _ if rng.random_bool(0.03) => any_value(rng),
                "i" | "duration" => int(rng),
                "f" => float(rng),
                "nan" => AnyValue::Double(if rng.random_bool(0.5) { f64::NAN } else { 1.5 }),
                "s" | "name" | "größe" | "a b" => AnyValue::String(pick(rng, STRINGS)),
                "b" => AnyValue::Bool(rng.random()),
                "arr" => array(rng),
                _ => any_value(rng),
            };
            attributes.push(attribute(key, value));
        }
    }
    attributes.shuffle(rng);
    attributes
}

fn any_value(rng: &mut ChaCha8Rng) -> AnyValue {
    match rng.random_range(0..9) {
        0 | 1 => int(rng),
        2 | 3 => float(rng),
        4 => AnyValue::String(pick(rng, STRINGS)),
        5 => AnyValue::Bool(rng.random()),
        6 => array(rng),
        7 => AnyValue::KeyValueList(vec![attribute("i", AnyValue::Int(1))]),
        _ if rng.random() => AnyValue::Bytes(vec![1, 2]),
        _ => AnyValue::Empty,
    }
}

fn array(rng: &mut ChaCha8Rng) -> AnyValue {
    // An empty array has no agreed meaning.
    let length = rng.random_range(1..=3);
    let element: fn(&mut ChaCha8Rng) -> AnyValue = match rng.random_range(0..5) {
        0 => int,
        1 => float,
        2 => |rng| AnyValue::String(pick(rng, STRINGS)),
        3 => |rng| AnyValue::Bool(rng.random()),
        // Of mixed types, and so invisible unless there is only one.
        _ => |rng| {
            if rng.random() {
                int(rng)
            } else {
                AnyValue::String(pick(rng, STRINGS))
            }
        },
    };
    AnyValue::Array((0..length).map(|_| element(rng)).collect())
}

fn int(rng: &mut ChaCha8Rng) -> AnyValue {
    AnyValue::Int(
        *[-3, -1, 0, 1, 2, 3, 5, 7, 8, 100, 404, i64::MAX]
            .choose(rng)
            .expect("not empty"),
    )
}

fn float(rng: &mut ChaCha8Rng) -> AnyValue {
    AnyValue::Double(
        *[-2.5, 0.0, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 1e9, 1e-9]
            .choose(rng)
            .expect("not empty"),
    )
}

fn pick(rng: &mut ChaCha8Rng, texts: &[&str]) -> String {
    (*texts.choose(rng).expect("not empty")).to_owned()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::reference::trace::{Trace, assemble};
    use crate::reference::tree::Place;

    #[test]
    fn shapes_occur() {
        let groups = nasty_traces(1, 300);
        let traces = assemble(&groups);
        assert_eq!(traces.len(), 300);
        let count = |shape: fn(&Trace<'_>) -> bool| traces.iter().filter(|it| shape(it)).count();
        let roots = |it: &Trace<'_>| it.places.iter().filter(|place| place.parent == -1).count();
        assert!(
            traces.iter().all(|it| {
                let roots = it
                    .spans
                    .iter()
                    .filter(|span| span.span.parent_span_id.is_none());
                let names: HashSet<_> = roots
                    .map(|root| (&root.span.name, root.service_name()))
                    .collect();
                names.len() <= 1
            }),
            "the root of a trace has one name"
        );
        assert!(
            count(|it| it.places.iter().all(|place| place.left == 0)) > 10,
            "traces without numbers"
        );
        assert!(
            traces.iter().filter(|it| roots(it) > 1).count() > 10,
            "traces with several roots"
        );
        assert!(
            count(|it| it
                .spans
                .iter()
                .any(|span| span.span.end_ns < span.span.start_ns))
                > 10
        );
        // A span that names one of the trace and is not below it opens a circle.
        let opens_circle = |it: &Trace<'_>, place: &Place| {
            let named = it
                .spans
                .iter()
                .filter(|span| Some(span.span.span_id) == place.parent_id);
            place.parent_span.is_none() && named.count() == 1
        };
        let circular = traces
            .iter()
            .filter(|it| it.places.iter().any(|place| opens_circle(it, place)));
        assert!((10..100).contains(&circular.count()), "circles of parents");
        let grid = nasty_grid();
        let spans: Vec<&Span> = groups.iter().flat_map(|group| &group.spans).collect();
        assert!(
            spans
                .iter()
                .any(|span| grid.interval_of(span.start_ns).is_none())
        );
        assert!(
            spans
                .iter()
                .any(|span| span.start_ns == grid.sample_time_ns(0))
        );
        // As text, for NaN is not equal to itself.
        assert!(format!("{groups:?}") == format!("{:?}", nasty_traces(1, 300)));
    }
}
