//! What a group is called: the values of its `by` attributes.
//!
//! Reading order: [`value`] (one value), [`kind`] (how such values stand in a column), [`mod@tag`] (where
//! they are of several types), [`mod@column`], [`interner`] (numbers for the values of a column),
//! [`grouping`] (numbers for groups).

mod column;
mod grouping;
mod interner;
mod kind;
mod tag;
mod value;

pub(crate) use column::KeyColumn;
pub(crate) use grouping::Grouping;
pub(crate) use interner::KeyTable;
pub(crate) use kind::KeyKind;
pub(crate) use tag::{Arrays, tag};
pub(crate) use value::{KeyValue, NIL};
