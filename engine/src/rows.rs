//! Some of the rows from a row on.

use datafusion::error::Result;

use crate::index::index;

/// Some rows, by their distance from a first one.
#[derive(Debug)]
pub(crate) enum Rows {
    /// All, so many.
    All(usize),
    /// Some, ascending.
    Some(Vec<u32>),
}

impl Rows {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::All(count) => *count,
            Self::Some(rows) => rows.len(),
        }
    }

    /// One of them, by its number among them.
    pub(crate) fn get(&self, at: usize) -> usize {
        match self {
            Self::All(_) => at,
            Self::Some(rows) => rows.get(at).map_or(0, |row| index(*row)),
        }
    }

    /// Does something with each.
    ///
    /// # Errors
    /// What `act` gives.
    pub(crate) fn each(&self, act: impl FnMut(usize) -> Result<()>) -> Result<()> {
        match self {
            Self::All(count) => (0..*count).try_for_each(act),
            Self::Some(rows) => rows.iter().map(|row| index(*row)).try_for_each(act),
        }
    }
}
