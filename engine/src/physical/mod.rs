//! Operators that DataFusion does not have, and the rules that put them in.

mod encoded_aggregate;
mod encoded_codes;
mod encoded_compare;
mod encoded_lists;
mod encoded_plan;
mod encoded_traces;
mod encoded_window;
mod page_index;
mod range_aggregate;

pub(crate) use encoded_aggregate::EncodedAggregate;
pub(crate) use encoded_compare::EncodedCompare;
pub(crate) use encoded_traces::EncodedTraces;
pub(crate) use range_aggregate::{Groups, RangeAggregateExec, UseRangeAggregate};
