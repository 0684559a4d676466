//! The cells of all groups in one interval.
//!
//! Few groups stand in a vector by their number. But of a hundred thousand users a handful is seen in
//! any one minute; of so many groups only those with something counted have a cell.

use hashbrown::HashMap;
use hashbrown::hash_map::Entry;

use super::cell::Cell;

use crate::index::index;

/// So many groups all have a cell, counted or not.
const FEW_GROUPS: usize = 256;
/// Of more groups all have one where one in so many is counted.
const DENSE_FROM: usize = 4;
/// And no longer all where it is one in so many; less than above, lest they change all the time.
const SPARSE_FROM: usize = 16;

/// The cells of one interval by group.
#[derive(Debug)]
pub(crate) enum IntervalCells<C> {
    /// Of every group up to the last there was when something was last counted.
    Dense(Vec<C>),
    /// Of groups with something counted; and of few others.
    Sparse(HashMap<u32, C>),
}

impl<C: Cell> IntervalCells<C> {
    /// No cells.
    pub(crate) const fn new() -> Self {
        Self::Dense(Vec::new())
    }

    /// Whether nothing was ever counted.
    pub(crate) fn is_vacant(&self) -> bool {
        match self {
            Self::Dense(cells) => cells.is_empty(),
            Self::Sparse(cells) => cells.is_empty(),
        }
    }

    /// Whether cells of so many groups can be asked for as it is.
    #[inline]
    pub(crate) fn has_room(&self, groups: usize) -> bool {
        match self {
            Self::Dense(cells) => cells.len() >= groups,
            Self::Sparse(cells) => cells.len().saturating_mul(DENSE_FROM) <= groups,
        }
    }

    /// Gets ready for cells of so many groups. Asks `allow` before it takes so many bytes more.
    ///
    /// # Errors
    /// If that is not allowed.
    pub(crate) fn make_room<E>(
        &mut self,
        groups: usize,
        allow: impl FnOnce(usize) -> Result<(), E>,
    ) -> Result<(), E> {
        match self {
            Self::Dense(cells) if groups > FEW_GROUPS && groups > cells.capacity() => {
                let counted = cells.iter().filter(|cell| !cell.is_empty()).count();
                if counted.saturating_mul(SPARSE_FROM) < groups {
                    let cells = std::mem::take(cells);
                    let cells = (0..).zip(cells).filter(|(_, cell)| !cell.is_empty());
                    *self = Self::Sparse(cells.collect());
                    return Ok(());
                }
                grow(cells, groups, allow)
            }
            Self::Dense(cells) => grow(cells, groups, allow),
            Self::Sparse(cells) => {
                let mut dense = Vec::new();
                grow(&mut dense, groups, allow)?;
                for (group, cell) in cells.drain() {
                    dense[index(group)] = cell;
                }
                *self = Self::Dense(dense);
                Ok(())
            }
        }
    }

    /// The cell of a group that there is room for.
    #[inline]
    pub(crate) fn cell(&mut self, group: u32) -> &mut C {
        match self {
            Self::Dense(cells) => &mut cells[index(group)],
            Self::Sparse(cells) => match cells.entry(group) {
                Entry::Occupied(cell) => cell.into_mut(),
                Entry::Vacant(place) => place.insert(C::default()),
            },
        }
    }

    /// The cell of a group with something counted.
    pub(crate) fn get(&self, group: u32) -> Option<&C> {
        let cell = match self {
            Self::Dense(cells) => cells.get(index(group)),
            Self::Sparse(cells) => cells.get(&group),
        };
        cell.filter(|cell| !cell.is_empty())
    }

    /// The groups with something counted, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &C)> {
        let (dense, sparse) = match self {
            Self::Dense(cells) => (Some(cells), None),
            Self::Sparse(cells) => (None, Some(cells)),
        };
        let dense = (0..).zip(dense.into_iter().flatten());
        let sparse = sparse.into_iter().flatten();
        let sparse = sparse.map(|(group, cell)| (*group, cell));
        dense.chain(sparse).filter(|(_, cell)| !cell.is_empty())
    }

    /// Leaves out the first groups; the rest move down.
    pub(crate) fn drop_first(&mut self, count: usize) {
        match self {
            Self::Dense(cells) => drop(cells.drain(..count.min(cells.len()))),
            Self::Sparse(cells) => {
                let rest = std::mem::take(cells).into_iter();
                let first = u32::try_from(count).unwrap_or(u32::MAX);
                let rest = rest.filter_map(|(group, cell)| Some((group.checked_sub(first)?, cell)));
                *cells = rest.collect();
            }
        }
    }

    /// Bytes held, without what the cells hold outside of themselves.
    #[inline]
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Dense(cells) => cells.capacity() * size_of::<C>(),
            Self::Sparse(cells) => cells.allocation_size(),
        }
    }
}

impl<C: Cell> IntoIterator for IntervalCells<C> {
    type Item = (u32, C);
    type IntoIter = Box<dyn Iterator<Item = (u32, C)>>;

    /// The groups with something counted, in no order.
    fn into_iter(self) -> Self::IntoIter {
        match self {
            Self::Dense(cells) => {
                let cells = (0..).zip(cells);
                Box::new(cells.filter(|(_, cell)| !cell.is_empty()))
            }
            Self::Sparse(cells) => {
                let cells = cells.into_iter();
                Box::new(cells.filter(|(_, cell)| !cell.is_empty()))
            }
        }
    }
}

fn grow<C: Cell, E>(
    cells: &mut Vec<C>,
    groups: usize,
    allow: impl FnOnce(usize) -> Result<(), E>,
) -> Result<(), E> {
    let capacity = cells.capacity();
    if groups > capacity {
        // Growing by a quarter keeps the copying linear without ever doubling the memory.
        let wanted = groups.max(capacity + capacity / 4);
        allow((wanted - capacity).saturating_mul(size_of::<C>()))?;
        cells.reserve_exact(wanted - cells.len());
    }
    if groups > cells.len() {
        cells.resize(groups, C::default());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::convert::Infallible;

    use proptest::prelude::*;

    use super::*;
    use crate::aggregate::cell::CountCell;

    fn counts(cells: &IntervalCells<CountCell>) -> BTreeMap<u32, u64> {
        cells.iter().map(|(group, cell)| (group, cell.0)).collect()
    }

    proptest! {
        #[test]
        fn both_forms_hold_the_same(
            steps in prop::collection::vec((0_usize..5_000, prop::collection::vec(0_usize..1_000, 0..600)), 1..8),
            dropped in 0_usize..3_000,
        ) {
            let mut cells = IntervalCells::<CountCell>::new();
            let mut expected = BTreeMap::new();
            let mut groups = 1;
            for (more, counted) in steps {
                groups += more;
                for place in counted {
                    if !cells.has_room(groups) {
                        let room = cells.make_room(groups, |_| Ok::<_, Infallible>(()));
                        room.expect("allowed");
                    }
                    let group = u32::try_from(place * place * groups / 1_000_000).expect("few");
                    cells.cell(group).add_spans(1);
                    *expected.entry(group).or_insert(0) += 1;
                }
            }
            prop_assert_eq!(counts(&cells), expected.clone());
            for group in 0..u32::try_from(groups).expect("few") {
                prop_assert_eq!(cells.get(group).map(|cell| cell.0), expected.get(&group).copied());
            }
            let first = u32::try_from(dropped).expect("few");
            let left = expected.into_iter();
            let left = left.filter_map(|(group, count)| Some((group.checked_sub(first)?, count)));
            let left: BTreeMap<_, _> = left.collect();
            cells.drop_first(dropped);
            prop_assert_eq!(counts(&cells), left.clone());
            let owned = cells.into_iter().map(|(group, cell)| (group, cell.0));
            prop_assert_eq!(owned.collect::<BTreeMap<_, _>>(), left);
        }
    }

    #[test]
    fn many_groups_of_which_few_count_take_little() {
        let mut cells = IntervalCells::<CountCell>::new();
        let room = cells.make_room(100_000, |_| Ok::<_, Infallible>(()));
        room.expect("allowed");
        for group in 0..10 {
            cells.cell(group * 9_999).add_spans(1);
        }
        assert!(cells.has_room(100_000));
        assert!(cells.bytes() < 1_000, "{}", cells.bytes());
    }
}
