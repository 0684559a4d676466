//! What is done with record batches in several places.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::SchemaRef;
use datafusion::catalog::Session;
use datafusion::common::DFSchema;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::Expr;
use datafusion::physical_expr::PhysicalExpr;

/// A column that a plan has put into its batches.
///
/// # Errors
/// An internal one if it is not there.
pub(crate) fn named<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef> {
    let missing = || DataFusionError::Internal(format!("the scan has no column {name}"));
    batch.column_by_name(name).ok_or_else(missing)
}

/// Makes expressions ready to be evaluated on batches of a schema.
pub(crate) struct Evaluation<'a> {
    schema: DFSchema,
    session: &'a dyn Session,
}

impl<'a> Evaluation<'a> {
    /// On batches of this schema.
    ///
    /// # Errors
    /// If two of its columns have one name.
    pub(crate) fn try_new(schema: &SchemaRef, session: &'a dyn Session) -> Result<Self> {
        Ok(Self {
            schema: DFSchema::try_from(schema.as_ref().clone())?,
            session,
        })
    }

    /// The expression, with types made to fit.
    ///
    /// # Errors
    /// If the schema lacks a column, or types cannot be made to fit.
    pub(crate) fn of(&self, expr: &Expr) -> Result<Arc<dyn PhysicalExpr>> {
        self.session
            .create_physical_expr(expr.clone(), &self.schema)
    }
}
