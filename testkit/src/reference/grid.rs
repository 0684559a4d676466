//! The intervals a metrics query is evaluated on.

/// Intervals of equal length: the `i`-th is `(start + i·step, start + (i + 1)·step]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grid {
    /// Start of the first interval, epoch ns; itself outside.
    pub start_ns: i64,
    /// Length of an interval in ns, positive.
    pub step_ns: i64,
    /// How many intervals there are; an instant query has one.
    pub intervals: usize,
}

impl Grid {
    /// The grid of a range query: aligned to the step, with one more interval in front.
    #[must_use]
    pub fn range(start_ns: i64, end_ns: i64, step_ns: i64) -> Self {
        let start_step = start_ns.div_euclid(step_ns) - 1;
        let end_step = end_ns.div_euclid(step_ns) + i64::from(end_ns.rem_euclid(step_ns) != 0);
        let intervals = usize::try_from(end_step - start_step).unwrap_or(0);
        Self {
            start_ns: start_step * step_ns,
            step_ns,
            intervals,
        }
    }

    /// The grid of an instant query: `(start, end]`.
    #[must_use]
    pub fn instant(start_ns: i64, end_ns: i64) -> Self {
        Self {
            start_ns,
            step_ns: end_ns - start_ns,
            intervals: 1,
        }
    }

    /// The interval a span that starts at `time_ns` belongs to; `None` outside the grid.
    #[must_use]
    pub fn interval_of(&self, time_ns: i64) -> Option<usize> {
        // In i128, for spans may claim to start at either end of time.
        let offset_ns = i128::from(time_ns) - i128::from(self.start_ns);
        let interval = (offset_ns - 1).div_euclid(i128::from(self.step_ns));
        usize::try_from(interval)
            .ok()
            .filter(|&interval| interval < self.intervals)
    }

    /// The time a sample of the interval bears: its end.
    #[must_use]
    pub fn sample_time_ns(&self, interval: usize) -> i64 {
        self.start_ns + self.step_ns * (interval as i64 + 1)
    }

    /// The step in seconds.
    #[must_use]
    pub fn step_seconds(&self) -> f64 {
        self.step_ns as f64 / 1e9
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: i64 = 1_000_000_000;

    #[test]
    fn examples_of_the_specification() {
        let grid = Grid::range(12 * S, 38 * S, 10 * S);
        let times: Vec<i64> = (0..grid.intervals)
            .map(|it| grid.sample_time_ns(it) / S)
            .collect();
        assert_eq!(times, [10, 20, 30, 40]);
        let starts = [
            10 * S,
            10 * S + 1,
            15 * S,
            20 * S,
            35 * S,
            35 * S + S / 2,
            40 * S,
        ];
        let intervals: Vec<_> = starts
            .iter()
            .map(|&start| grid.interval_of(start))
            .collect();
        assert_eq!(intervals, [0, 1, 1, 1, 3, 3, 3].map(Some));
        assert_eq!(
            (grid.interval_of(0), grid.interval_of(40 * S + 1)),
            (None, None)
        );
        assert_eq!(
            (grid.interval_of(i64::MIN), grid.interval_of(i64::MAX)),
            (None, None)
        );
    }

    #[test]
    fn instant_excludes_start_and_includes_end() {
        let grid = Grid::instant(10 * S, 40 * S);
        assert_eq!(grid.interval_of(10 * S), None);
        assert_eq!(grid.interval_of(40 * S), Some(0));
    }
}
