//! From key columns to group numbers, by dictionary code where there is one.
//!
//! Each key column has an interner that numbers its distinct values; a dictionary's values are
//! numbered once per dictionary, so a row costs one look-up in a table. A group is a distinct
//! combination of those numbers.

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use datafusion::common::hash_utils::{RandomState, create_hashes};
use datafusion::common::internal_err;
use datafusion::error::Result;
use hashbrown::HashMap;

use super::interner::{Interner, KeyTable, UNNUMBERED};

use crate::index::index;

/// Numbers the groups of key columns, in order of appearance.
#[derive(Debug)]
pub(crate) struct Grouping {
    columns: Vec<Interner>,
    /// Group of a combination of value numbers; unused for a single column, whose numbers are groups.
    combinations: HashMap<Box<[u32]>, u32>,
    /// Value numbers of each group, group after group.
    members: Vec<u32>,
}

impl Grouping {
    /// Groups by columns of these types.
    pub(crate) fn new<'a>(types: impl IntoIterator<Item = &'a DataType>) -> Self {
        let columns = types.into_iter().map(Interner::new).collect();
        Self {
            columns,
            combinations: HashMap::new(),
            members: Vec::new(),
        }
    }

    /// The group of each row; `None` if there are no keys, and so only one group.
    pub(crate) fn groups(&mut self, keys: &[ArrayRef]) -> Result<Option<Vec<u32>>> {
        let numbers = self
            .columns
            .iter_mut()
            .zip(keys)
            .map(|(column, key)| column.numbers(key));
        let numbers = numbers.collect::<Result<Vec<_>>>()?;
        Ok(self.combine(numbers))
    }

    /// The number that a key column of a row has for each of its codes.
    pub(crate) fn look_up(
        &mut self,
        column: usize,
        table: &mut KeyTable,
        codes: &[impl Copy + Into<u32>],
    ) -> Result<Vec<u32>> {
        let Some(interner) = self.columns.get_mut(column) else {
            return internal_err!("there are fewer keys");
        };
        let number = |code: u32| {
            let known = table.numbers.get(index(code));
            known.copied().unwrap_or(UNNUMBERED)
        };
        let numbers = codes.iter().map(|&code| number(code.into()));
        let mut numbers: Vec<u32> = numbers.collect();
        // Numbered when a row first has them: not every value of a dictionary is in use.
        if numbers.contains(&UNNUMBERED) {
            for (slot, &code) in numbers.iter_mut().zip(codes) {
                if *slot == UNNUMBERED {
                    *slot = interner.number_in(table, index(code.into()));
                }
            }
        }
        Ok(numbers)
    }

    /// The group of each row by the numbers of its keys; `None` if there are no keys, and so only one
    /// group.
    pub(crate) fn combine(&mut self, mut numbers: Vec<Vec<u32>>) -> Option<Vec<u32>> {
        let width = numbers.len();
        if width < 2 {
            return numbers.pop();
        }
        let rows = numbers.first().map_or(0, Vec::len);
        let mut groups = Vec::with_capacity(rows);
        let mut row = vec![u32::MAX; width];
        let mut group = 0;
        for position in 0..rows {
            let same = row
                .iter()
                .zip(&numbers)
                .all(|(&last, column)| last == column[position]);
            // Neighbours are often of one group: spans of a trace stand together.
            if !same {
                for (slot, column) in row.iter_mut().zip(&numbers) {
                    *slot = column[position];
                }
                group = match self.combinations.get(row.as_slice()) {
                    Some(&group) => group,
                    None => {
                        let next = number(self.combinations.len());
                        self.combinations.insert(row.clone().into(), next);
                        self.members.extend_from_slice(&row);
                        next
                    }
                };
            }
            groups.push(group);
        }
        Some(groups)
    }

    /// Number of groups so far.
    pub(crate) fn len(&self) -> usize {
        match self.columns.as_slice() {
            [] => 1,
            [only] => only.len(),
            _ => self.combinations.len(),
        }
    }

    /// The key columns of all groups, without dictionaries.
    pub(crate) fn keys(&self) -> Result<Vec<ArrayRef>> {
        self.keys_from(0)
    }

    /// Hashes of the keys of all groups from `first` on: the same for the same keys, wherever and
    /// whenever they are grouped.
    pub(crate) fn hashes(&self, first: usize) -> Result<Vec<u64>> {
        let mut hashes = vec![0; self.len() - first];
        create_hashes(
            &self.keys_from(first)?,
            &RandomState::with_seed(0),
            &mut hashes,
        )?;
        Ok(hashes)
    }

    /// The key columns of all groups from `first` on.
    fn keys_from(&self, first: usize) -> Result<Vec<ArrayRef>> {
        let width = self.columns.len();
        let column = |(at, column): (usize, &Interner)| {
            if width == 1 {
                return column.array((0..).take(self.len()).skip(first));
            }
            let members = self.members.iter().skip(first * width + at);
            column.array(members.step_by(width).copied())
        };
        self.columns.iter().enumerate().map(column).collect()
    }

    /// Bytes held, about.
    pub(crate) fn bytes(&self) -> usize {
        let values: usize = self.columns.iter().map(Interner::bytes).sum();
        values + self.members.capacity() * size_of::<u32>() * 4 + self.combinations.capacity() * 32
    }
}

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(UNNUMBERED - 1)
}
