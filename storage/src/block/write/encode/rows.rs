//! From spans in any order to rows in block order.

use std::sync::Arc;

use hashbrown::{HashMap, HashSet};
use rayon::prelude::*;

use super::arrive::{Arrived, Origin, SpanRow};
use super::tree::{Node, TreeRow, arrange};
use crate::block::hash::span_hash;
use crate::block::write::row_number::row_number;
use crate::ids::TraceId;
use crate::model::{InstrumentationScope, Resource};
use crate::otlp::{KeyInterner, span_from_bytes};

/// One trace: a run of rows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Trace {
    pub(super) row_count: u32,
    /// Row of the root span that names the trace.
    pub(super) root: Option<u32>,
    pub(super) duration_ns: i64,
}

/// The spans of a block in block order.
#[derive(Debug)]
pub(super) struct Rows {
    pub(super) rows: Vec<SpanRow>,
    /// Number on arrival of each row.
    pub(super) units: Vec<u32>,
    /// Row of each, by its number on arrival.
    pub(super) row_of_unit: Vec<u32>,
    pub(super) tree: Vec<TreeRow>,
    pub(super) traces: Vec<Trace>,
    /// Distinct resources, in the order in which rows first have them.
    pub(super) resources: Vec<Arc<Resource>>,
    /// Number of each row's resource.
    pub(super) resource_of_row: Vec<u32>,
    /// Distinct scopes, in the order in which rows first have them.
    pub(super) scopes: Vec<Arc<InstrumentationScope>>,
    /// Number of each row's scope.
    pub(super) scope_of_row: Vec<u32>,
}

/// Puts spans in block order. Also gives those that repeat another one in every field, by their
/// numbers on arrival; they are among the rows.
pub(super) fn order(arrived: &Arrived<'_>) -> (Rows, HashSet<u32>) {
    let mut units = ByTrace::new(&arrived.spans);
    // Traces are independent of each other, and small: work is shared out in runs of them.
    let ordered: Vec<Ordered<'_>> = units
        .traces()
        .into_par_iter()
        .with_min_len(64)
        .map(|units| Ordered::new(units, arrived))
        .collect();
    let repeated: HashSet<u32> = ordered
        .iter()
        .flat_map(|trace| &trace.repeated)
        .copied()
        .collect();
    let mut order: Vec<usize> = (0..ordered.len()).collect();
    order.par_sort_unstable_by_key(|i| (ordered[*i].start_ns, ordered[*i].trace_id));

    let total = arrived.spans.len();
    let mut out = Rows {
        rows: Vec::with_capacity(total),
        units: Vec::with_capacity(total),
        row_of_unit: vec![0; total],
        tree: Vec::with_capacity(total),
        traces: Vec::with_capacity(ordered.len()),
        resources: Vec::new(),
        resource_of_row: Vec::with_capacity(total),
        scopes: Vec::new(),
        scope_of_row: Vec::with_capacity(total),
    };
    for trace in order.into_iter().map(|i| &ordered[i]) {
        let first_row = row_number(out.rows.len());
        out.traces.push(Trace {
            row_count: row_number(trace.tree.len()),
            root: trace.root.map(|root| first_row + root),
            duration_ns: trace.duration_ns,
        });
        for row in &trace.tree {
            let unit = trace.units[row.node as usize];
            out.row_of_unit[unit as usize] = row_number(out.rows.len());
            out.units.push(unit);
            out.rows.push(arrived.spans[unit as usize]);
        }
        out.tree.extend_from_slice(&trace.tree);
    }
    let resources = renumber(&mut out.rows, arrived.resources.items.len(), |row| {
        &mut row.resource
    });
    let scopes = renumber(&mut out.rows, arrived.scopes.items.len(), |row| {
        &mut row.scope
    });
    for row in &out.rows {
        out.resource_of_row.push(row.resource);
        out.scope_of_row.push(row.scope);
    }
    out.resources = resources
        .into_iter()
        .map(|i| Arc::clone(&arrived.resources.items[i as usize].0))
        .collect();
    out.scopes = scopes
        .into_iter()
        .map(|i| Arc::clone(&arrived.scopes.items[i as usize].0))
        .collect();
    (out, repeated)
}

/// Numbers of spans, those of a trace together.
struct ByTrace {
    units: Vec<u32>,
    /// Where each trace ends.
    ends: Vec<usize>,
}

impl ByTrace {
    fn new(spans: &[SpanRow]) -> Self {
        let mut index: HashMap<TraceId, u32> = HashMap::new();
        let mut last: Option<(TraceId, u32)> = None;
        let mut counts: Vec<usize> = Vec::new();
        let mut trace_of = Vec::with_capacity(spans.len());
        for span in spans {
            let trace = match last {
                Some((id, trace)) if id == span.trace_id => trace,
                _ => *index.entry(span.trace_id).or_insert_with(|| {
                    counts.push(0);
                    row_number(counts.len() - 1)
                }),
            };
            last = Some((span.trace_id, trace));
            counts[trace as usize] += 1;
            trace_of.push(trace);
        }
        let mut at = 0;
        let mut next: Vec<usize> = Vec::with_capacity(counts.len());
        for count in counts {
            next.push(at);
            at += count;
        }
        let mut units = vec![0; spans.len()];
        for (unit, trace) in (0u32..).zip(trace_of) {
            let next = &mut next[trace as usize];
            units[*next] = unit;
            *next += 1;
        }
        Self { units, ends: next }
    }

    fn traces(&mut self) -> Vec<&mut [u32]> {
        let mut rest = &mut self.units[..];
        let mut start = 0;
        let mut out = Vec::with_capacity(self.ends.len());
        for end in &self.ends {
            let trace;
            (trace, rest) = rest.split_at_mut(end - start);
            start = *end;
            out.push(trace);
        }
        out
    }
}

/// One trace in row order.
struct Ordered<'u> {
    trace_id: TraceId,
    start_ns: i64,
    duration_ns: i64,
    /// Numbers of the spans in stored order.
    units: &'u [u32],
    tree: Vec<TreeRow>,
    root: Option<u32>,
    repeated: Vec<u32>,
}

impl<'u> Ordered<'u> {
    fn new(units: &'u mut [u32], arrived: &Arrived<'_>) -> Self {
        let spans = &arrived.spans;
        let repeated = stored_order(units, arrived);
        let units = &*units;
        let span = |unit: &u32| &spans[*unit as usize];
        let nodes: Vec<Node> = units.iter().map(|unit| node(span(unit))).collect();
        let (tree, root) = arrange(&nodes);
        let first = units.first().map(span);
        let start_ns = first.map_or(0, |span| span.start_ns);
        let end_ns = units.iter().map(|unit| span(unit).end_ns).max();
        Self {
            trace_id: first.map(|span| span.trace_id).unwrap_or_default(),
            start_ns,
            duration_ns: end_ns.unwrap_or(start_ns).saturating_sub(start_ns).max(0),
            root: root
                .and_then(|root| tree.iter().position(|row| row.node == root))
                .map(row_number),
            units,
            tree,
            repeated,
        }
    }
}

fn node(span: &SpanRow) -> Node {
    Node {
        span_id: span.span_id,
        parent: span.parent,
        kind: span.kind,
    }
}

/// Sorts by start, then span id, then content, and gives all but one of equal spans: the one that stays
/// is the first that is known to have arrived, and of those the shortest as received, so that it does
/// not matter in which order they are here. The content is looked at only where start and id leave a
/// choice, which is rare.
fn stored_order(units: &mut [u32], arrived: &Arrived<'_>) -> Vec<u32> {
    let key = |unit: &u32| {
        let span = &arrived.spans[*unit as usize];
        (span.start_ns, span.span_id)
    };
    units.sort_unstable_by_key(key);
    let mut repeated = Vec::new();
    for run in units.chunk_by_mut(|a, b| key(a) == key(b)) {
        if run.len() < 2 {
            continue;
        }
        let mut hashed: Vec<(u128, u32)> = run
            .iter()
            .map(|unit| (content_hash(*unit, arrived), *unit))
            .collect();
        let arrival = |unit: u32| {
            let origin = &arrived.origins[unit as usize];
            let (second, bytes) = (origin.received_s(), origin.received_bytes());
            (second.is_none(), second, bytes.is_none(), bytes)
        };
        hashed.sort_unstable_by_key(|(hash, unit)| (*hash, arrival(*unit), *unit));
        let mut last = None;
        for (slot, (hash, unit)) in run.iter_mut().zip(hashed) {
            if last == Some(hash) {
                repeated.push(unit);
            }
            last = Some(hash);
            *slot = unit;
        }
    }
    repeated
}

fn content_hash(unit: u32, arrived: &Arrived<'_>) -> u128 {
    let row = &arrived.spans[unit as usize];
    let resource = arrived.resources.items[row.resource as usize].1;
    let scope = arrived.scopes.items[row.scope as usize].1;
    match arrived.origins[unit as usize] {
        Origin::Model(span, _) => span_hash(span, resource, scope),
        Origin::Wire {
            message, offset_ns, ..
        } => {
            let span = span_from_bytes(message, &mut KeyInterner::default());
            let mut span = span.unwrap_or_default();
            span.shift(offset_ns);
            span_hash(&span, resource, scope)
        }
    }
}

/// Renumbers by first appearance, so that numbers do not depend on the order of arrival. Returns
/// the old number of each new one.
fn renumber(
    rows: &mut [SpanRow],
    count: usize,
    number: impl Fn(&mut SpanRow) -> &mut u32,
) -> Vec<u32> {
    let mut new_of_old = vec![u32::MAX; count];
    let mut old_of_new = Vec::new();
    for row in rows {
        let number = number(row);
        let new = &mut new_of_old[*number as usize];
        if *new == u32::MAX {
            *new = row_number(old_of_new.len());
            old_of_new.push(*number);
        }
        *number = *new;
    }
    old_of_new
}
