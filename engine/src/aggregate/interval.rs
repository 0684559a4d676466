//! From a time to the interval it belongs to.

/// Finds intervals of a grid, fast where times come nearly in order.
///
/// Works in whatever unit the time column has: start and step must be in the same one.
#[derive(Debug, Clone)]
pub(crate) struct IntervalCursor {
    start: i64,
    step: i64,
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
            end,
            low: start,
            high: start,
            index: 0,
        }
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

#[cfg(test)]
mod tests {
    use super::IntervalCursor;

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
}
