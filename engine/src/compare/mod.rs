//! `compare()`: how some spans differ from the others.
//!
//! One pass over all attribute columns counts spans by value and by place: side (*selection* or
//! *baseline*) and interval. What is counted per row is the code of a value; values themselves are
//! looked at once for each dictionary. [`columns`] says what is counted; [`count`] takes batches,
//! [`mod@column`] a column and [`residual`] a list of attributes of them, with [`codes`] and [`numbers`] to
//! count with; [`tally`] holds and merges the counts and makes series of them.

mod codes;
mod column;
pub(crate) mod columns;
pub(crate) mod count;
mod numbers;
mod places;
mod residual;
pub(crate) mod tally;
