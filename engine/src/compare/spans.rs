//! Spans by where they are counted: side and interval.

use crate::grid::{Grid, Placement};

/// Which spans are counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Baseline = 0,
    Selection = 1,
}

impl Side {
    pub(super) const BOTH: [Self; 2] = [Self::Baseline, Self::Selection];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Baseline => "baseline",
            Self::Selection => "selection",
        }
    }
}

/// Number of places on a grid: one for each interval and side.
pub(crate) const fn place_count(grid: &Grid) -> usize {
    2 * grid.intervals as usize
}

/// The place of a side in an interval.
pub(crate) const fn place(interval: u32, side: Side) -> u32 {
    2 * interval + side as u32
}

/// The side of a place.
pub(super) const fn side_of(place: u32) -> usize {
    (place & 1) as usize
}

/// Spans of one value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct SpanCounts {
    /// By side.
    pub(super) totals: [u64; 2],
    /// By place, ascending, without zeros; only where there are several intervals.
    pub(super) by_place: Vec<(u32, u64)>,
}

impl SpanCounts {
    /// Counts spans at a place. Returns how many places more there are.
    pub(super) fn add(&mut self, place: u32, spans: u64, by_place: bool) -> usize {
        self.totals[side_of(place)] += spans;
        if !by_place {
            return 0;
        }
        // Spans come about in the order of time, so it is mostly one of the last.
        match self.by_place.last_mut() {
            Some((last, count)) if *last == place => {
                *count += spans;
                0
            }
            Some((last, _)) if *last > place => {
                match self.by_place.binary_search_by_key(&place, |(at, _)| *at) {
                    Ok(at) => {
                        self.by_place[at].1 += spans;
                        0
                    }
                    Err(at) => {
                        self.by_place.insert(at, (place, spans));
                        1
                    }
                }
            }
            _ => {
                self.by_place.push((place, spans));
                1
            }
        }
    }

    /// Adds the spans of another. Returns how many places more there are.
    pub(super) fn add_all(&mut self, other: &Self) -> usize {
        for (total, spans) in self.totals.iter_mut().zip(other.totals) {
            *total += spans;
        }
        let before = self.by_place.len();
        self.by_place.extend(&other.by_place);
        // Of two ordered halves this is a merge.
        self.by_place.sort_by_key(|(place, _)| *place);
        self.by_place.dedup_by(|next, held| {
            let is_same = next.0 == held.0;
            if is_same {
                held.1 += next.1;
            }
            is_same
        });
        self.by_place.len() - before
    }

    /// Those of some intervals, by their places in a whole. `by_place` is whether they are told apart by
    /// interval; there is one otherwise.
    pub(super) fn part(&self, placement: Placement, by_place: bool, into: &mut Vec<(u32, u64)>) {
        into.clear();
        let Placement { from, count, at } = placement;
        let [baseline, selection] = self.totals;
        let only = [
            (place(0, Side::Baseline), baseline),
            (place(0, Side::Selection), selection),
        ];
        let counts: &[(u32, u64)] = if by_place { &self.by_place } else { &only };
        let first = place(from, Side::Baseline);
        let end = place(from.saturating_add(count), Side::Baseline);
        let start = counts.partition_point(|(place, _)| *place < first);
        let inside = counts[start..].iter();
        let inside = inside.take_while(|(place, _)| *place < end);
        let moved = place(at, Side::Baseline);
        into.extend(
            inside
                .filter(|(_, spans)| *spans > 0)
                .map(|(place, spans)| (place - first + moved, *spans)),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_come_in_any_order_of_intervals() {
        let mut spans = SpanCounts::default();
        let added: usize = [3, 3, 1, 7, 3, 1, 0]
            .into_iter()
            .map(|place| spans.add(place, 1, true))
            .sum();
        assert_eq!(added, 4);
        assert_eq!(spans.by_place, [(0, 1), (1, 2), (3, 3), (7, 1)]);
        assert_eq!(spans.totals, [1, 6]);
        let mut other = SpanCounts::default();
        for place in [2, 3, 9] {
            other.add(place, 10, true);
        }
        assert_eq!(spans.add_all(&other), 2);
        let merged = [(0, 1), (1, 2), (2, 10), (3, 13), (7, 1), (9, 10)];
        assert_eq!(spans.by_place, merged);
        assert_eq!(spans.totals, [11, 26]);
    }

    #[test]
    fn a_part_of_the_intervals_counts_elsewhere() {
        let placement = |from, count, at| Placement { from, count, at };
        let mut spans = SpanCounts::default();
        for (at, count) in [(0, 1), (2, 2), (3, 3), (4, 4), (7, 5)] {
            spans.add(at, count, true);
        }
        let part = |spans: &SpanCounts, placement, by_place| {
            let mut into = Vec::new();
            spans.part(placement, by_place, &mut into);
            into
        };
        let placed = part(&spans, placement(1, 2, 5), true);
        assert_eq!(placed, [(10, 2), (11, 3), (12, 4)]);
        let mut only = SpanCounts::default();
        only.add(1, 7, false);
        assert_eq!(part(&only, placement(0, 1, 3), false), [(7, 7)]);
        assert_eq!(part(&only, placement(0, 0, 3), false), []);
        assert_eq!(part(&only, placement(1, 1, 0), false), []);
    }
}
