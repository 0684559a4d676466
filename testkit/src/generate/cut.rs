//! Traces in pieces, as they arrive and are stored.

use std::collections::HashMap;
use std::sync::Arc;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use storage::model::SpanGroup;

/// Spreads the spans over so many parts, any of which may be empty; the spans of one trace may come
/// into all of them. Spans that are equal in everything come into one part, where they are one.
#[must_use]
pub fn cut(groups: &[SpanGroup], seed: u64, parts: usize) -> Vec<Vec<SpanGroup>> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut pieces: Vec<Vec<SpanGroup>> = vec![Vec::new(); parts];
    // By their text, as NaN is not equal to itself.
    let mut part_of: HashMap<String, usize> = HashMap::new();
    for group in groups {
        for span in &group.spans {
            let content = format!("{:?} {:?} {span:?}", group.resource, group.scope);
            let part = *part_of
                .entry(content)
                .or_insert_with(|| rng.random_range(0..parts));
            let piece = &mut pieces[part];
            match piece.last_mut() {
                Some(last)
                    if Arc::ptr_eq(&last.resource, &group.resource)
                        && Arc::ptr_eq(&last.scope, &group.scope) =>
                {
                    last.spans.push(span.clone());
                }
                _ => piece.push(SpanGroup {
                    spans: vec![span.clone()],
                    ..group.clone()
                }),
            }
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use super::*;
    use crate::generate::nasty_traces;

    #[test]
    fn every_span_is_in_one_part_and_traces_are_in_several() {
        let traces = nasty_traces(3, 100);
        let parts = cut(&traces, 1, 3);
        let spans = |groups: &[SpanGroup]| -> Vec<String> {
            let spans = groups.iter().flat_map(|group| &group.spans);
            let mut texts: Vec<String> = spans.map(|span| format!("{span:?}")).collect();
            texts.sort();
            texts
        };
        let mut together = spans(&parts.concat());
        together.sort();
        assert_eq!(together, spans(&traces));
        let mut parts_of: HashMap<_, HashSet<usize>> = HashMap::new();
        for (part, groups) in parts.iter().enumerate() {
            for span in groups.iter().flat_map(|group| &group.spans) {
                parts_of.entry(span.trace_id).or_default().insert(part);
            }
        }
        assert!(parts_of.values().filter(|parts| parts.len() == 3).count() > 30);
        assert_eq!(format!("{parts:?}"), format!("{:?}", cut(&traces, 1, 3)));
    }
}
