//! `compare()`: how some spans differ from the others.
//!
//! One pass over all attribute columns counts spans by value, by side (*selection* or *baseline*) and
//! by interval. A column with a dictionary costs an addition per row; its values are looked at once
//! per batch. [`columns`] says what is counted, [`count`] does it, [`tally`] holds and merges the
//! counts and makes series of them.

pub(crate) mod columns;
pub(crate) mod count;
pub(crate) mod tally;
