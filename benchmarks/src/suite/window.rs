//! Over what time a question is asked, and in what intervals.

use engine::Grid;

use crate::dataset::Dataset;
use crate::error::BenchError;

const SECOND_NS: i64 = 1_000_000_000;
const DAY_S: i64 = 86_400;

/// How the time of the data is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// About so many intervals, as a panel asks for.
    Intervals(i64),
    /// A whole day in steps of 30 s, ending where the data ends.
    Seeker,
    /// All in one interval.
    Whole,
}

/// A time to look at.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Window {
    /// Intervals of whole seconds, on multiples of the step.
    pub(crate) grid: Grid,
    /// `(after, until]` in whole seconds, where that leaves out any of the data.
    pub(crate) bounds_s: Option<(i64, i64)>,
}

impl Window {
    /// All of the data.
    pub(crate) fn whole(dataset: &Dataset, cut: Cut) -> Result<Self, BenchError> {
        let (first, last) = dataset.starts_ns;
        let grid = grid(first, last, cut).ok_or_else(no_grid)?;
        Ok(Self {
            grid,
            bounds_s: None,
        })
    }

    /// The window of a dashboard that was left `steps_ago` steps before the end of the data.
    pub(crate) fn trailing(
        dataset: &Dataset,
        cut: Cut,
        steps_ago: u32,
    ) -> Result<Self, BenchError> {
        if cut == Cut::Whole {
            // Its one step goes back to the epoch; a dashboard asks the same again.
            return Self::whole(dataset, cut);
        }
        let whole = Self::whole(dataset, cut)?.grid;
        let moved_ns = whole.step_ns * i64::from(steps_ago);
        let first = whole.sample_ns(0) - moved_ns;
        let last = whole.end_ns() - moved_ns;
        let grid = Grid::of_samples(first, last, whole.step_ns).ok_or_else(no_grid)?;
        let bounds = (
            (first - whole.step_ns).div_euclid(SECOND_NS),
            last.div_euclid(SECOND_NS),
        );
        Ok(Self {
            grid,
            bounds_s: Some(bounds),
        })
    }

    /// Length of an interval in whole seconds.
    pub(crate) fn step_s(&self) -> i64 {
        self.grid.step_ns / SECOND_NS
    }

    /// The number that SQL gives to interval `index`: intervals are counted from the epoch by their
    /// end.
    pub(crate) fn bin(&self, index: u32) -> i64 {
        self.grid.sample_ns(index) / self.grid.step_ns
    }
}

fn no_grid() -> BenchError {
    BenchError::Input("the spans' times make no grid".to_owned())
}

fn grid(first_ns: i64, last_ns: i64, cut: Cut) -> Option<Grid> {
    let length_s = (last_ns - first_ns).div_euclid(SECOND_NS).max(0);
    match cut {
        Cut::Intervals(count) => {
            let step_ns = (length_s / count + 1) * SECOND_NS;
            Grid::aligned(first_ns, last_ns, step_ns)
        }
        Cut::Seeker => {
            let first_ns = first_ns.min(last_ns - DAY_S * SECOND_NS);
            Grid::aligned(first_ns, last_ns, 30 * SECOND_NS)
        }
        Cut::Whole => {
            // One interval on a multiple of its own length that holds everything.
            let step_ns = (last_ns / SECOND_NS + 1) * SECOND_NS;
            Grid::of_samples(step_ns, step_ns, step_ns)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cut_holds_the_data() {
        let (first, last) = (1_767_592_800_000_000_001, 1_767_614_400_000_000_001);
        for cut in [
            Cut::Intervals(240),
            Cut::Intervals(24),
            Cut::Seeker,
            Cut::Whole,
        ] {
            let grid = grid(first, last, cut).unwrap();
            assert!(grid.is_whole_seconds(), "{cut:?}");
            assert!(grid.interval_of(first).is_some(), "{cut:?}");
            assert!(grid.interval_of(last).is_some(), "{cut:?}");
        }
        assert!(grid(first, last, Cut::Seeker).unwrap().intervals >= 2880);
        assert_eq!(grid(first, last, Cut::Whole).unwrap().intervals, 1);
    }
}
