//! Jobs that search: the newest matching traces.

use std::collections::{BTreeSet, BinaryHeap};
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::error::Result;
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::execution::{SendableRecordBatchStream, SessionState, TaskContext};
use datafusion::logical_expr::{Expr, lit};
use datafusion::physical_plan::execute_stream;
use futures::TryStreamExt as _;
use storage::block::meta::BlockMeta;
use storage::schema::names;
use traceql::ast::{Attribute, Scope};

use crate::batch::Evaluation;
use crate::columns::{column, column_names, stored_columns};
use crate::error::EngineError;
use crate::limit::recover;
use crate::lower::layout::Layout;
use crate::lower::spansets::lower_stages;
use crate::plan::{SearchLimits, SearchPlan, SearchWindow};
use crate::prune::is_search_without;
use crate::scan::{Opened, Scan};
use crate::search::candidates::FirstFilter;
use crate::search::collect::{COLUMNS, MatchCollector};
use crate::search::result::TraceMatch;
use crate::show::{Shown, key_without_scope};
use crate::spanset::derive::Derived;
use crate::spanset::node::runnable;
use crate::spanset::program::Program;
use crate::spanset::traces::{TraceReader, TraceShape, TraceWindow};
use crate::types::Type;

/// A search lowered for one block.
#[derive(Debug)]
pub(crate) struct SearchJob {
    program: Arc<Program>,
    shape: TraceShape,
    shown: Shown,
    service: Expr,
    /// Columns that the scan reads.
    read: BTreeSet<String>,
    /// What most traces can be left out by.
    first_filter: Option<FirstFilter>,
}

/// The newest traces of a slice that match, newest first.
///
/// # Errors
/// If the store fails, a block is damaged, or it takes more memory than the query may hold.
pub(crate) async fn run(
    scan: &Scan,
    plan: &SearchPlan,
    window: SearchWindow,
    limits: SearchLimits,
) -> std::result::Result<Vec<TraceMatch>, EngineError> {
    let lacks = scan.lacks_what_is_named(|block, lacks| is_search_without(plan, block, lacks));
    if lacks.await? {
        return Ok(Vec::new());
    }
    let Some(spans) = scan.open().await? else {
        return Ok(Vec::new());
    };
    let span_count = spans.span_count;
    let found = async {
        let job = SearchJob::lower(plan, window, spans.block())?;
        let task = scan.task_context()?;
        job.find(plan, window, limits, spans, (&scan.session, &task))
            .await
    };
    let found = found
        .await
        .map_err(|error| recover(error, scan.context.limit))?;
    scan.count_spans(span_count);
    Ok(found)
}

impl SearchJob {
    /// Lowers a search for a block.
    ///
    /// # Errors
    /// If an attribute or condition cannot be made an expression.
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

    /// The newest matching traces of some spans, newest first.
    ///
    /// # Errors
    /// If the store fails, a block is damaged, or it takes more memory than allowed.
    async fn find(
        &self,
        plan: &SearchPlan,
        window: SearchWindow,
        limits: SearchLimits,
        spans: Opened,
        (session, task): (&SessionState, &Arc<TaskContext>),
    ) -> Result<Vec<TraceMatch>> {
        // Of stored traces that are not in the answer, no more is read than it takes to know.
        let candidates = match &self.first_filter {
            Some(filter) if spans.is_stored() => {
                let candidates = filter.candidates(window, limits, &spans, (session, task));
                candidates.await?
            }
            _ => None,
        };
        let selected = match candidates {
            Some(traces) if traces.is_empty() => return Ok(Vec::new()),
            Some(traces) => spans.traces(traces, &self.read)?,
            None => None,
        };
        let spans = match selected {
            Some(selected) => selected,
            None => {
                let columns = self.read.iter().map(|name| column(name));
                let scan = spans.scan(&self.columns())?;
                let scan = scan.project(columns)?.build()?;
                let scan = session.optimize(&scan)?;
                execute_stream(session.create_physical_plan(&scan).await?, Arc::clone(task))?
            }
        };
        self.collect(plan, limits, spans, (session, task)).await
    }

    async fn collect(
        &self,
        plan: &SearchPlan,
        limits: SearchLimits,
        mut spans: SendableRecordBatchStream,
        (session, task): (&SessionState, &Arc<TaskContext>),
    ) -> Result<Vec<TraceMatch>> {
        let reservation = MemoryConsumer::new("search").register(task.memory_pool());
        let schema = spans.schema();
        let runnable = runnable(&self.program, &self.shape, &schema, session, true)?;
        let mut reader = TraceReader::try_new(self.shape.clone(), &schema)?;
        let mut collector = self.collector(plan, limits, reader.schema(), session)?;
        loop {
            // Batches of selected traces are always ready, and this may be dropped meanwhile.
            tokio::task::yield_now().await;
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
    ) -> Result<MatchCollector> {
        Ok(MatchCollector {
            limits,
            show: self.shown.physical(schema, session)?,
            shows_name: plan.shows_name,
            service: Evaluation::try_new(schema, session)?.of(&self.service)?,
            newest: BinaryHeap::new(),
        })
    }
}
