//! Operators that DataFusion does not have, and the rules that put them in.

mod encoded;
mod range_aggregate;
mod row_chooser;

pub(crate) use encoded::{EncodedAggregate, EncodedCompare, EncodedTraces};
pub(crate) use range_aggregate::{RangeAggregateExec, UseRangeAggregate};
pub(crate) use row_chooser::RowChooser;
