//! Some row groups of a block, and over which grid their state is kept.

use engine::{Grid, Placement};
use storage::block::meta::BlockMeta;

/// Most intervals of a state that reaches beyond the window of its query.
const MAX_INTERVALS: u32 = 16_384;

/// Some row groups of a block, ascending, and when the first and the last of their spans start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) row_groups: Vec<usize>,
    pub(super) first_ns: i64,
    pub(super) last_ns: i64,
}

impl Run {
    /// `None` for no row groups, and for some that the catalog does not describe.
    pub(super) fn of(block: &BlockMeta, row_groups: &[usize]) -> Option<Self> {
        let metas = row_groups.iter().map(|&index| block.row_groups.get(index));
        let metas: Vec<_> = metas.collect::<Option<_>>()?;
        Some(Self {
            row_groups: row_groups.to_vec(),
            first_ns: metas.iter().map(|meta| meta.min_start_ns).min()?,
            last_ns: metas.iter().map(|meta| meta.max_start_ns).max()?,
        })
    }

    pub(super) fn overlaps(&self, other: &Self) -> bool {
        let mut groups = self.row_groups.iter();
        groups.any(|group| other.row_groups.contains(group))
    }
}

/// The grid over which the state of a run is kept for queries of some grid, and where that stands in
/// theirs. `None` if no interval does, or the state is not worth keeping: instant queries hardly ever
/// have the same borders twice, so only what lies in one interval is kept of them.
pub(super) fn own_grid(grid: &Grid, run: &Run) -> Option<(Grid, Placement)> {
    let own = grid.covering(run.first_ns, run.last_ns)?;
    let placement = grid.place(&own)?;
    let is_inside = placement.count == own.intervals;
    let is_worth = grid.intervals > 1 && own.intervals <= MAX_INTERVALS;
    (is_inside || is_worth).then_some((own, placement))
}
