//! From a time to the interval it belongs to.

/// Finds intervals of a grid, fast where times come nearly in order.
///
/// Works in whatever unit the time column has: start and step must be in the same one.
#[derive(Debug, Clone)]
pub(crate) struct IntervalCursor {
    start: i64,
    step: i64,
    intervals: usize,
    end: i64,
    /// The interval found last, as `(low, high]`, and its index.
    low: i64,
    high: i64,
    index: usize,
}

impl IntervalCursor {
    /// A cursor over `intervals` intervals of length `step`, the first one `(start, start + step]`.
    pub(crate) fn new(start: i64, step: i64, intervals: u32) -> Self {
        let end = start.saturating_add(step.saturating_mul(i64::from(intervals)));
        Self {
            start,
            step,
            intervals: usize::try_from(intervals).unwrap_or(usize::MAX),
            end,
            low: start,
            high: start,
            index: 0,
        }
    }

    /// Number of intervals.
    pub(crate) fn intervals(&self) -> usize {
        self.intervals
    }

    /// The interval that the first of these times belongs to, if any, and how many of the times,
    /// counted from the first, belong to it as well.
    #[inline]
    pub(crate) fn run(&mut self, times: &[i64]) -> (Option<usize>, usize) {
        let Some(interval) = times.first().and_then(|&time| self.find(time)) else {
            return (None, 1);
        };
        let inside = |time: &&i64| **time > self.low && **time <= self.high;
        (Some(interval), times.iter().take_while(inside).count())
    }

    /// The interval that `time` belongs to, if any.
    #[inline]
    pub(crate) fn find(&mut self, time: i64) -> Option<usize> {
        // Traces are stored by start time, so most spans fall where the last one fell: one
        // comparison instead of a division.
        if time > self.low && time <= self.high {
            return Some(self.index);
        }
        if time <= self.start || time > self.end {
            return None;
        }
        let index = (time - self.start - 1) / self.step;
        self.low = self.start + index * self.step;
        self.high = self.low + self.step;
        self.index = usize::try_from(index).ok()?;
        Some(self.index)
    }
}

/// The interval of what is outside the grid.
pub(crate) const OUTSIDE: u32 = u32::MAX;

/// When the spans of some rows start.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Moments<'a> {
    /// At these times, in the unit of the grid.
    Times(&'a [i64]),
    /// In these intervals, or [`OUTSIDE`].
    Intervals(&'a [u32]),
    /// All in one interval.
    Same {
        /// Which.
        interval: usize,
        /// How many rows there are.
        rows: usize,
    },
}

impl Moments<'_> {
    /// Number of rows.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Times(times) => times.len(),
            Self::Intervals(intervals) => intervals.len(),
            Self::Same { rows, .. } => *rows,
        }
    }

    /// The interval of a row, if any, and how many rows, counted from this one, are certain to be
    /// treated as it is.
    #[inline]
    pub(crate) fn run(&self, row: usize, cursor: &mut IntervalCursor) -> (Option<usize>, usize) {
        match self {
            Self::Times(times) => cursor.run(&times[row..]),
            Self::Intervals(intervals) => {
                let intervals = &intervals[row..];
                let Some(&first) = intervals.first() else {
                    return (None, 1);
                };
                let length = intervals.iter().take_while(|other| **other == first);
                let length = length.count();
                let inside = (first != OUTSIDE).then(|| usize::try_from(first).ok());
                (inside.flatten(), length)
            }
            Self::Same { interval, rows } => (Some(*interval), rows - row),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{IntervalCursor, Moments, OUTSIDE};

    #[test]
    fn moments_in_intervals_run_as_long_as_they_are_equal() {
        let mut cursor = IntervalCursor::new(0, 10, 3);
        let moments = Moments::Intervals(&[2, 2, OUTSIDE, OUTSIDE, 0]);
        assert_eq!(moments.run(0, &mut cursor), (Some(2), 2));
        assert_eq!(moments.run(2, &mut cursor), (None, 2));
        assert_eq!(moments.run(4, &mut cursor), (Some(0), 1));
        let same = Moments::Same {
            interval: 1,
            rows: 5,
        };
        assert_eq!(same.run(2, &mut cursor), (Some(1), 3));
    }

    #[test]
    fn agrees_with_the_definition_in_any_order() {
        let times = [-1, 0, 1, 10, 11, 9, 30, 31, 20, 21, 5];
        let mut cursor = IntervalCursor::new(0, 10, 3);
        let found: Vec<_> = times.iter().map(|&t| cursor.find(t)).collect();
        let expected = [
            None,
            None,
            Some(0),
            Some(0),
            Some(1),
            Some(0),
            Some(2),
            None,
            Some(1),
            Some(2),
            Some(0),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn runs_are_of_one_interval() {
        let times = [-1, 31, 1, 5, 10, 11, 9, 30];
        let mut cursor = IntervalCursor::new(0, 10, 3);
        let mut rest = &times[..];
        let mut runs = Vec::new();
        while !rest.is_empty() {
            let (interval, length) = cursor.run(rest);
            runs.push((interval, length));
            rest = &rest[length..];
        }
        let expected = [
            (None, 1),
            (None, 1),
            (Some(0), 3),
            (Some(1), 1),
            (Some(0), 1),
            (Some(2), 1),
        ];
        assert_eq!(runs, expected);
    }
}
