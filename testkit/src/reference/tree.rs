//! Where a span stands in the tree of its trace.

use std::collections::HashMap;

use storage::ids::SpanId;
use storage::model::Span;

/// OTLP kind numbers of the two sides of a call.
const SERVER: i32 = 2;
const CLIENT: i32 = 3;

/// The nested-set numbers of a span, all zero for a span that no root leads to, and its parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Place {
    /// Counter when a depth-first walk enters the span, from 1.
    pub left: i64,
    /// Counter when the walk leaves the span.
    pub right: i64,
    /// `left` of the parent; −1 for a root.
    pub parent: i64,
    /// Other spans that name this one as their parent, whether or not a root leads to it.
    pub child_count: i64,
    /// Index of the parent span, if it is in the trace, whether or not a root leads to it. Says more
    /// than the numbers: also in a trace without a root spans have parents.
    pub parent_span: Option<usize>,
    /// The parent that the span names; `None` for a root.
    pub parent_id: Option<SpanId>,
}

/// The places of the spans of one trace, in their order.
#[must_use]
pub fn places(spans: &[&Span]) -> Vec<Place> {
    let mut places = vec![Place::default(); spans.len()];
    let mut by_id: HashMap<SpanId, Vec<usize>> = HashMap::new();
    for (index, span) in spans.iter().enumerate() {
        by_id.entry(span.span_id).or_default().push(index);
    }
    for (place, span) in places.iter_mut().zip(spans) {
        place.parent_span = parent_of(span, spans, &by_id);
        place.parent_id = span.parent_span_id;
    }
    let named: Vec<Option<usize>> = places.iter().map(|place| place.parent_span).collect();
    open_circles(&mut places, spans);
    let roots: Vec<usize> = (0..spans.len())
        .filter(|&index| spans[index].parent_span_id.is_none())
        .collect();
    // Without a root, or with an id that says nothing, the numbers would be guesses.
    if roots.is_empty() || by_id.values().any(|sharing| sharing.len() > 2) {
        return places;
    }

    let mut children: Vec<Vec<usize>> = vec![Vec::new(); spans.len()];
    for (index, named) in named.into_iter().enumerate() {
        if let Some(parent) = named.filter(|&parent| parent != index) {
            places[parent].child_count += 1;
        }
        if let Some(parent) = places[index].parent_span {
            children[parent].push(index);
        }
    }

    let mut counter = 0;
    for root in roots {
        walk(root, &children, &mut counter, &mut places);
    }
    places
}

/// The index of the parent span, if it is there.
fn parent_of(span: &Span, spans: &[&Span], by_id: &HashMap<SpanId, Vec<usize>>) -> Option<usize> {
    match by_id.get(&span.parent_span_id?)?.as_slice() {
        [only] => Some(*only),
        // Zipkin gives both sides of a call one id. A server span was called by the client side;
        // whatever else has this parent happened in the server.
        &[first, second] => {
            let wanted = if span.kind == SERVER { CLIENT } else { SERVER };
            [first, second]
                .into_iter()
                .find(|&index| spans[index].kind == wanted)
        }
        _ => None,
    }
}

/// Where spans are each other's parents in a circle, the earliest of them, of several the one with the
/// smallest id, counts as one whose parent is missing. So every span is in a tree.
fn open_circles(places: &mut [Place], spans: &[&Span]) {
    for index in 0..spans.len() {
        let mut circle = vec![index];
        let mut next = places[index].parent_span;
        while let Some(span) = next.filter(|&span| span != index && circle.len() < spans.len()) {
            circle.push(span);
            next = places[span].parent_span;
        }
        if next != Some(index) {
            continue;
        }
        let first = circle
            .iter()
            .min_by_key(|&&span| (spans[span].start_ns, spans[span].span_id, span));
        if let Some(&first) = first {
            places[first].parent_span = None;
        }
    }
}

/// The part of a span's duration in which none of its children runs, in ns.
#[must_use]
pub fn self_time_ns(index: usize, spans: &[&Span], places: &[Place]) -> i64 {
    let end_of = |span: &Span| span.start_ns.saturating_add(span.duration_ns());
    let (start_ns, end_ns) = (spans[index].start_ns, end_of(spans[index]));
    let mut running: Vec<(i64, i64)> = Vec::new();
    for (place, span) in places.iter().zip(spans) {
        let period = (span.start_ns.max(start_ns), end_of(span).min(end_ns));
        if place.parent_span == Some(index) && period.0 < period.1 {
            running.push(period);
        }
    }
    running.sort_unstable();
    let (mut covered_ns, mut until_ns) = (0, start_ns);
    for (from_ns, to_ns) in running {
        covered_ns += (to_ns - from_ns.max(until_ns)).max(0);
        until_ns = until_ns.max(to_ns);
    }
    end_ns - start_ns - covered_ns
}

/// Numbers `root` and what is below it. Has its own stack, for a trace may be a long chain; comes
/// to no span twice, as every span has at most one parent and a root has none.
fn walk(root: usize, children: &[Vec<usize>], counter: &mut i64, places: &mut [Place]) {
    enum Step {
        Enter { span: usize, parent_left: i64 },
        Leave { span: usize },
    }
    let mut steps = vec![Step::Enter {
        span: root,
        parent_left: -1,
    }];
    while let Some(step) = steps.pop() {
        *counter += 1;
        match step {
            Step::Leave { span } => places[span].right = *counter,
            Step::Enter { span, parent_left } => {
                places[span].left = *counter;
                places[span].parent = parent_left;
                steps.push(Step::Leave { span });
                let enter = |&child| Step::Enter {
                    span: child,
                    parent_left: *counter,
                };
                steps.extend(children[span].iter().rev().map(enter));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(id: u8, parent: u8, kind: i32) -> Span {
        let id_of = |last| SpanId([0, 0, 0, 0, 0, 0, 0, last]);
        Span {
            span_id: id_of(id),
            parent_span_id: (parent != 0).then(|| id_of(parent)),
            kind,
            ..Span::default()
        }
    }

    /// `(left, right, parent, child_count)` of each span given as `(id, parent, kind)`.
    fn numbers(spans: &[(u8, u8, i32)]) -> Vec<(i64, i64, i64, i64)> {
        let spans: Vec<Span> = spans
            .iter()
            .map(|&(id, parent, kind)| span(id, parent, kind))
            .collect();
        let places = places(&spans.iter().collect::<Vec<_>>());
        places
            .iter()
            .map(|it| (it.left, it.right, it.parent, it.child_count))
            .collect()
    }

    #[test]
    fn parents_do_not_need_a_root() {
        let parents = |spans: &[(u8, u8, i32)]| -> Vec<Option<usize>> {
            let spans: Vec<Span> = spans
                .iter()
                .map(|&(id, parent, kind)| span(id, parent, kind))
                .collect();
            let places = places(&spans.iter().collect::<Vec<_>>());
            places.iter().map(|place| place.parent_span).collect()
        };
        assert_eq!(parents(&[(1, 9, 0), (2, 1, 0)]), [None, Some(0)]);
        // Of three spans with one id nobody knows which is the parent.
        assert_eq!(
            parents(&[(1, 0, 0), (2, 1, 0), (2, 1, 0), (2, 1, 0), (3, 2, 0)]),
            [None, Some(0), Some(0), Some(0), None]
        );
    }

    #[test]
    fn circles_open_at_their_earliest_span() {
        let at = |id, parent, start_ns| Span {
            start_ns,
            ..span(id, parent, 0)
        };
        let parents = |spans: &[Span]| -> Vec<Option<usize>> {
            let places = places(&spans.iter().collect::<Vec<_>>());
            places.iter().map(|place| place.parent_span).collect()
        };
        // 1 → 3 → 2 → 1, with 4 hanging on it.
        let round = [at(1, 3, 9), at(2, 1, 7), at(3, 2, 8), at(4, 1, 1)];
        assert_eq!(parents(&round), [Some(2), None, Some(1), Some(0)]);
        let same_start = [at(2, 1, 7), at(1, 2, 7)];
        assert_eq!(parents(&same_start), [Some(1), None]);
        let own = [at(1, 1, 7), at(2, 1, 8)];
        assert_eq!(parents(&own), [None, Some(0)]);
    }

    #[test]
    fn a_span_is_not_its_own_child() {
        assert_eq!(
            numbers(&[(1, 0, 0), (2, 2, 0), (3, 2, 0)]),
            [(1, 2, -1, 0), (0, 0, 0, 1), (0, 0, 0, 0)]
        );
    }

    #[test]
    fn self_time_is_what_the_children_leave() {
        let mut spans = vec![span(1, 0, 0); 6];
        for (index, (id, parent, start_ns, end_ns)) in [
            (1, 0, 100, 200),
            (2, 1, 110, 130),
            (3, 1, 120, 140),
            // Begins before its parent, ends after it; one ends before it starts.
            (4, 1, 50, 105),
            (5, 1, 190, 300),
            (6, 1, 160, 150),
        ]
        .into_iter()
        .enumerate()
        {
            spans[index] = Span {
                start_ns,
                end_ns,
                ..span(id, parent, 0)
            };
        }
        let spans: Vec<&Span> = spans.iter().collect();
        let places = places(&spans);
        let own = |index| self_time_ns(index, &spans, &places);
        assert_eq!(
            (0..6).map(own).collect::<Vec<_>>(),
            [55, 20, 20, 55, 110, 0]
        );
    }

    #[test]
    fn trace_of_the_specification() {
        assert_eq!(
            numbers(&[
                (1, 0, 0),
                (2, 1, 0),
                (3, 2, 0),
                (4, 1, 0),
                (5, 9, 0),
                (6, 5, 0)
            ]),
            [
                (1, 8, -1, 2),
                (2, 5, 1, 1),
                (3, 4, 2, 0),
                (6, 7, 1, 0),
                (0, 0, 0, 1),
                (0, 0, 0, 0)
            ]
        );
    }

    #[test]
    fn several_roots_share_the_counter() {
        assert_eq!(
            numbers(&[(1, 0, 0), (2, 0, 0)]),
            [(1, 2, -1, 0), (3, 4, -1, 0)]
        );
    }

    #[test]
    fn no_root_or_an_id_of_three_spans_gives_zeros() {
        assert_eq!(numbers(&[(1, 2, 0), (2, 1, 0)]), [(0, 0, 0, 0); 2]);
        assert_eq!(
            numbers(&[(1, 0, 0), (2, 1, 0), (2, 1, 0), (2, 1, 0)]),
            [(0, 0, 0, 0); 4]
        );
    }

    #[test]
    fn both_sides_of_a_call_share_an_id() {
        // 2 is client and server; the server span 3 belongs to the client side, the internal span 4
        // to the server side.
        assert_eq!(
            numbers(&[
                (1, 0, 1),
                (2, 1, CLIENT),
                (2, 1, SERVER),
                (3, 2, SERVER),
                (4, 2, 1)
            ]),
            [
                (1, 10, -1, 2),
                (2, 5, 1, 1),
                (6, 9, 1, 1),
                (3, 4, 2, 0),
                (7, 8, 6, 0)
            ]
        );
    }

    #[test]
    fn a_cycle_beside_a_root_keeps_zeros() {
        assert_eq!(
            numbers(&[(1, 0, 0), (2, 3, 0), (3, 2, 0)]),
            [(1, 2, -1, 0), (0, 0, 0, 1), (0, 0, 0, 1)]
        );
    }
}
