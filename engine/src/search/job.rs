//! Runs a search over one slice.

use std::collections::{BTreeSet, BinaryHeap};
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::error::Result;
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::execution::{SessionState, TaskContext};
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, lit};
use datafusion::physical_plan::execute_stream;
use futures::TryStreamExt as _;
use hashbrown::HashSet;
use storage::block::meta::BlockMeta;
use storage::ids::TraceId;
use storage::schema::names;
use traceql::ast::{Attribute, Scope};

use super::candidates::FirstFilter;
use super::collect::{COLUMNS, Collector, SearchLimits};
use super::plan::SearchPlan;
use super::result::TraceMatch;
use super::show::{Shown, key_without_scope};
use crate::batch::Evaluation;
use crate::error::{EngineError, recover};
use crate::lower::column_names;
use crate::lower::layout::{Layout, column, stored_columns};
use crate::lower::spansets::lower_stages;
use crate::lower::value::Type;
use crate::scan::Scan;
use crate::spanset::derive::Derived;
use crate::spanset::node::runnable;
use crate::spanset::program::Program;
use crate::spanset::traces::{TraceReader, TraceShape, TraceWindow};

/// Traces that were under way at some time of `[start_ns, end_ns]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SearchWindow {
    /// First moment, ns since the epoch.
    pub start_ns: i64,
    /// Last moment, ns since the epoch.
    pub end_ns: i64,
}

/// A search lowered for one block.
#[derive(Debug)]
pub(crate) struct LoweredSearch {
    program: Arc<Program>,
    shape: TraceShape,
    shown: Shown,
    service: Expr,
    /// Columns that the scan reads.
    read: BTreeSet<String>,
    /// What most traces can be left out by.
    pub(crate) first_filter: Option<FirstFilter>,
}

impl LoweredSearch {
    pub(crate) fn lower(
        plan: &SearchPlan,
        window: SearchWindow,
        block: &BlockMeta,
    ) -> Result<Self> {
        let layout = Layout::spans(block, plan.dialect);
        let program = lower_stages(&plan.pipeline.stages, &layout)?;
        let shown = Shown::lower(&plan.shown, &layout, key_without_scope)?;
        let service = layout.resolve(&Attribute::Key {
            scope: Scope::Resource,
            of_parent: false,
            key: "service.name".to_owned(),
        })?;
        let service = service
            .get(Type::String)
            .cloned()
            .unwrap_or_else(|| lit(""));
        let conditions = program.expressions.iter().map(|e| &e.expr);
        let used = conditions.chain(shown.expressions()).chain([&service]);
        let (derived, mut read) = Derived::among(column_names(used));
        let shape = TraceShape {
            window: TraceWindow::Overlaps {
                start: window.start_ns,
                end: window.end_ns,
            },
            derived,
            kinship: program.kinship(),
        };
        read.extend(shape.columns().into_iter().map(str::to_owned));
        read.extend(COLUMNS.iter().map(ToString::to_string));
        if plan.shows_name {
            read.insert(names::NAME.to_owned());
        }
        Ok(Self {
            program: Arc::new(program),
            shape,
            shown,
            service,
            read,
            first_filter: FirstFilter::lower(plan, &layout)?,
        })
    }

    /// Names of the columns that are read from the block.
    pub(crate) fn columns(&self) -> BTreeSet<String> {
        stored_columns(self.read.clone())
    }

    /// The traces of a slice that may be in the answer, if they are few.
    pub(crate) async fn candidates(
        &self,
        slice: &Scan,
        window: SearchWindow,
        limits: SearchLimits,
    ) -> Result<Option<HashSet<TraceId>>, EngineError> {
        let Some(filter) = &self.first_filter else {
            return Ok(None);
        };
        let recovered = |error| recover(error, slice.context.limit);
        let (session, task) = (&slice.session, slice.task_context().map_err(recovered)?);
        if let (Some(columns), Some(mut spans)) = (filter.few_columns(), slice.open().await?) {
            spans.expect_few();
            let spans = spans.scan(&columns).map_err(recovered)?;
            let few = filter.few(spans, session, Arc::clone(&task));
            if let Some(few) = few.await.map_err(recovered)? {
                return Ok(Some(few));
            }
        }
        match (filter.newest_columns(limits), slice.open().await?) {
            (Some(columns), Some(spans)) => {
                let spans = spans.scan(&columns).map_err(recovered)?;
                let newest = filter.newest(window, limits, spans, session, task);
                newest.await.map_err(recovered)
            }
            _ => Ok(None),
        }
    }

    /// The newest matching traces of a scan, newest first.
    pub(crate) async fn run(
        &self,
        plan: &SearchPlan,
        limits: SearchLimits,
        scan: LogicalPlanBuilder,
        session: &SessionState,
        task: Arc<TaskContext>,
    ) -> Result<Vec<TraceMatch>> {
        let scan = scan
            .project(self.read.iter().map(|name| column(name)))?
            .build()?;
        let physical = session
            .create_physical_plan(&session.optimize(&scan)?)
            .await?;
        let reservation = MemoryConsumer::new("search").register(task.memory_pool());
        let mut spans = execute_stream(physical, task)?;
        let schema = spans.schema();
        let runnable = runnable(&self.program, &self.shape, &schema, session, true)?;
        let mut reader = TraceReader::try_new(self.shape.clone(), &schema)?;
        let mut collector = self.collector(plan, limits, reader.schema(), session)?;
        loop {
            let batch = spans.try_next().await?;
            let at_end = batch.is_none();
            let traces = match batch {
                Some(batch) => reader.push(batch)?,
                None => reader.finish()?.into_iter().collect(),
            };
            reservation.try_resize(reader.bytes())?;
            for traces in &traces {
                let partition = runnable.run(&traces.batch, &traces.forest)?;
                collector.add(traces, &partition)?;
            }
            if at_end {
                let newest = collector.newest.into_sorted_vec().into_iter();
                return Ok(newest.map(|oldest| oldest.0).collect());
            }
        }
    }

    fn collector(
        &self,
        plan: &SearchPlan,
        limits: SearchLimits,
        schema: &SchemaRef,
        session: &SessionState,
    ) -> Result<Collector> {
        Ok(Collector {
            limits,
            show: self.shown.physical(schema, session)?,
            shows_name: plan.shows_name,
            service: Evaluation::try_new(schema, session)?.of(&self.service)?,
            newest: BinaryHeap::new(),
        })
    }
}
