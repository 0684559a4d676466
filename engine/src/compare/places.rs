//! Where the spans of a batch are counted.

use arrow::array::{Array, BooleanArray};

use super::tally::{Side, place};

/// The place of each row of a batch.
#[derive(Debug, Default)]
pub(super) struct Places {
    pub(super) of_row: Vec<u32>,
    /// The same by runs: a place, and how many rows have it.
    pub(super) runs: Vec<(u32, u32)>,
}

impl Places {
    /// The places of rows of these intervals, some of which are of the selection.
    pub(super) fn new(intervals: &[u32], selected: &BooleanArray) -> Self {
        let side = |row: usize| {
            if selected.is_valid(row) && selected.value(row) {
                Side::Selection
            } else {
                Side::Baseline
            }
        };
        let rows = intervals.iter().enumerate();
        let of_row: Vec<u32> = rows
            .map(|(row, &interval)| place(interval, side(row)))
            .collect();
        let mut runs: Vec<(u32, u32)> = Vec::new();
        for &place in &of_row {
            match runs.last_mut() {
                Some((last, rows)) if *last == place => *rows += 1,
                _ => runs.push((place, 1)),
            }
        }
        Self { of_row, runs }
    }
}
