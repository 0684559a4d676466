use super::*;

const SERVER: i32 = 2;
const CLIENT: i32 = 3;

fn id(number: u64) -> SpanId {
    SpanId(number.to_be_bytes())
}

/// Nodes from (id, parent, kind); parent 0 is none.
fn nodes(spans: &[(u64, u64, i32)]) -> Vec<Node> {
    let node = |(span, parent, kind): &(u64, u64, i32)| Node {
        span_id: id(*span),
        parent: (*parent != 0).then(|| id(*parent)),
        kind: *kind,
    };
    spans.iter().map(node).collect()
}

/// Each row as (id, depth, descendants, children).
type Seen = (u64, i32, u32, i32);

fn check(spans: &[(u64, u64, i32)], expected: &[Seen]) {
    let (rows, _) = arrange(&nodes(spans));
    let seen: Vec<Seen> = rows
        .iter()
        .map(|row| {
            let id = spans[row.node as usize].0;
            (id, row.depth, row.descendants, row.child_count)
        })
        .collect();
    assert_eq!(seen, expected);
}

#[test]
fn one_root_with_a_chain_and_a_missing_parent() {
    check(
        &[
            (1, 0, 0),
            (2, 1, 0),
            (3, 2, 0),
            (4, 1, 0),
            (5, 99, 0),
            (6, 5, 0),
        ],
        &[
            (1, 1, 3, 2),
            (2, 2, 1, 1),
            (3, 3, 0, 0),
            (4, 2, 0, 0),
            (5, -1, 1, 1),
            (6, -2, 0, 0),
        ],
    );
}

#[test]
fn the_last_of_two_roots_names_the_trace() {
    check(&[(11, 0, 0), (12, 0, 0)], &[(11, 1, 0, 0), (12, 1, 0, 0)]);
    let (_, root) = arrange(&nodes(&[(11, 0, 0), (12, 0, 0)]));
    assert_eq!(root, Some(1));
}

#[test]
fn without_a_root_all_depths_are_negative() {
    check(&[(1, 9, 0), (2, 1, 0)], &[(1, -1, 1, 0), (2, -2, 0, 0)]);
}

#[test]
fn children_stay_in_stored_order_below_their_parent() {
    check(
        &[(3, 1, 0), (1, 0, 0), (2, 1, 0)],
        &[(1, 1, 2, 2), (3, 2, 0, 0), (2, 2, 0, 0)],
    );
}

#[test]
fn client_and_server_may_share_an_id() {
    // The client is the root's child, the server the client's, the rest the server's.
    check(
        &[
            (1, 0, SERVER),
            (2, 1, CLIENT),
            (2, 2, SERVER),
            (3, 2, 1),
            (4, 2, SERVER),
        ],
        &[
            (1, 1, 4, 1),
            (2, 2, 3, 2),
            (2, 3, 1, 1),
            (3, 4, 0, 0),
            (4, 3, 0, 0),
        ],
    );
}

#[test]
fn two_of_an_id_without_the_wanted_kind_have_no_children() {
    check(
        &[(1, 0, 0), (2, 1, 1), (2, 1, 1), (3, 2, 0)],
        &[(1, 1, 2, 2), (2, 2, 0, 0), (2, 2, 0, 0), (3, -1, 0, 0)],
    );
}

#[test]
fn three_of_an_id_make_all_depths_negative() {
    check(
        &[(1, 0, 0), (2, 1, 0), (2, 1, 0), (2, 1, 0)],
        &[(1, -1, 3, 0), (2, -2, 0, 0), (2, -2, 0, 0), (2, -2, 0, 0)],
    );
}

#[test]
fn circles_open_at_their_first_span() {
    // 3 -> 2 -> 4 -> 3 is a circle, 5 hangs on it, 6 is its own parent.
    check(
        &[
            (1, 0, 0),
            (5, 2, 0),
            (4, 2, 0),
            (2, 3, 0),
            (3, 4, 0),
            (6, 6, 0),
        ],
        &[
            (1, 1, 0, 0),
            (4, -1, 3, 1),
            (3, -2, 2, 1),
            (2, -3, 1, 2),
            (5, -4, 0, 0),
            (6, -1, 0, 0),
        ],
    );
}

#[test]
fn a_very_long_chain_costs_no_stack() {
    let spans: Vec<(u64, u64, i32)> = (1..=1_000_000).map(|i| (i, i - 1, 0)).collect();
    let (rows, _) = arrange(&nodes(&spans));
    assert_eq!((rows[0].depth, rows[0].descendants), (1, 999_999));
    assert!((1..).zip(&rows).all(|(depth, row)| row.depth == depth));
    let circle: Vec<(u64, u64, i32)> = (1..=300_000)
        .map(|i| (i, if i == 1 { 300_000 } else { i - 1 }, 0))
        .collect();
    let (rows, root) = arrange(&nodes(&circle));
    assert_eq!((rows.len(), root), (300_000, None));
}
