//! Where the spans of some neighbouring rows are counted.

use arrow::array::{Array, BooleanArray};
use storage::block::encoded::Bits;

use super::spans::{Side, place};
use crate::aggregate::interval::OUTSIDE;

/// The place of each of some rows, as far as they count.
#[derive(Debug)]
pub(crate) struct Places {
    /// Rows that count.
    kept: Bits,
    /// Those of them that are of the selection.
    selected: Bits,
    intervals: RowIntervals,
    /// How many rows count at which place. A place may come again.
    counts: Vec<(u32, u64)>,
    keeps_all: bool,
}

/// In which intervals rows are.
#[derive(Debug)]
pub(crate) enum RowIntervals {
    /// All in one.
    Same(u32),
    /// Row by row; [`OUTSIDE`] for what does not count.
    Each(Vec<u32>),
}

impl Places {
    /// The places of the rows that are `kept` and in an interval; some are `selected`.
    pub(crate) fn new(mut kept: Bits, mut selected: Bits, intervals: RowIntervals) -> Self {
        if let RowIntervals::Each(intervals) = &intervals {
            let inside = (0..).zip(intervals).filter(|(_, at)| **at != OUTSIDE);
            let inside: Vec<u32> = inside.map(|(row, _)| row).collect();
            if inside.len() < intervals.len() {
                kept.retain(&Bits::listed(&inside, kept.len()));
            }
        }
        selected.retain(&kept);
        let count = kept.count();
        let mut places = Self {
            keeps_all: count == kept.len(),
            counts: Vec::new(),
            kept,
            selected,
            intervals,
        };
        places.counts = places.count(count);
        places
    }

    /// The places of rows of these intervals, some of which are of the selection.
    pub(crate) fn of(intervals: Vec<u32>, selected: &BooleanArray) -> Self {
        let rows = intervals.len();
        let mut bits = Bits::default();
        for row in 0..rows {
            let is_selected = selected.is_valid(row) && selected.value(row);
            bits.push_same(is_selected, 1);
        }
        let intervals = match intervals.first() {
            Some(&first) if intervals.iter().all(|interval| *interval == first) => {
                RowIntervals::Same(first)
            }
            _ => RowIntervals::Each(intervals),
        };
        Self::new(Bits::same(true, rows), bits, intervals)
    }

    fn count(&self, kept: usize) -> Vec<(u32, u64)> {
        if let RowIntervals::Same(interval) = self.intervals {
            let selected = self.selected.count();
            return vec![
                (place(interval, Side::Baseline), (kept - selected) as u64),
                (place(interval, Side::Selection), selected as u64),
            ];
        }
        let mut counts: Vec<(u32, u64)> = Vec::new();
        for row in self.kept.ones() {
            let place = self.of_row(row);
            match counts.last_mut() {
                Some((last, rows)) if *last == place => *rows += 1,
                _ => counts.push((place, 1)),
            }
        }
        counts
    }

    /// The place of a row that counts.
    #[inline]
    pub(super) fn of_row(&self, row: usize) -> u32 {
        let interval = match &self.intervals {
            RowIntervals::Same(interval) => *interval,
            RowIntervals::Each(intervals) => intervals.get(row).copied().unwrap_or_default(),
        };
        let side = if self.selected.get(row) {
            Side::Selection
        } else {
            Side::Baseline
        };
        place(interval, side)
    }

    /// Rows that count.
    pub(super) fn kept(&self) -> &Bits {
        &self.kept
    }

    /// Whether all rows count.
    pub(super) fn keeps_all(&self) -> bool {
        self.keeps_all
    }

    /// Rows of the selection.
    pub(super) fn selected(&self) -> &Bits {
        &self.selected
    }

    /// The interval that all rows are in, if there is one.
    pub(super) fn interval(&self) -> Option<u32> {
        match self.intervals {
            RowIntervals::Same(interval) => Some(interval),
            RowIntervals::Each(_) => None,
        }
    }

    /// How many rows count at which place. A place may come again.
    pub(super) fn counts(&self) -> &[(u32, u64)] {
        &self.counts
    }

    /// Whether no row counts.
    pub(crate) fn is_empty(&self) -> bool {
        self.counts.iter().all(|(_, rows)| *rows == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_outside_do_not_count() {
        let kept = Bits::listed(&[0, 1, 2, 4], 5);
        let selected = Bits::listed(&[1, 2, 3], 5);
        let intervals = RowIntervals::Each(vec![0, 0, OUTSIDE, 1, 1]);
        let places = Places::new(kept, selected, intervals);
        assert_eq!(places.kept().ones().collect::<Vec<_>>(), [0, 1, 4]);
        assert_eq!(places.selected().ones().collect::<Vec<_>>(), [1]);
        assert_eq!(places.counts(), [(0, 1), (1, 1), (2, 1)]);
        assert_eq!([0, 1, 4].map(|row| places.of_row(row)), [0, 1, 2]);
        assert!(!places.keeps_all() && !places.is_empty());
    }

    #[test]
    fn one_interval_is_counted_at_once() {
        let selected = BooleanArray::from(vec![Some(true), None, Some(false), Some(true)]);
        let places = Places::of(vec![3; 4], &selected);
        assert_eq!(places.interval(), Some(3));
        assert!(places.keeps_all());
        assert_eq!(places.counts(), [(6, 2), (7, 2)]);
    }
}
