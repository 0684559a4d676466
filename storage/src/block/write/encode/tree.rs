//! The tree of one trace: order of rows, depths, descendants, child counts.
//!
//! A pure function of ids, kinds and the order given. Whatever a trace looks like (several roots,
//! missing parents, one id twice, parents in a circle) every span gets exactly one row, and a
//! parent is always on an earlier row. Nothing recurses, so depth costs no stack.

use crate::block::write::row_number::{row_i32, row_number};
use crate::ids::SpanId;

/// OTLP number of the kind server.
const KIND_SERVER: i32 = 2;
/// OTLP number of the kind client.
const KIND_CLIENT: i32 = 3;
/// No span.
const NONE: u32 = u32::MAX;

/// What the tree needs to know of a span.
#[derive(Debug, Clone, Copy)]
pub(super) struct Node {
    pub(super) span_id: SpanId,
    pub(super) parent: Option<SpanId>,
    pub(super) kind: i32,
}

/// One row of the trace.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct TreeRow {
    /// Index of the span among the nodes given.
    pub(super) node: u32,
    /// 1 for a root, 2 for its children, and so on. Negative where no root leads to, or the trace is
    /// such that none counts: -1 for the top of a tree.
    pub(super) depth: i32,
    /// Rows below, which follow it.
    pub(super) descendants: u32,
    pub(super) child_count: i32,
}

/// Arranges the spans of one trace, given in stored order.
///
/// Rows are in depth-first pre-order: first the roots with all below them, then what hangs on no
/// root. Returns the rows and the node that names the trace: its last root.
pub(super) fn arrange(nodes: &[Node]) -> (Vec<TreeRow>, Option<u32>) {
    let ids = IdIndex::new(nodes);
    let parents: Vec<u32> = nodes
        .iter()
        .map(|node| ids.parent_of(nodes, node))
        .collect();
    let roots: Vec<u32> = positions(nodes)
        .filter(|i| nodes[*i as usize].parent.is_none())
        .collect();
    let numbered = !roots.is_empty() && !ids.more_than_two;

    let mut walk = Walk::new(&parents);
    walk.is_below_root = numbered;
    for root in &roots {
        walk.descend(*root);
    }
    walk.is_below_root = false;
    // A span whose parent is not in the trace, or unclear, starts a tree of its own.
    for node in positions(nodes) {
        if parents[node as usize] == NONE {
            walk.descend(node);
        }
    }
    // All that is left goes round in circles or hangs on a circle. Each circle opens at its first
    // span in stored order.
    for node in positions(nodes) {
        if walk.row_of[node as usize] == NONE {
            let start = first_of_circle(&parents, node);
            walk.descend(start);
        }
    }

    let mut rows = walk.rows;
    if numbered {
        for row in &mut rows {
            row.child_count = walk.children.count(row.node, &parents);
        }
    }
    (rows, roots.last().copied())
}

fn positions(nodes: &[Node]) -> std::ops::Range<u32> {
    0..row_number(nodes.len())
}

/// The first span, in stored order, of the circle that `node` leads to.
fn first_of_circle(parents: &[u32], node: u32) -> u32 {
    // After as many steps as there are spans one is inside the circle for certain, but a trace with
    // many circles would pay that for each; Brent's method pays for the circle and the way to it.
    let (mut power, mut length) = (1usize, 1usize);
    let (mut slow, mut fast) = (node, parents[node as usize]);
    while slow != fast {
        if power == length {
            slow = fast;
            power *= 2;
            length = 0;
        }
        fast = parents[fast as usize];
        length += 1;
    }
    let (mut first, mut next) = (slow, parents[slow as usize]);
    while next != slow {
        first = first.min(next);
        next = parents[next as usize];
    }
    first
}

/// Span ids of a trace, sorted, with the nodes that carry them.
struct IdIndex {
    sorted: Vec<(SpanId, u32)>,
    /// Whether any id is on more than two spans: then nobody can say who is whose parent.
    more_than_two: bool,
}

impl IdIndex {
    fn new(nodes: &[Node]) -> Self {
        let mut sorted: Vec<(SpanId, u32)> = nodes
            .iter()
            .zip(positions(nodes))
            .map(|(node, i)| (node.span_id, i))
            .collect();
        sorted.sort_unstable();
        let more_than_two = sorted.windows(3).any(|three| three[0].0 == three[2].0);
        Self {
            sorted,
            more_than_two,
        }
    }

    fn parent_of(&self, nodes: &[Node], node: &Node) -> u32 {
        let Some(id) = node.parent else { return NONE };
        let from = self.sorted.partition_point(|(other, _)| *other < id);
        let rest = &self.sorted[from..];
        let candidates = &rest[..rest
            .iter()
            .take(3)
            .take_while(|(other, _)| *other == id)
            .count()];
        match candidates {
            [(_, only)] => *only,
            // Client and server of one call share an id: the server's own span belongs to the
            // client's, everything else happened inside the server.
            [_, _] => {
                let wanted = if node.kind == KIND_SERVER {
                    KIND_CLIENT
                } else {
                    KIND_SERVER
                };
                let of_kind = candidates
                    .iter()
                    .find(|(_, i)| nodes[*i as usize].kind == wanted);
                of_kind.map_or(NONE, |(_, i)| *i)
            }
            _ => NONE,
        }
    }
}

/// Children of every node, in stored order.
struct Children {
    starts: Vec<u32>,
    list: Vec<u32>,
}

impl Children {
    fn new(parents: &[u32]) -> Self {
        let mut starts = vec![0u32; parents.len() + 1];
        for parent in parents.iter().filter(|parent| **parent != NONE) {
            starts[*parent as usize + 1] += 1;
        }
        for i in 1..starts.len() {
            starts[i] += starts[i - 1];
        }
        let mut next = starts.clone();
        let mut list = vec![0u32; starts.last().map_or(0, |n| *n as usize)];
        for (child, parent) in (0u32..).zip(parents) {
            if *parent != NONE {
                let slot = &mut next[*parent as usize];
                list[*slot as usize] = child;
                *slot += 1;
            }
        }
        Self { starts, list }
    }

    /// Number of children; a span that names itself as parent is not its own child.
    fn count(&self, node: u32, parents: &[u32]) -> i32 {
        let node_index = node as usize;
        let own = u32::from(parents[node_index] == node);
        let count = self.starts[node_index + 1] - self.starts[node_index] - own;
        i32::try_from(count).unwrap_or(i32::MAX)
    }
}

struct Walk {
    children: Children,
    rows: Vec<TreeRow>,
    row_of: Vec<u32>,
    /// Whether what is visited now counts as below a root.
    is_below_root: bool,
    /// Rows being descended from, each with the next of its children to visit.
    stack: Vec<(u32, u32)>,
}

impl Walk {
    fn new(parents: &[u32]) -> Self {
        Self {
            children: Children::new(parents),
            rows: Vec::with_capacity(parents.len()),
            row_of: vec![NONE; parents.len()],
            is_below_root: false,
            stack: Vec::new(),
        }
    }

    /// Visits a node as the top of a tree, and all below it that was not visited yet.
    fn descend(&mut self, top: u32) {
        if self.row_of[top as usize] != NONE {
            return;
        }
        self.enter(top);
        while let Some((row, child)) = self.stack.last_mut() {
            let row = *row;
            let node = self.rows[row as usize].node as usize;
            if *child < self.children.starts[node + 1] {
                let next = self.children.list[*child as usize];
                *child += 1;
                if self.row_of[next as usize] == NONE {
                    self.enter(next);
                }
            } else {
                let rows = row_number(self.rows.len());
                self.rows[row as usize].descendants = rows - row - 1;
                self.stack.pop();
            }
        }
    }

    /// Visits a node below those on the stack.
    fn enter(&mut self, node: u32) {
        let row = row_number(self.rows.len());
        let depth = row_i32(self.stack.len() + 1);
        self.row_of[node as usize] = row;
        self.rows.push(TreeRow {
            node,
            depth: if self.is_below_root { depth } else { -depth },
            ..TreeRow::default()
        });
        self.stack.push((row, self.children.starts[node as usize]));
    }
}

#[cfg(test)]
#[path = "tree_tests.rs"]
mod tests;
