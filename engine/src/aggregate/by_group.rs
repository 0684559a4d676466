//! Cells that lie interval by interval, put together group by group.

use super::cell::Cell;
use super::interval_cells::IntervalCells;

use crate::index::index;

/// The groups that are in an answer.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ShownGroups<'a> {
    All,
    /// Of each group, whether it is.
    Some(&'a [bool]),
}

impl<'a> ShownGroups<'a> {
    /// Whether a group is one of them.
    pub(crate) fn contains(self, group: u32) -> bool {
        match self {
            Self::All => true,
            Self::Some(shown) => shown[index(group)],
        }
    }

    /// The cells with something counted of these groups.
    pub(super) fn of<'c, C: Cell>(
        self,
        cells: &'c IntervalCells<C>,
    ) -> impl Iterator<Item = (u32, &'c C)> + use<'a, 'c, C> {
        cells.iter().filter(move |(group, _)| self.contains(*group))
    }
}

/// Values of cells with something counted, in order of their group, then interval.
#[derive(Debug)]
pub(crate) struct ByGroup<V> {
    starts: Starts,
    values: Vec<(u32, V)>,
}

impl<V> ByGroup<V> {
    /// The values of a group with their intervals, ascending.
    pub(crate) fn group(&self, group: usize) -> &[(u32, V)] {
        &self.values[self.starts.0[group]..self.starts.0[group + 1]]
    }
}

/// Where the values of each group start, and in the end how many there are.
#[derive(Debug)]
pub(super) struct Starts(Vec<usize>);

impl Starts {
    /// Of values of these groups, in any order.
    pub(super) fn of(groups: usize, values: impl Iterator<Item = u32>) -> Self {
        let mut starts = vec![0; groups + 1];
        for group in values {
            starts[index(group) + 1] += 1;
        }
        let mut before = 0;
        for start in &mut starts {
            before += *start;
            *start = before;
        }
        Self(starts)
    }

    /// Puts the values of each interval, with their groups, where they belong.
    pub(super) fn fill<V: Copy, I>(self, intervals: impl IntoIterator<Item = I>) -> ByGroup<V>
    where
        I: IntoIterator<Item = (u32, V)>,
    {
        let mut next = self.0.clone();
        let mut values = Vec::new();
        for (interval, of_groups) in (0..).zip(intervals) {
            for (group, value) in of_groups {
                if values.is_empty() {
                    // All places hold some value until they hold theirs.
                    values = vec![(interval, value); self.0.last().copied().unwrap_or(0)];
                }
                let next = &mut next[index(group)];
                values[*next] = (interval, value);
                *next += 1;
            }
        }
        ByGroup {
            starts: self,
            values,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_in_order_of_group_and_interval() {
        let intervals = [vec![(0, 'a'), (2, 'b')], vec![], vec![(2, 'c')]];
        let groups = intervals.iter().flatten().map(|(group, _)| *group);
        let by_group = Starts::of(4, groups).fill(intervals.clone());
        let groups: Vec<_> = (0..4).map(|group| by_group.group(group)).collect();
        let expected: [&[_]; 4] = [&[(0, 'a')], &[], &[(0, 'b'), (2, 'c')], &[]];
        assert_eq!(groups, expected);
        let none = Starts::of(2, std::iter::empty()).fill::<char, Vec<_>>([vec![], vec![]]);
        assert!(none.group(1).is_empty());
    }
}
