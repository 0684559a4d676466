//! Operators that DataFusion does not have, and the rules that put them in.

mod grouping;
mod range_aggregate;

pub(crate) use grouping::Grouping;
pub(crate) use range_aggregate::{Groups, RangeAggregateExec, UseRangeAggregate};
