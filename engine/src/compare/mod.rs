//! `compare()`: how some spans differ from the others.
//!
//! One pass over all attribute columns counts spans by value and by place: side (*selection* or
//! *baseline*) and interval. What is counted per row is the code of a value; values themselves are
//! looked at once for each dictionary. [`columns`] says what is counted, and [`places`] where; [`count`]
//! takes batches, or [`EncodedCompare`](crate::physical::EncodedCompare) what lies encoded in a block;
//! [`mod@column`] takes a column and [`residual`] a list of attributes of them, with [`codes`] and
//! [`numbers`] to count with. [`tally`] holds and merges the counts, as [`values`] with their [`spans`],
//! and makes series of the [`mod@commonest`].

mod codes;
pub(crate) mod column;
pub(crate) mod columns;
mod commonest;
pub(crate) mod count;
pub(crate) mod lowered;
mod numbers;
pub(crate) mod places;
pub(crate) mod residual;
mod spans;
pub(crate) mod tally;
mod values;
