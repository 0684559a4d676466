//! The values that most spans have.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::spans::{Side, SpanCounts};
use super::values::{CountedValues, ShownValue};

/// What values are ordered by.
type Rank<'v> = (Reverse<u64>, (&'static str, Cow<'v, str>));

fn commonest_first<'v>(side: Side) -> impl Fn(&(ShownValue<'v>, &SpanCounts)) -> Rank<'v> {
    move |(value, spans)| (Reverse(spans.totals[side as usize]), value.sort_key())
}

/// The values that most spans of a side have. Of those that are equally common, the first in the order
/// of answers are kept.
pub(super) fn commonest(
    values: &CountedValues,
    side: Side,
    top_n: usize,
) -> Vec<(ShownValue<'_>, &SpanCounts)> {
    let total = |spans: &SpanCounts| spans.totals[side as usize];
    if top_n == 0 {
        return Vec::new();
    }
    // How common a value has to be. Most of many values are not, and are never looked at.
    let mut least = 1;
    if values.len() > top_n {
        let mut largest: BinaryHeap<Reverse<u64>> = BinaryHeap::new();
        for spans in values.spans() {
            if largest.len() < top_n {
                largest.push(Reverse(total(spans)));
            } else if largest.peek().is_some_and(|least| least.0 < total(spans)) {
                largest.pop();
                largest.push(Reverse(total(spans)));
            }
        }
        least = largest.peek().map_or(1, |least| least.0.max(1));
    }
    let all = values.shown();
    let all = all.filter(|(_, spans)| total(spans) >= least);
    let order = commonest_first(side);
    let mut kept = Vec::new();
    for value in all {
        kept.push(value);
        // So that of a million values that are equally common few are held at once.
        if kept.len() >= top_n.saturating_mul(2).max(1024) {
            kept.sort_by_cached_key(&order);
            kept.truncate(top_n);
        }
    }
    kept.sort_by_cached_key(&order);
    kept.truncate(top_n);
    kept
}
