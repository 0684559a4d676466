//! From groups of spans in any order to rows in block order.

use std::sync::Arc;

use hashbrown::{HashMap, HashSet};
use rayon::prelude::*;

use super::hash::{resource_hash, scope_hash, span_hash};
use super::tree::{Node, TreeRow, arrange};
use crate::error::StorageError;
use crate::ids::TraceId;
use crate::model::{InstrumentationScope, Resource, Span, SpanGroup};

/// Most rows of one block. Nested-set numbers, two a row, are 32-bit.
const MAX_ROWS: usize = 1 << 30;

/// One row: a span, and which resource and scope it has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row<'a> {
    pub(super) span: &'a Span,
    pub(super) resource: u32,
    pub(super) scope: u32,
}

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
pub(super) struct Rows<'a> {
    pub(super) rows: Vec<Row<'a>>,
    pub(super) tree: Vec<TreeRow>,
    pub(super) traces: Vec<Trace>,
    /// Distinct resources, in the order in which rows first have them.
    pub(super) resources: Vec<&'a Resource>,
    /// Distinct scopes, in the order in which rows first have them.
    pub(super) scopes: Vec<&'a InstrumentationScope>,
}

/// Resources and scopes by content, and the rows in the order of arrival.
struct Arrived<'a> {
    rows: Vec<Row<'a>>,
    resources: Vec<(&'a Resource, u128)>,
    scopes: Vec<(&'a InstrumentationScope, u128)>,
}

pub(super) fn order<'a>(
    groups: impl IntoIterator<Item = &'a SpanGroup>,
) -> Result<Rows<'a>, StorageError> {
    let arrived = arrive(groups)?;
    let mut traces = by_trace(&arrived.rows);
    // Traces are independent of each other, and small: work is shared out in runs of them.
    let ordered: Vec<Ordered<'_>> = traces
        .par_iter_mut()
        .with_min_len(64)
        .map(|rows| Ordered::new(rows, &arrived))
        .collect();
    let mut order: Vec<usize> = (0..ordered.len()).collect();
    order.par_sort_unstable_by_key(|i| (ordered[*i].start_ns, ordered[*i].trace_id));

    let total: usize = ordered.iter().map(|trace| trace.rows.len()).sum();
    let mut out = Rows {
        rows: Vec::with_capacity(total),
        tree: Vec::with_capacity(total),
        traces: Vec::with_capacity(ordered.len()),
        resources: Vec::new(),
        scopes: Vec::new(),
    };
    for trace in order.into_iter().map(|i| &ordered[i]) {
        let first_row = super::row_number(out.rows.len());
        out.traces.push(Trace {
            row_count: super::row_number(trace.rows.len()),
            root: trace.root.map(|root| first_row + root),
            duration_ns: trace.duration_ns,
        });
        out.rows.extend_from_slice(&trace.rows);
        out.tree.extend_from_slice(&trace.tree);
    }
    let resources = renumber(&mut out.rows, arrived.resources.len(), |row| {
        &mut row.resource
    });
    let scopes = renumber(&mut out.rows, arrived.scopes.len(), |row| &mut row.scope);
    out.resources = resources
        .into_iter()
        .map(|i| arrived.resources[i as usize].0)
        .collect();
    out.scopes = scopes
        .into_iter()
        .map(|i| arrived.scopes[i as usize].0)
        .collect();
    Ok(out)
}

fn arrive<'a>(
    groups: impl IntoIterator<Item = &'a SpanGroup>,
) -> Result<Arrived<'a>, StorageError> {
    let mut out = Arrived {
        rows: Vec::new(),
        resources: Vec::new(),
        scopes: Vec::new(),
    };
    let mut resources = Distinct::default();
    let mut scopes = Distinct::default();
    for group in groups {
        if group.spans.is_empty() {
            continue;
        }
        let resource = resources.index(&group.resource, &mut out.resources, resource_hash);
        let scope = scopes.index(&group.scope, &mut out.scopes, scope_hash);
        out.rows.extend(group.spans.iter().map(|span| Row {
            span,
            resource,
            scope,
        }));
        if out.rows.len() > MAX_ROWS {
            return Err(StorageError::BlockTooLarge {
                what: "spans",
                count: out.rows.len() as u64,
                limit: MAX_ROWS as u64,
            });
        }
    }
    if out.rows.is_empty() {
        Err(StorageError::EmptyBlock)
    } else {
        Ok(out)
    }
}

/// Numbers distinct contents; looks at the content once for each allocation.
#[derive(Default)]
struct Distinct {
    by_address: HashMap<usize, u32>,
    by_content: HashMap<u128, u32>,
}

impl Distinct {
    fn index<'a, T>(
        &mut self,
        item: &'a Arc<T>,
        items: &mut Vec<(&'a T, u128)>,
        hash: impl Fn(&T) -> u128,
    ) -> u32 {
        let by_content = &mut self.by_content;
        *self
            .by_address
            .entry(Arc::as_ptr(item).addr())
            .or_insert_with(|| {
                let hash = hash(item);
                *by_content.entry(hash).or_insert_with(|| {
                    items.push((item, hash));
                    super::row_number(items.len() - 1)
                })
            })
    }
}

fn by_trace<'a>(rows: &[Row<'a>]) -> Vec<Vec<Row<'a>>> {
    let mut traces: Vec<Vec<Row<'a>>> = Vec::new();
    let mut index: HashMap<TraceId, usize> = HashMap::new();
    let mut last: Option<(TraceId, usize)> = None;
    for row in rows {
        let id = row.span.trace_id;
        let at = match last {
            Some((last, at)) if last == id => at,
            _ => *index.entry(id).or_insert_with(|| {
                traces.push(Vec::new());
                traces.len() - 1
            }),
        };
        last = Some((id, at));
        traces[at].push(*row);
    }
    traces
}

/// One trace, without repeated spans, in row order.
struct Ordered<'a> {
    trace_id: TraceId,
    start_ns: i64,
    duration_ns: i64,
    rows: Vec<Row<'a>>,
    tree: Vec<TreeRow>,
    root: Option<u32>,
}

impl<'a> Ordered<'a> {
    fn new(rows: &mut Vec<Row<'a>>, arrived: &Arrived<'a>) -> Self {
        let rows = std::mem::take(rows);
        let stored = stored_order(rows, arrived);
        let nodes: Vec<Node> = stored.iter().map(|row| node(row.span)).collect();
        let (tree, root) = arrange(&nodes);
        let start_ns = stored.first().map_or(0, |row| row.span.start_ns);
        let end_ns = stored
            .iter()
            .map(|row| row.span.end_ns)
            .max()
            .unwrap_or(start_ns);
        Self {
            trace_id: stored
                .first()
                .map(|row| row.span.trace_id)
                .unwrap_or_default(),
            start_ns,
            duration_ns: end_ns.saturating_sub(start_ns).max(0),
            root: root
                .and_then(|root| tree.iter().position(|row| row.node == root))
                .map(super::row_number),
            rows: tree.iter().map(|row| stored[row.node as usize]).collect(),
            tree,
        }
    }
}

fn node(span: &Span) -> Node {
    Node {
        span_id: span.span_id,
        parent: span.parent_span_id,
        kind: span.kind,
    }
}

/// By start, then span id, then content; of equal spans only one. The content is hashed only where
/// start and id leave a choice, which is rare.
fn stored_order<'a>(mut rows: Vec<Row<'a>>, arrived: &Arrived<'a>) -> Vec<Row<'a>> {
    let key = |row: &Row<'a>| (row.span.start_ns, row.span.span_id);
    rows.sort_unstable_by_key(key);
    if rows.windows(2).all(|two| key(&two[0]) != key(&two[1])) {
        return rows;
    }
    let hash = |row: &Row<'a>| {
        let resource = arrived.resources[row.resource as usize].1;
        span_hash(row.span, resource, arrived.scopes[row.scope as usize].1)
    };
    let mut out = Vec::with_capacity(rows.len());
    for run in rows.chunk_by(|a, b| key(a) == key(b)) {
        if let [only] = run {
            out.push(*only);
            continue;
        }
        let mut seen = HashSet::new();
        let mut hashed: Vec<(u128, Row<'a>)> = run.iter().map(|row| (hash(row), *row)).collect();
        hashed.retain(|(hash, _)| seen.insert(*hash));
        hashed.sort_unstable_by_key(|(hash, _)| *hash);
        out.extend(hashed.into_iter().map(|(_, row)| row));
    }
    out
}

/// Renumbers by first appearance, so that numbers do not depend on the order of arrival. Returns
/// the old number of each new one.
fn renumber<'a>(
    rows: &mut [Row<'a>],
    count: usize,
    number: impl for<'r> Fn(&'r mut Row<'a>) -> &'r mut u32,
) -> Vec<u32> {
    let mut new_of_old = vec![u32::MAX; count];
    let mut old_of_new = Vec::new();
    for row in rows {
        let number = number(row);
        let new = &mut new_of_old[*number as usize];
        if *new == u32::MAX {
            *new = super::row_number(old_of_new.len());
            old_of_new.push(*number);
        }
        *number = *new;
    }
    old_of_new
}
