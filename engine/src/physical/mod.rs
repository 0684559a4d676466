//! Operators that DataFusion does not have, and the rules that put them in.

mod encoded_aggregate;
mod encoded_codes;
mod encoded_compare;
mod encoded_lists;
mod encoded_plan;
mod encoded_traces;
mod encoded_window;
mod grouping;
mod interner;
mod page_index;
mod range_aggregate;

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::physical_expr::EquivalenceProperties;
use datafusion::physical_plan::{ExecutionPlan, PlanProperties};

pub(crate) use encoded_aggregate::EncodedAggregate;
pub(crate) use encoded_compare::EncodedCompare;
pub(crate) use encoded_traces::EncodedTraces;
pub(crate) use grouping::Grouping;
pub(crate) use range_aggregate::{Groups, RangeAggregateExec, UseRangeAggregate};

/// The properties of an operator that gives rows of its input, in order, with other columns.
pub(crate) fn row_by_row(input: &dyn ExecutionPlan, schema: SchemaRef) -> Arc<PlanProperties> {
    let of_input = input.properties();
    Arc::new(PlanProperties::new(
        EquivalenceProperties::new(schema),
        of_input.partitioning.clone(),
        of_input.emission_type,
        of_input.boundedness,
    ))
}
