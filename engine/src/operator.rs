//! What operators of plans have in common.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::common::internal_err;
use datafusion::error::Result;
use datafusion::physical_expr::EquivalenceProperties;
use datafusion::physical_plan::{ExecutionPlan, PlanProperties};

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

/// The one child that an operator is given.
///
/// # Errors
/// An internal one that names the operator, if there are more or none.
pub(crate) fn only_child(
    operator: &str,
    children: Vec<Arc<dyn ExecutionPlan>>,
) -> Result<Arc<dyn ExecutionPlan>> {
    match <[_; 1]>::try_from(children) {
        Ok([child]) => Ok(child),
        Err(_) => internal_err!("{operator} has one child"),
    }
}
