//! The time grid of a metrics query: which interval a span start belongs to.

/// Consecutive intervals of one length.
///
/// Interval `i` is left-open and right-closed, `(start + i·step, start + (i+1)·step]`, and its sample
/// bears the interval's end: a point at `t` describes `(t − step, t]`, as in Prometheus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Grid {
    /// Exclusive start of the first interval, ns since the epoch.
    pub start_ns: i64,
    /// Length of an interval in ns, above zero.
    pub step_ns: i64,
    /// Number of intervals, above zero.
    pub intervals: u32,
}

/// Which intervals of a part count in a whole, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placement {
    /// The first interval of the part that counts.
    pub from: u32,
    /// How many count.
    pub count: u32,
    /// The interval of the whole that the first of them is.
    pub at: u32,
}

impl Grid {
    /// The one interval `(start_ns, end_ns]` of an instant query.
    ///
    /// `None` unless `start_ns < end_ns`.
    #[must_use]
    pub fn instant(start_ns: i64, end_ns: i64) -> Option<Self> {
        let step_ns = end_ns.checked_sub(start_ns)?;
        (step_ns > 0).then_some(Self {
            start_ns,
            step_ns,
            intervals: 1,
        })
    }

    /// The grid whose samples stand at `first_ns, first_ns + step_ns, … ≤ last_ns`.
    ///
    /// `None` if `step_ns` is not positive, the end lies before the start, or the grid leaves the
    /// range of 64-bit nanoseconds.
    #[must_use]
    pub fn of_samples(first_ns: i64, last_ns: i64, step_ns: i64) -> Option<Self> {
        let span = last_ns.checked_sub(first_ns)?;
        if step_ns <= 0 || span < 0 {
            return None;
        }
        let start_ns = first_ns.checked_sub(step_ns)?;
        let intervals = u32::try_from(span / step_ns).ok()?.checked_add(1)?;
        Some(Self {
            start_ns,
            step_ns,
            intervals,
        })
    }

    /// The grid of a Tempo range query: both ends aligned outwards to multiples of the step counted
    /// from the epoch, with one extra interval in front.
    #[must_use]
    pub fn aligned(start_ns: i64, end_ns: i64, step_ns: i64) -> Option<Self> {
        if step_ns <= 0 {
            return None;
        }
        let first = start_ns.div_euclid(step_ns).checked_mul(step_ns)?;
        let floor = end_ns.div_euclid(step_ns).checked_mul(step_ns)?;
        let last = if floor == end_ns {
            floor
        } else {
            floor.checked_add(step_ns)?
        };
        Self::of_samples(first, last, step_ns)
    }

    /// Inclusive end of the last interval, ns since the epoch.
    #[must_use]
    pub fn end_ns(&self) -> i64 {
        self.start_ns
            .saturating_add(self.step_ns.saturating_mul(i64::from(self.intervals)))
    }

    /// Time of the sample of interval `index`: the interval's end, ns since the epoch.
    #[must_use]
    pub fn sample_ns(&self, index: u32) -> i64 {
        self.start_ns
            .saturating_add(self.step_ns.saturating_mul(i64::from(index) + 1))
    }

    /// The interval that a span starting at `start_ns` belongs to, if any.
    #[must_use]
    pub fn interval_of(&self, start_ns: i64) -> Option<u32> {
        if start_ns <= self.start_ns || start_ns > self.end_ns() {
            return None;
        }
        u32::try_from((start_ns - self.start_ns - 1) / self.step_ns).ok()
    }

    /// The smallest grid with borders where this one has them that holds these times.
    ///
    /// `None` if it has more than `u32::MAX` intervals or leaves the range of 64-bit nanoseconds.
    #[must_use]
    pub fn covering(&self, first_ns: i64, last_ns: i64) -> Option<Self> {
        let (start, step) = (i128::from(self.start_ns), i128::from(self.step_ns));
        // The border before a time, which is the start of its interval: a time on a border ends one.
        let border = |time_ns: i64| (i128::from(time_ns) - 1 - start).div_euclid(step);
        let (first, last) = (border(first_ns), border(last_ns));
        let start_ns = i64::try_from(start + first * step).ok()?;
        i64::try_from(start + (last + 1) * step).ok()?;
        let intervals = u32::try_from(last - first + 1).ok()?;
        (intervals > 0).then_some(Self {
            start_ns,
            step_ns: self.step_ns,
            intervals,
        })
    }

    /// Where the intervals of another grid with borders in the same places stand in this one; `None`
    /// if none of them does, or its borders are elsewhere.
    #[must_use]
    pub fn place(&self, part: &Self) -> Option<Placement> {
        let distance = part.start_ns.checked_sub(self.start_ns)?;
        if part.step_ns != self.step_ns || distance % self.step_ns != 0 {
            return None;
        }
        let distance = distance / self.step_ns;
        let from = (-distance).clamp(0, part.intervals.into());
        let end = (i64::from(self.intervals) - distance).clamp(0, part.intervals.into());
        let number = |value: i64| u32::try_from(value).ok();
        (from < end).then_some(Placement {
            from: number(from)?,
            count: number(end - from)?,
            at: number(distance + from)?,
        })
    }

    /// Distance of the borders from multiples of the step, in ns.
    #[must_use]
    pub const fn phase_ns(&self) -> i64 {
        self.start_ns.rem_euclid(self.step_ns)
    }

    /// Whether every border is a whole second, so that the start rounded up to a second decides
    /// the interval as exactly as the start itself.
    #[must_use]
    pub fn is_whole_seconds(&self) -> bool {
        const SECOND_NS: i64 = 1_000_000_000;
        self.start_ns % SECOND_NS == 0 && self.step_ns % SECOND_NS == 0
    }

    /// Length of an interval in seconds.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        reason = "a step beyond 2^53 ns is 104 days; its rate keeps 15 digits"
    )]
    pub fn step_seconds(&self) -> f64 {
        self.step_ns as f64 / 1e9
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: i64 = 1_000_000_000;

    #[test]
    fn aligns_outwards_with_one_interval_in_front() {
        let grid = Grid::aligned(12 * S, 38 * S, 10 * S).expect("valid grid");
        let samples: Vec<_> = (0..grid.intervals).map(|i| grid.sample_ns(i) / S).collect();
        assert_eq!(samples, [10, 20, 30, 40]);
    }

    #[test]
    fn intervals_are_left_open_and_right_closed() {
        let grid = Grid::aligned(12 * S, 38 * S, 10 * S).expect("valid grid");
        assert_eq!(grid.interval_of(0), None);
        assert_eq!(grid.interval_of(1), Some(0));
        assert_eq!(grid.interval_of(10 * S), Some(0));
        assert_eq!(grid.interval_of(10 * S + 1), Some(1));
        assert_eq!(grid.interval_of(40 * S), Some(3));
        assert_eq!(grid.interval_of(40 * S + 1), None);
    }

    #[test]
    fn a_covering_grid_is_tight_and_fits_in() {
        let grid = Grid::aligned(12 * S, 38 * S, 10 * S).expect("valid grid");
        let of = |first, last| grid.covering(first, last).expect("few intervals");
        let borders = |grid: Grid| (grid.start_ns, grid.end_ns());
        assert_eq!(borders(of(1, 1)), (0, 10 * S));
        assert_eq!(borders(of(10 * S, 10 * S)), (0, 10 * S));
        assert_eq!(borders(of(10 * S, 10 * S + 1)), (0, 20 * S));
        assert_eq!(borders(of(-1, 61 * S)), (-10 * S, 70 * S));
        assert_eq!(grid.covering(i64::MIN, 0), None);
        assert_eq!(grid.covering(0, i64::MAX), None);

        let place = |part| {
            let Placement { from, count, at } = grid.place(&part)?;
            Some((from, count, at))
        };
        // The grid is of (0 s, 40 s].
        assert_eq!(place(of(11 * S, 12 * S)), Some((0, 1, 1)));
        assert_eq!(place(of(-15 * S, 15 * S)), Some((2, 2, 0)));
        assert_eq!(place(of(31 * S, 99 * S)), Some((0, 1, 3)));
        assert_eq!(place(of(-15 * S, 99 * S)), Some((2, 4, 0)));
        assert_eq!(place(of(-15 * S, 0)), None);
        assert_eq!(place(of(41 * S, 99 * S)), None);
        let shifted = Grid {
            start_ns: 1,
            ..grid
        };
        assert_eq!(place(shifted), None);
        assert_ne!(shifted.phase_ns(), grid.phase_ns());
        assert_eq!(of(-15 * S, 0).phase_ns(), grid.phase_ns());
    }

    #[test]
    fn refuses_what_is_no_grid() {
        assert_eq!(Grid::of_samples(5, 4, 1), None);
        assert_eq!(Grid::of_samples(0, 4, 0), None);
        assert_eq!(Grid::instant(3, 3), None);
        assert_eq!(Grid::of_samples(0, i64::MAX, 1), None);
    }
}
