//! The literal parent id of every span.
//!
//! Input: spans in stored order with `span:id`, `depth` and `span:parentID`. The parent of a span is the
//! last one before it that is one less deep, which costs next to nothing on disk; this operator looks
//! its id up. Output: the wanted columns, with the resolved id (zeros for a root) among them.
//!
//! Row groups never cut a trace, so the rows of whole row groups always hold the parents they
//! refer to. The operator sits directly on the scan and lets no filter through.

use std::fmt;
use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, AsArray, FixedSizeBinaryBuilder, RecordBatch};
use arrow::datatypes::{Int32Type, SchemaRef};
use datafusion::common::internal_err;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, ReplaceChildrenOptions,
};
use futures::StreamExt as _;
use storage::schema::names;

use crate::batch::named;
use crate::columns::RESOLVED_PARENT_ID;
use crate::operator::{only_child, row_by_row};

/// See the module.
#[derive(Debug)]
pub(super) struct ParentIdExec {
    input: Arc<dyn ExecutionPlan>,
    schema: SchemaRef,
    properties: Arc<PlanProperties>,
}

impl ParentIdExec {
    /// `schema` names the wanted columns: those of the input, and the resolved id.
    pub(super) fn new(input: Arc<dyn ExecutionPlan>, schema: SchemaRef) -> Self {
        Self {
            properties: row_by_row(input.as_ref(), Arc::clone(&schema)),
            input,
            schema,
        }
    }
}

impl DisplayAs for ParentIdExec {
    fn fmt_as(&self, _t: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ParentIdExec")
    }
}

impl ExecutionPlan for ParentIdExec {
    fn name(&self) -> &str {
        "ParentIdExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn apply_expressions(
        &self,
        _f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let input = only_child("ParentIdExec", children)?;
        Ok(Arc::new(Self::new(input, Arc::clone(&self.schema))))
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let recompute = datafusion::physical_plan::ChildrenPropertiesMode::Recompute;
        self.replace_children(children, ReplaceChildrenOptions::new(recompute))
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let input = self.input.execute(partition, context)?;
        let mut columns = VirtualColumns::new(Arc::clone(&self.schema));
        let stream = input.map(move |batch| columns.add(&batch?));
        Ok(Box::pin(RecordBatchStreamAdapter::new(
            Arc::clone(&self.schema),
            stream,
        )))
    }
}

/// Makes batches of wanted columns, the resolved id possibly among them, of batches of stored ones. Of a
/// trace all rows have to come, or none.
pub(crate) struct VirtualColumns {
    schema: SchemaRef,
    /// Whether the id is among the wanted columns.
    has_parents: bool,
    /// Ids of the last span and of those above it.
    above: Vec<[u8; 8]>,
}

impl VirtualColumns {
    /// For columns of this schema.
    pub(crate) fn new(schema: SchemaRef) -> Self {
        Self {
            has_parents: schema.column_with_name(RESOLVED_PARENT_ID).is_some(),
            schema,
            above: Vec::new(),
        }
    }

    /// The wanted columns of the rows that follow.
    ///
    /// # Errors
    /// If a column is missing, or there is no parent in front of a span that has one.
    pub(crate) fn add(&mut self, batch: &RecordBatch) -> Result<RecordBatch> {
        let parents = self.has_parents.then(|| self.parents(batch)).transpose()?;
        let columns = self.schema.fields().iter().map(|field| match &parents {
            Some(parents) if field.name() == RESOLVED_PARENT_ID => Ok(Arc::clone(parents)),
            _ => named(batch, field.name()).cloned(),
        });
        Ok(RecordBatch::try_new(
            Arc::clone(&self.schema),
            columns.collect::<Result<_>>()?,
        )?)
    }

    fn parents(&mut self, batch: &RecordBatch) -> Result<ArrayRef> {
        let input = |name: &str| named(batch, name);
        let ids = input(names::SPAN_ID)?.as_fixed_size_binary();
        let depths = input(names::DEPTH)?.as_primitive::<Int32Type>();
        let literals = input(names::PARENT_ID)?.as_fixed_size_binary();
        let mut parents = FixedSizeBinaryBuilder::with_capacity(batch.num_rows(), 8);
        for row in 0..batch.num_rows() {
            let level = depths.value(row).unsigned_abs() as usize;
            if level == 0 || level > self.above.len() + 1 {
                return internal_err!("a span's parent lies in front of its row group");
            }
            self.above.truncate(level - 1);
            match self.above.last() {
                Some(parent) => parents.append_value(parent)?,
                None if literals.is_valid(row) => parents.append_value(literals.value(row))?,
                None => parents.append_value([0; 8])?,
            }
            let mut id = [0; 8];
            id.copy_from_slice(ids.value(row));
            self.above.push(id);
        }
        Ok(Arc::new(parents.finish()))
    }
}
