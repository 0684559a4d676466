//! The window around which traces lie.

use crate::reference::Grid;

/// Length of the intervals around whose borders spans start.
pub const NASTY_STEP_NS: i64 = 10_000_000_000;

/// Start of the window; spans start in its intervals, at their borders, and outside.
pub(in crate::generate) const WINDOW_START_NS: i64 = 1_700_000_000_000_000_000;

pub(super) const INTERVALS: usize = 4;

/// The grid that goes with [`nasty_traces`](super::nasty_traces).
#[must_use]
pub fn nasty_grid() -> Grid {
    Grid {
        start_ns: WINDOW_START_NS,
        step_ns: NASTY_STEP_NS,
        intervals: INTERVALS,
    }
}
