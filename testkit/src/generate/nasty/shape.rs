//! How the spans of a trace hang together.

use rand::Rng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;
use storage::ids::{SpanId, TraceId};
use storage::model::Span;

use super::span::{SPAN_NAMES, span};
use super::value::pick;

const SERVER: i32 = 2;
const CLIENT: i32 = 3;

/// One trace of a shape that something may stumble over.
pub(super) fn trace(rng: &mut ChaCha8Rng, number: usize) -> Vec<Span> {
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
