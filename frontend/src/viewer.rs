//! What viewers of traces need changed, because they cannot show what was received.
//!
//! Zipkin's client and server spans of one call share an id, and a viewer builds its tree by ids. So
//! the span of another kind than the first gets an id of its own; a server becomes the child of its
//! client, and takes over the children that are its own. And Grafana passes over spans whose resource
//! has no attributes, so such a resource gets a name.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use storage::ids::SpanId;
use storage::model::{AnyValue, Attribute, Resource, Span, SpanGroup};

/// OTLP numbers of kinds.
const SERVER: i32 = 2;
const CLIENT: i32 = 3;

/// The name that OpenTelemetry gives to a service without one.
const UNKNOWN_SERVICE: &str = "unknown_service";

/// Changes the spans of one trace so that viewers show all of them.
pub fn prepare(groups: &mut [SpanGroup]) {
    for group in groups.iter_mut() {
        if group.resource.attributes.is_empty() {
            let mut resource = Resource::clone(&group.resource);
            resource.attributes.push(Attribute {
                key: "service.name".into(),
                value: AnyValue::String(UNKNOWN_SERVICE.to_owned()),
            });
            group.resource = Arc::new(resource);
        }
    }
    separate_shared_ids(groups);
}

/// Spans of one id, by kind.
struct Shared {
    /// The kind whose spans keep the id.
    keeps: i32,
    /// The ids of the other kinds.
    renamed: HashMap<i32, SpanId>,
}

fn separate_shared_ids(groups: &mut [SpanGroup]) {
    let shared = shared_ids(groups);
    if shared.is_empty() {
        return;
    }
    for span in groups.iter_mut().flat_map(|group| &mut group.spans) {
        let own = span.span_id;
        let renamed = shared
            .get(&own)
            .and_then(|shared| shared.renamed.get(&span.kind));
        let called = span.kind == SERVER && shared.get(&own).is_some_and(|s| s.keeps == CLIENT);
        if let Some(id) = renamed {
            span.span_id = *id;
        }
        if called {
            span.parent_span_id = Some(own);
            continue;
        }
        // Of a call's two spans the server has the children, except what the client itself called.
        let parent = span.parent_span_id.and_then(|id| shared.get(&id));
        if let Some(server) = parent.and_then(|shared| shared.renamed.get(&SERVER))
            && span.kind != SERVER
        {
            span.parent_span_id = Some(*server);
        }
    }
}

/// Ids that spans of several kinds have.
fn shared_ids(groups: &[SpanGroup]) -> HashMap<SpanId, Shared> {
    let mut kinds: HashMap<SpanId, Vec<i32>> = HashMap::new();
    let spans = || groups.iter().flat_map(|group| &group.spans);
    for span in spans() {
        let kinds = kinds.entry(span.span_id).or_default();
        if !kinds.contains(&span.kind) {
            kinds.push(span.kind);
        }
    }
    let mut taken: HashSet<SpanId> = kinds.keys().copied().collect();
    let mut shared = HashMap::new();
    // In the order of the spans, so that the same trace always gets the same ids.
    for Span { span_id, .. } in spans() {
        let Some(kinds) = kinds.remove(span_id).filter(|kinds| kinds.len() > 1) else {
            continue;
        };
        let keeps = if kinds.contains(&CLIENT) {
            CLIENT
        } else {
            kinds[0]
        };
        let others = kinds.into_iter().filter(|kind| *kind != keeps);
        let renamed = others.map(|kind| (kind, free_id(*span_id, kind, &mut taken)));
        let renamed = renamed.collect();
        shared.insert(*span_id, Shared { keeps, renamed });
    }
    shared
}

/// An id that no span has.
fn free_id(id: SpanId, kind: i32, taken: &mut HashSet<SpanId>) -> SpanId {
    /// The golden ratio of 64 bits: multiples of it are far from each other and from zero.
    const FAR: u64 = 0x9e37_79b9_7f4a_7c15;
    let kind = u64::from(kind.unsigned_abs());
    let mut number = u64::from_be_bytes(id.0);
    loop {
        number = number.wrapping_add(FAR.wrapping_mul(kind.wrapping_add(1)));
        let candidate = SpanId(number.to_be_bytes());
        if number != 0 && taken.insert(candidate) {
            return candidate;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERNAL: i32 = 1;

    fn span(name: &str, id: u8, parent: u8, kind: i32) -> Span {
        Span {
            span_id: SpanId([id; 8]),
            parent_span_id: (parent != 0).then_some(SpanId([parent; 8])),
            name: name.to_owned(),
            kind,
            ..Span::default()
        }
    }

    fn trace(spans: Vec<Span>) -> Vec<SpanGroup> {
        let spans = spans.into_iter().map(|span| SpanGroup {
            resource: Arc::default(),
            scope: Arc::default(),
            spans: vec![span],
        });
        spans.collect()
    }

    /// Each span's name with that of its parent.
    fn edges(groups: &[SpanGroup]) -> Vec<(&str, &str)> {
        let spans = || groups.iter().flat_map(|group| &group.spans);
        let parent = |span: &Span| {
            let found = spans().find(|other| Some(other.span_id) == span.parent_span_id);
            found.map_or("", |parent| parent.name.as_str())
        };
        spans()
            .map(|span| (span.name.as_str(), parent(span)))
            .collect()
    }

    #[test]
    fn both_sides_of_a_call_are_told_apart() {
        let mut groups = trace(vec![
            span("query", 3, 2, CLIENT),
            span("called", 2, 1, SERVER),
            span("work", 4, 2, INTERNAL),
            span("call", 2, 1, CLIENT),
            span("root", 1, 0, SERVER),
        ]);
        prepare(&mut groups);
        let expected = [
            ("query", "called"),
            ("called", "call"),
            ("work", "called"),
            ("call", "root"),
            ("root", ""),
        ];
        assert_eq!(edges(&groups), expected);
        let ids: HashSet<SpanId> = groups.iter().map(|group| group.spans[0].span_id).collect();
        assert_eq!(ids.len(), 5);
        assert_eq!(
            groups[3].spans[0].span_id,
            SpanId([2; 8]),
            "the client keeps its id"
        );
    }

    #[test]
    fn other_kinds_get_ids_and_keep_their_parents() {
        let mut groups = trace(vec![
            span("a", 2, 1, INTERNAL),
            span("b", 2, 1, SERVER),
            span("c", 2, 1, -5),
            span("root", 1, 0, SERVER),
            span("again", 1, 0, SERVER),
        ]);
        prepare(&mut groups);
        let parents: Vec<&str> = edges(&groups)
            .into_iter()
            .map(|(_, parent)| parent)
            .collect();
        assert_eq!(parents, ["root", "root", "root", "", ""]);
        let ids: HashSet<SpanId> = groups.iter().map(|group| group.spans[0].span_id).collect();
        assert_eq!(ids.len(), 4, "spans of one kind are left alone");
    }

    #[test]
    fn a_resource_without_attributes_gets_a_name() {
        let mut groups = trace(vec![span("a", 1, 0, SERVER)]);
        prepare(&mut groups);
        assert_eq!(
            groups[0].resource.attributes[0].key.as_ref(),
            "service.name"
        );
        let named = groups.clone();
        prepare(&mut groups);
        assert_eq!(groups, named);
    }
}
