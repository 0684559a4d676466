//! `Spanset` in logical plans, and its way to a physical one.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::common::{DFSchema, DFSchemaRef, internal_err};
use datafusion::error::Result;
use datafusion::execution::context::QueryPlanner;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{
    Expr, Extension, LogicalPlan, UserDefinedLogicalNode, UserDefinedLogicalNodeCore,
};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_planner::{DefaultPhysicalPlanner, ExtensionPlanner, PhysicalPlanner};

use super::exec::SpansetExec;
use super::program::Program;
use super::run::Runnable;
use super::traces::TraceShape;
use crate::batch::Evaluation;

/// Keeps the spans that are in some spanset of their trace in the end.
#[derive(Debug, Clone)]
pub(crate) struct SpansetNode {
    input: LogicalPlan,
    pub(super) program: Arc<Program>,
    pub(super) shape: TraceShape,
    /// The stages as written, for EXPLAIN.
    text: Arc<str>,
    schema: DFSchemaRef,
}

impl SpansetNode {
    /// The node over spans in stored order; its output has the columns of `output`, derived ones
    /// among them.
    pub(crate) fn plan(
        input: LogicalPlan,
        program: Program,
        shape: TraceShape,
        text: String,
        output: impl Fn(&str) -> bool,
    ) -> Result<LogicalPlan> {
        let all = shape.derived.schema(input.schema().inner())?;
        let fields = all.fields().iter().filter(|field| output(field.name()));
        let schema = Schema::new(fields.cloned().collect::<Vec<_>>());
        let node = Self {
            input,
            program: Arc::new(program),
            shape,
            text: text.into(),
            schema: Arc::new(DFSchema::try_from(schema)?),
        };
        Ok(LogicalPlan::Extension(Extension {
            node: Arc::new(node),
        }))
    }
}

/// Two nodes are the same if they do the same to the same spans.
impl PartialEq for SpansetNode {
    fn eq(&self, other: &Self) -> bool {
        (&self.input, &self.program, &self.shape, &self.schema)
            == (&other.input, &other.program, &other.shape, &other.schema)
    }
}

impl Eq for SpansetNode {}

impl Hash for SpansetNode {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.input, &self.program, &self.shape).hash(state);
    }
}

impl PartialOrd for SpansetNode {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        (self == other).then_some(Ordering::Equal)
    }
}

impl UserDefinedLogicalNodeCore for SpansetNode {
    fn name(&self) -> &'static str {
        "Spanset"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    /// None, as far as the optimizer is concerned: they are about derived columns, too, and the
    /// input has just the columns that they need.
    fn expressions(&self) -> Vec<Expr> {
        Vec::new()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Spanset: {}", self.text)
    }

    fn with_exprs_and_inputs(&self, _exprs: Vec<Expr>, inputs: Vec<LogicalPlan>) -> Result<Self> {
        let Ok([input]) = <[_; 1]>::try_from(inputs) else {
            return internal_err!("Spanset has one input");
        };
        Ok(Self {
            input,
            ..self.clone()
        })
    }
}

/// A program whose expressions are ready to be evaluated on spans of a schema.
pub(crate) fn runnable(
    program: &Arc<Program>,
    shape: &TraceShape,
    input: &SchemaRef,
    session: &dyn Session,
    keep_attributes: bool,
) -> Result<Runnable> {
    let schema = shape.derived.schema(input)?;
    let evaluation = Evaluation::try_new(&schema, session)?;
    let expressions = program.expressions.iter().map(|e| evaluation.of(&e.expr));
    Ok(Runnable {
        expressions: expressions.collect::<Result<_>>()?,
        program: Arc::clone(program),
        keep_attributes,
    })
}

/// Plans queries as DataFusion does, and spansets.
#[derive(Debug)]
pub(crate) struct SpansetQueryPlanner;

#[async_trait]
impl QueryPlanner for SpansetQueryPlanner {
    async fn create_physical_plan(
        &self,
        logical_plan: &LogicalPlan,
        session: &dyn Session,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let planner = DefaultPhysicalPlanner::with_extension_planners(vec![Arc::new(Spansets)]);
        planner.create_physical_plan(logical_plan, session).await
    }
}

struct Spansets;

#[async_trait]
impl ExtensionPlanner for Spansets {
    async fn plan_extension(
        &self,
        _planner: &dyn PhysicalPlanner,
        node: &dyn UserDefinedLogicalNode,
        _logical_inputs: &[&LogicalPlan],
        physical_inputs: &[Arc<dyn ExecutionPlan>],
        session: &dyn Session,
        _planning_ctx: &PhysicalPlanningContext,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let (Some(node), [input]) = (node.as_any().downcast_ref::<SpansetNode>(), physical_inputs)
        else {
            return Ok(None);
        };
        let runnable = runnable(&node.program, &node.shape, &input.schema(), session, false)?;
        let exec = SpansetExec::new(
            Arc::clone(input),
            runnable,
            node.shape.clone(),
            Arc::clone(&node.text),
            Arc::clone(node.schema.inner()),
        );
        Ok(Some(Arc::new(exec)))
    }
}
