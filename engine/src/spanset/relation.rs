//! Structural relations between the spans of whole traces, as linear passes over masks.
//!
//! Pure functions of masks and offsets: no columns, no streams. They rest on the order of a block's
//! rows: a parent stands before its children and a subtree is a run of rows, so that "is below" is
//! a comparison of row numbers. Spans of different spansets are never related: every pass keeps
//! its notes per spanset, which costs the same whether a trace has one spanset or a thousand.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::Int32Type;
use datafusion::error::Result;
use hashbrown::HashMap;
use storage::schema::names;
use traceql::ast::{Relation, StructuralForm};

use crate::batch::named;

/// No row, or no spanset.
pub(crate) const NONE: u32 = u32::MAX;

/// What relates the spans of a trace to each other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) enum Kinship {
    /// Nothing: each is looked at by itself.
    #[default]
    None,
    /// The parents that they have in the trace.
    Parents,
    /// Those, and the parents that they name: spans that lack the same parent are siblings.
    NamedParents,
    /// Those, but what no root of the trace leads to is in no relation: it has no numbers in the
    /// nested set.
    NestedSet,
}

impl Kinship {
    /// The columns that it follows from.
    pub(crate) const fn columns(self) -> &'static [&'static str] {
        match self {
            Self::None => &[],
            Self::Parents | Self::NestedSet => &[names::DEPTH],
            Self::NamedParents => &[names::DEPTH, names::PARENT_ID],
        }
    }
}

/// The trees of some whole traces.
#[derive(Debug, Default)]
pub(crate) struct Forest {
    /// First row of each trace, then the number of rows.
    pub(crate) traces: Vec<u32>,
    /// Row of each span's parent; [`NONE`] where it has none in the trace.
    pub(crate) parent: Vec<u32>,
    /// Row after the last one below each span.
    pub(crate) end: Vec<u32>,
    /// Whether each span can be in a relation; empty where all can.
    pub(crate) related: Vec<bool>,
    /// The missing parent that a span names, 0 where it has its parent or is a root; empty where no
    /// span names one, or that does not matter.
    pub(crate) named_parent: Vec<u64>,
}

/// The two sides of an operator, and the spanset of each row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sides<'a> {
    /// Rows that the left side selects.
    pub(crate) left: &'a [bool],
    /// Rows that the right side selects.
    pub(crate) right: &'a [bool],
    /// Number of each row's spanset, [`NONE`] outside of all. A spanset is of one trace.
    pub(crate) spansets: &'a [u32],
    /// One more than the largest number of a spanset.
    pub(crate) spanset_count: usize,
}

impl Forest {
    /// The trees of some whole traces, from the columns of a kinship.
    pub(crate) fn read(batch: &RecordBatch, traces: Vec<u32>, kinship: Kinship) -> Result<Self> {
        let depths = named(batch, names::DEPTH)?.as_primitive::<Int32Type>();
        let mut forest = Self::new(traces, depths.values());
        match kinship {
            Kinship::None | Kinship::Parents => {}
            Kinship::NamedParents => {
                let ids = named(batch, names::PARENT_ID)?.as_fixed_size_binary();
                let id = |id: Option<&[u8]>| -> u64 {
                    let id = id.and_then(|id| <[u8; 8]>::try_from(id).ok());
                    id.map_or(0, u64::from_be_bytes)
                };
                if ids.null_count() < ids.len() {
                    forest.named_parent = ids.iter().map(id).collect();
                }
            }
            Kinship::NestedSet => {
                forest.related = depths.values().iter().map(|&depth| depth > 0).collect();
            }
        }
        Ok(forest)
    }

    /// The trees of rows of such depths: the parent of a row is the last one before it that is one
    /// less deep. Signs do not matter.
    pub(crate) fn new(traces: Vec<u32>, depths: &[i32]) -> Self {
        let rows = row(depths.len());
        // The last row of each depth; of none at the top.
        let mut last: Vec<u32> = vec![NONE];
        let parent: Vec<u32> = (0..rows)
            .zip(depths)
            .map(|(row, depth)| {
                let depth = (depth.unsigned_abs() as usize).max(1);
                if depth >= last.len() {
                    last.resize(depth + 1, NONE);
                }
                last[depth] = row;
                last[depth - 1]
            })
            .collect();
        // A span's subtree ends where the last of its children's does, and those stand behind it.
        let mut end: Vec<u32> = (1..=rows).collect();
        for row in (0..parent.len()).rev() {
            if let Some(above) = parent.get(row).copied().filter(|&above| above != NONE) {
                let below = end[row];
                let above = &mut end[above as usize];
                *above = (*above).max(below);
            }
        }
        Self {
            traces,
            parent,
            end,
            ..Self::default()
        }
    }

    /// The rows that an operator selects.
    pub(crate) fn related(
        &self,
        relation: Relation,
        form: StructuralForm,
        sides: Sides<'_>,
    ) -> Vec<bool> {
        // A span outside every spanset is on no side.
        let placed = |mask: &[bool]| -> Vec<bool> {
            let rows = mask.iter().zip(sides.spansets);
            let mut placed: Vec<bool> = rows
                .map(|(&selected, &spanset)| selected && spanset != NONE)
                .collect();
            for (placed, &related) in placed.iter_mut().zip(&self.related) {
                *placed &= related;
            }
            placed
        };
        let (left, right) = (placed(sides.left), placed(sides.right));
        let sides_placed = Sides {
            left: &left,
            right: &right,
            ..sides
        };
        let mut found = self.holds(relation, sides_placed);
        match form {
            StructuralForm::Plain => {}
            StructuralForm::Negated => {
                for ((found, &selected), &spanset) in
                    found.iter_mut().zip(sides.right).zip(sides.spansets)
                {
                    *found = selected && spanset != NONE && !*found;
                }
            }
            StructuralForm::Union => {
                let mirrored = Sides {
                    left: &right,
                    right: &left,
                    ..sides
                };
                let of_left = self.holds(mirror(relation), mirrored);
                for (found, of_left) in found.iter_mut().zip(of_left) {
                    *found |= of_left;
                }
            }
        }
        found
    }

    /// Rows of the right side that stand in the relation to some row of the left side.
    fn holds(&self, relation: Relation, sides: Sides<'_>) -> Vec<bool> {
        match relation {
            Relation::Child => self.children(sides),
            Relation::Parent => self.parents(sides),
            Relation::Descendant => self.descendants(sides),
            Relation::Ancestor => self.ancestors(sides),
            Relation::Sibling => self.siblings(sides),
        }
    }

    fn children(&self, sides: Sides<'_>) -> Vec<bool> {
        let rows = sides.right.iter().zip(&self.parent).zip(sides.spansets);
        rows.map(|((&selected, &parent), &spanset)| {
            selected
                && parent != NONE
                && sides.left[parent as usize]
                && sides.spansets[parent as usize] == spanset
        })
        .collect()
    }

    fn parents(&self, sides: Sides<'_>) -> Vec<bool> {
        let mut found = vec![false; sides.right.len()];
        for ((&selected, &parent), &spanset) in
            sides.left.iter().zip(&self.parent).zip(sides.spansets)
        {
            if selected
                && parent != NONE
                && sides.right[parent as usize]
                && sides.spansets[parent as usize] == spanset
            {
                found[parent as usize] = true;
            }
        }
        found
    }

    /// A row is below one of its spanset's left rows if the farthest end of those before it lies
    /// behind it: subtrees nest, so such a row's subtree contains it.
    fn descendants(&self, sides: Sides<'_>) -> Vec<bool> {
        let mut farthest = vec![0_u32; sides.spanset_count];
        let mut found = vec![false; sides.right.len()];
        for (at, found) in found.iter_mut().enumerate() {
            let spanset = sides.spansets[at] as usize;
            if sides.right[at] {
                *found = farthest[spanset] > row(at);
            }
            if sides.left[at] {
                farthest[spanset] = farthest[spanset].max(self.end[at]);
            }
        }
        found
    }

    /// A row is above one of its spanset's left rows if the next of those lies in its subtree.
    fn ancestors(&self, sides: Sides<'_>) -> Vec<bool> {
        let mut next = vec![NONE; sides.spanset_count];
        let mut found = vec![false; sides.right.len()];
        for at in (0..found.len()).rev() {
            let spanset = sides.spansets[at] as usize;
            if sides.right[at] {
                found[at] = next[spanset] < self.end[at];
            }
            if sides.left[at] {
                next[spanset] = row(at);
            }
        }
        found
    }

    /// Counts the left rows below each parent. Roots of a trace count as children of one, and so do
    /// spans that name the same missing parent.
    fn siblings(&self, sides: Sides<'_>) -> Vec<bool> {
        let mut found = vec![false; sides.right.len()];
        let mut counts: HashMap<(u32, u64, u32), u32> = HashMap::new();
        let below = |at: usize| {
            let named = self.named_parent.get(at).copied().unwrap_or_default();
            (self.parent[at], named, sides.spansets[at])
        };
        for trace in self.traces.windows(2) {
            let rows = trace[0] as usize..trace[1] as usize;
            counts.clear();
            for at in rows.clone().filter(|&at| sides.left[at]) {
                *counts.entry(below(at)).or_default() += 1;
            }
            if counts.is_empty() {
                continue;
            }
            for at in rows.filter(|&at| sides.right[at]) {
                let all = counts.get(&below(at));
                found[at] = all.is_some_and(|&all| all > u32::from(sides.left[at]));
            }
        }
        found
    }
}

/// The relation of the left span to the right one.
const fn mirror(relation: Relation) -> Relation {
    match relation {
        Relation::Child => Relation::Parent,
        Relation::Parent => Relation::Child,
        Relation::Descendant => Relation::Ancestor,
        Relation::Ancestor => Relation::Descendant,
        Relation::Sibling => Relation::Sibling,
    }
}

/// A row number; a chunk of traces has far fewer rows than there are numbers.
pub(crate) fn row(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(NONE)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `1(2(3) 4)`, then the tree `5(6)` that no root reaches, in one trace; `7` alone in another.
    fn forest() -> Forest {
        Forest {
            related: vec![true, true, true, true, false, false, true],
            ..by_parents()
        }
    }

    fn by_parents() -> Forest {
        Forest::new(vec![0, 6, 7], &[1, 2, 3, 2, -1, -2, 1])
    }

    fn mask(rows: &[usize]) -> Vec<bool> {
        (1..=7).map(|row| rows.contains(&row)).collect()
    }

    #[track_caller]
    fn check(
        relation: Relation,
        form: StructuralForm,
        left: &[usize],
        right: &[usize],
        expected: &[usize],
    ) {
        let (left, right) = (mask(left), mask(right));
        let spansets = [0, 0, 0, 0, 0, 0, 1];
        let sides = Sides {
            left: &left,
            right: &right,
            spansets: &spansets,
            spanset_count: 2,
        };
        assert_eq!(
            forest().related(relation, form, sides),
            mask(expected),
            "{relation:?} {form:?}"
        );
    }

    const ALL: [usize; 7] = [1, 2, 3, 4, 5, 6, 7];

    #[test]
    fn subtrees_are_runs_of_rows() {
        let forest = forest();
        assert_eq!(forest.end, [4, 3, 3, 4, 6, 6, 7]);
        assert_eq!(forest.parent, [NONE, 0, 1, 0, NONE, 4, NONE]);
    }

    #[test]
    fn plain_relations_return_the_right_side() {
        use StructuralForm::Plain;
        check(Relation::Child, Plain, &[1], &ALL, &[2, 4]);
        check(Relation::Parent, Plain, &[3], &ALL, &[2]);
        check(Relation::Descendant, Plain, &[1], &ALL, &[2, 3, 4]);
        check(Relation::Ancestor, Plain, &[3], &ALL, &[1, 2]);
        check(Relation::Sibling, Plain, &[2], &ALL, &[4]);
        check(Relation::Sibling, Plain, &ALL, &ALL, &[2, 4]);
        check(Relation::Child, Plain, &[5], &ALL, &[]);
        check(Relation::Descendant, Plain, &[2], &[4, 7], &[]);
    }

    #[test]
    fn parents_relate_what_no_root_leads_to() {
        let forest = Forest {
            // 5 and 7 name a missing parent, which is not the same one: their traces are not.
            named_parent: vec![0, 0, 0, 0, 9, 0, 9],
            ..by_parents()
        };
        let (left, right) = (mask(&ALL), mask(&ALL));
        let sides = Sides {
            left: &left,
            right: &right,
            spansets: &[0, 0, 0, 0, 0, 0, 1],
            spanset_count: 2,
        };
        let related = |relation, form| forest.related(relation, form, sides);
        use StructuralForm::{Negated, Plain};
        assert_eq!(related(Relation::Child, Plain), mask(&[2, 3, 4, 6]));
        assert_eq!(related(Relation::Ancestor, Plain), mask(&[1, 2, 5]));
        assert_eq!(related(Relation::Descendant, Negated), mask(&[1, 5, 7]));
        assert_eq!(related(Relation::Sibling, Plain), mask(&[2, 4]));
    }

    #[test]
    fn spans_that_lack_one_parent_are_siblings() {
        // Two roots, two spans that lack the parent 8, one that lacks 9.
        let forest = Forest {
            named_parent: vec![0, 0, 8, 8, 9],
            ..Forest::new(vec![0, 5], &[1, 1, -1, -1, -1])
        };
        let related = |left: [bool; 5]| {
            let sides = Sides {
                left: &left,
                right: &[true; 5],
                spansets: &[0; 5],
                spanset_count: 1,
            };
            forest.related(Relation::Sibling, StructuralForm::Plain, sides)
        };
        assert_eq!(related([true; 5]), [true, true, true, true, false]);
        let third = [false, false, true, false, false];
        assert_eq!(related(third), [false, false, false, true, false]);
    }

    #[test]
    fn negations_keep_what_is_in_no_relation() {
        use StructuralForm::Negated;
        check(Relation::Descendant, Negated, &[], &[2], &[2]);
        check(Relation::Parent, Negated, &ALL, &ALL, &[3, 4, 5, 6, 7]);
        check(Relation::Child, Negated, &ALL, &ALL, &[1, 5, 6, 7]);
    }

    #[test]
    fn unions_return_both_sides_of_each_pair() {
        use StructuralForm::Union;
        check(Relation::Child, Union, &[1], &[2, 3], &[1, 2]);
        check(Relation::Descendant, Union, &[1, 5], &[3], &[1, 3]);
        check(Relation::Sibling, Union, &[2, 3], &[4], &[2, 4]);
    }

    #[test]
    fn spansets_are_strangers() {
        let (left, right) = (mask(&ALL), mask(&ALL));
        let spansets = [0, 1, 0, 0, NONE, NONE, 2];
        let sides = Sides {
            left: &left,
            right: &right,
            spansets: &spansets,
            spanset_count: 3,
        };
        let related = |relation| forest().related(relation, StructuralForm::Plain, sides);
        assert_eq!(related(Relation::Child), mask(&[4]));
        assert_eq!(related(Relation::Descendant), mask(&[3, 4]));
        assert_eq!(related(Relation::Ancestor), mask(&[1]));
        assert_eq!(related(Relation::Sibling), mask(&[]));
    }
}
