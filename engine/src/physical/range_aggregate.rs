//! `RangeAggregate`: grouping and range aggregation in one pass.
//!
//! | input | output |
//! |---|---|
//! | any columns | one row per group: the key columns, then the group's state |
//!
//! It stands in for DataFusion's aggregation where that would group by `[keys; one range aggregate]`,
//! and gives the same rows, in another order. DataFusion hashes each row's key; here a row costs a
//! look-up by dictionary code and an addition into a dense vector.

use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::cast;
use datafusion::common::cast::as_int64_array;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{
    Transformed, TransformedResult as _, TreeNode as _, TreeNodeRecursion,
};
use datafusion::error::Result;
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, Distribution, ExecutionPlan,
    PlanProperties, ReplaceChildrenOptions,
};
use futures::{StreamExt as _, stream};

use super::row_chooser::RowChooser;
use crate::aggregate::interval::Moments;
use crate::aggregate::{Groups, RangeState, StateKind};
use crate::exemplars::Candidates;
use crate::functions::range_udaf::{LITERALS, RangeArguments, RangeUdaf};
use crate::key::Grouping;
use crate::operator::only_child;

/// See the module.
#[derive(Debug)]
pub(crate) struct RangeAggregateExec {
    input: Arc<dyn ExecutionPlan>,
    keys: Vec<Arc<dyn PhysicalExpr>>,
    time: Arc<dyn PhysicalExpr>,
    value: Option<Arc<dyn PhysicalExpr>>,
    /// The place of a row in its block, if that is known.
    row: Option<Arc<dyn PhysicalExpr>>,
    kind: StateKind,
    arguments: RangeArguments,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl RangeAggregateExec {
    /// The operator that does what `aggregate` does, if it can.
    fn of(aggregate: &AggregateExec) -> Option<Self> {
        let [function] = aggregate.aggr_expr() else {
            return None;
        };
        let plain = *aggregate.mode() == AggregateMode::Single
            && aggregate.group_expr().is_single()
            && aggregate.filter_expr().iter().all(Option::is_none)
            && !function.is_distinct()
            && aggregate.limit_options().is_none();
        let udaf = function.fun().inner().downcast_ref::<RangeUdaf>()?;
        if !plain {
            return None;
        }
        let mut expressions = function.expressions().into_iter();
        let kind = udaf.kind();
        let time = expressions.next()?;
        let value = if kind.has_value() {
            Some(expressions.next()?)
        } else {
            None
        };
        let mut literals: Vec<_> = expressions.collect();
        let row = literals.split_off(literals.len().min(LITERALS)).pop();
        Some(Self {
            input: Arc::clone(aggregate.input()),
            keys: aggregate
                .group_expr()
                .expr()
                .iter()
                .map(|(expr, _)| Arc::clone(expr))
                .collect(),
            time,
            value,
            row,
            kind,
            arguments: udaf.arguments(&literals).ok()?,
            properties: Arc::clone(aggregate.properties()),
            metrics: ExecutionPlanMetricsSet::new(),
        })
    }
}

impl DisplayAs for RangeAggregateExec {
    fn fmt_as(&self, _t: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<_> = self.keys.iter().map(ToString::to_string).collect();
        write!(
            f,
            "RangeAggregateExec: by=[{}], {}({}",
            keys.join(", "),
            self.kind.function_name(),
            self.time
        )?;
        for column in self.value.iter().chain(&self.row) {
            write!(f, ", {column}")?;
        }
        f.write_str(")")
    }
}

impl ExecutionPlan for RangeAggregateExec {
    fn name(&self) -> &str {
        "RangeAggregateExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn required_input_distribution(&self) -> Vec<Distribution> {
        vec![Distribution::SinglePartition]
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        let columns = [&self.time].into_iter().chain(&self.value).chain(&self.row);
        for expr in self.keys.iter().chain(columns) {
            if f(expr)? == TreeNodeRecursion::Stop {
                return Ok(TreeNodeRecursion::Stop);
            }
        }
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let input = only_child("RangeAggregateExec", children)?;
        Ok(Arc::new(Self {
            input,
            keys: self.keys.clone(),
            time: Arc::clone(&self.time),
            value: self.value.clone(),
            row: self.row.clone(),
            properties: Arc::clone(&self.properties),
            metrics: ExecutionPlanMetricsSet::new(),
            ..*self
        }))
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(
            children,
            ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute),
        )
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let schema = self.schema();
        let result_schema = Arc::clone(&schema);
        let groups = self.start(partition, context, None)?;
        let result = async move {
            let (Groups { keys, mut state }, _) = groups.await?;
            let fields = result_schema.fields().iter();
            let as_declared = keys.iter().zip(fields);
            let as_declared = as_declared.map(|(key, field)| cast(key, field.data_type()));
            let mut columns = as_declared.collect::<std::result::Result<Vec<_>, _>>()?;
            columns.push(state.take(state.group_count()));
            Ok(RecordBatch::try_new(result_schema, columns)?)
        };
        Ok(Box::pin(RecordBatchStreamAdapter::new(
            schema,
            stream::once(result),
        )))
    }
}

impl RangeAggregateExec {
    /// Aggregates the whole input. What [`execute`](ExecutionPlan::execute) gives as rows, this gives
    /// as it is: inside one process there is no need for rows. A `chooser` chooses spans that may be shown.
    ///
    /// # Errors
    /// If the input fails, or it takes more memory than allowed.
    pub(crate) async fn aggregate(
        &self,
        context: Arc<TaskContext>,
        chooser: Option<RowChooser>,
    ) -> Result<(Groups, Option<Candidates>)> {
        self.start(0, context, chooser)?.await
    }

    fn start(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
        chooser: Option<RowChooser>,
    ) -> Result<impl Future<Output = Result<(Groups, Option<Candidates>)>> + Send + use<>> {
        let mut input = self.input.execute(partition, Arc::clone(&context))?;
        let metrics = BaselineMetrics::new(&self.metrics, partition);
        let schema = self.schema();
        let key_types = schema.fields()[..self.keys.len()]
            .iter()
            .map(|field| field.data_type());
        let mut aggregation = RangeAggregation {
            grouping: Grouping::new(key_types),
            state: self.arguments.new_state(self.kind),
            keys: self.keys.clone(),
            time: Arc::clone(&self.time),
            value: self.value.clone(),
            row: self.row.clone(),
            chooser,
        };
        let reservation = MemoryConsumer::new(self.name()).register(context.memory_pool());
        Ok(async move {
            while let Some(batch) = input.next().await {
                let timer = metrics.elapsed_compute().timer();
                aggregation.add(&batch?).await?;
                reservation.try_resize(aggregation.bytes())?;
                timer.done();
            }
            metrics.record_output(aggregation.grouping.len());
            aggregation.finish()
        })
    }
}

struct RangeAggregation {
    grouping: Grouping,
    state: Box<dyn RangeState>,
    keys: Vec<Arc<dyn PhysicalExpr>>,
    time: Arc<dyn PhysicalExpr>,
    value: Option<Arc<dyn PhysicalExpr>>,
    row: Option<Arc<dyn PhysicalExpr>>,
    chooser: Option<RowChooser>,
}

impl RangeAggregation {
    async fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        let evaluate =
            |expr: &Arc<dyn PhysicalExpr>| expr.evaluate(batch)?.into_array(batch.num_rows());
        let keys = self
            .keys
            .iter()
            .map(evaluate)
            .collect::<Result<Vec<ArrayRef>>>()?;
        let time = evaluate(&self.time)?;
        let value = self.value.as_ref().map(evaluate).transpose()?;
        let groups = self.grouping.groups(&keys)?;
        self.state.grow(self.grouping.len());
        let times = Moments::Times(as_int64_array(&time)?.values());
        self.state
            .update(groups.as_deref(), times, value.as_ref(), None)?;
        if let (Some(chooser), Some(row)) = (&mut self.chooser, &self.row) {
            let (rows, times) = (evaluate(row)?, as_int64_array(&time)?.values());
            let groups = (groups.as_deref(), &self.grouping);
            let rows = as_int64_array(&rows)?;
            chooser.add(rows, times, groups, value.as_ref()).await?;
        }
        Ok(())
    }

    fn bytes(&self) -> usize {
        let chosen = self.chooser.as_ref().map_or(0, RowChooser::bytes);
        self.grouping.bytes() + self.state.bytes() + chosen
    }

    fn finish(self) -> Result<(Groups, Option<Candidates>)> {
        let groups = Groups {
            keys: self.grouping.keys()?,
            state: self.state,
        };
        let chosen = self.chooser.map(RowChooser::finish);
        Ok((groups, chosen))
    }
}

/// Replaces aggregations that `RangeAggregateExec` can do.
#[derive(Debug)]
pub(crate) struct UseRangeAggregate;

impl PhysicalOptimizerRule for UseRangeAggregate {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_down(|node| {
            Ok(
                match node
                    .downcast_ref::<AggregateExec>()
                    .and_then(RangeAggregateExec::of)
                {
                    Some(own) => Transformed::yes(Arc::new(own) as Arc<dyn ExecutionPlan>),
                    None => Transformed::no(node),
                },
            )
        })
        .data()
    }

    fn name(&self) -> &str {
        "use_range_aggregate"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::Int64Array;
    use datafusion::functions_aggregate::expr_fn::count;
    use datafusion::logical_expr::{Expr, ExprFunctionExt as _, col, lit};
    use datafusion::physical_plan::displayable;
    use datafusion::prelude::{SessionConfig, SessionContext};

    use super::*;
    use crate::limit::MemoryLimit;

    /// The plan of an aggregation over spans, before and after the rule.
    async fn ruled(keys: Vec<Expr>, aggregates: Vec<Expr>) -> [String; 2] {
        let columns = ["time", "service"].map(|name| {
            let values: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 2]));
            (name, values)
        });
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let context =
            SessionContext::new_with_config(SessionConfig::new().with_target_partitions(1));
        let spans = context.read_batch(batch).unwrap();
        let plan = spans.aggregate(keys, aggregates).unwrap();
        let plan = plan.create_physical_plan().await.unwrap();
        let config = ConfigOptions::default();
        let after = UseRangeAggregate
            .optimize(Arc::clone(&plan), &config)
            .unwrap();
        assert_eq!(plan.schema(), after.schema());
        [plan, after].map(|plan| displayable(plan.as_ref()).indent(false).to_string())
    }

    fn range_count() -> Expr {
        let arguments = RangeArguments {
            start: 0,
            step: 1,
            intervals: 9,
            limit: MemoryLimit {
                bytes: 1 << 20,
                key: "k",
            },
        };
        arguments.call(StateKind::Count, col("time"), None, None)
    }

    #[tokio::test]
    async fn one_range_aggregate_by_columns_is_replaced() {
        for keys in [
            Vec::new(),
            vec![col("service")],
            vec![col("service") + lit(1)],
        ] {
            let [before, after] = ruled(keys, vec![range_count()]).await;
            assert!(before.contains("AggregateExec: mode=Single"), "{before}");
            assert!(after.contains("RangeAggregateExec: by=["), "{after}");
            assert!(!after.contains(" AggregateExec:"), "{after}");
        }
    }

    #[tokio::test]
    async fn what_the_operator_cannot_do_is_left_as_it_was() {
        let filtered = range_count().filter(col("service").gt(lit(1))).build();
        for aggregates in [
            vec![count(col("time"))],
            vec![range_count().alias("a"), count(col("time"))],
            vec![filtered.unwrap()],
        ] {
            let [before, after] = ruled(vec![col("service")], aggregates).await;
            assert_eq!(before, after);
        }
    }
}
