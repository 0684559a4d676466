//! Which traces may be in the answer of a search, found out before anything else of them is read.
//!
//! Two ways, the second only where the first does not help: where the first filter of the query lets
//! few spans through, the ids of their traces; else the newest of all traces, as far as they match by
//! that filter alone. Both read a few columns, where an answer takes a dozen.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, SessionState, TaskContext};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, lit};
use datafusion::physical_plan::execute_stream;
use futures::TryStreamExt as _;
use hashbrown::HashSet;
use storage::ids::TraceId;
use storage::schema::names;
use traceql::ast::{SpansetExpr, Stage};

use crate::batch::named;
use crate::columns::{RESOLVED_PARENT_ID, column, column_names};
use crate::lower::layout::Layout;
use crate::lower::value::Predicate;
use crate::physical::EncodedTraces;
use crate::plan::{SearchLimits, SearchPlan, SearchWindow};
use crate::scan::Opened;
use crate::spanset::derive::Derived;

/// So many traces are read one by one; where there are more, all are.
const MAX_TRACES: usize = 1024;
/// Whether a span passes the first filter.
const MATCHES: &str = "matches";

/// The first filter of a search, lowered for one block.
#[derive(Debug)]
pub(crate) struct FirstFilter {
    /// The condition, on columns of the block; it cannot fail. `None` if every span passes.
    condition: Option<Expr>,
    /// Whether a trace matches if one of its spans passes, or may need more than that.
    is_all: bool,
}

impl FirstFilter {
    /// The first filter of a plan; `None` if it begins with something else, or spans have to be looked
    /// at more closely.
    pub(crate) fn lower(plan: &SearchPlan, layout: &Layout<'_>) -> Result<Option<Self>> {
        let stages = &plan.pipeline.stages;
        let Some(Stage::Spansets(SpansetExpr::Filter { condition, .. })) = stages.first() else {
            return Ok(None);
        };
        let is_all = stages.len() == 1;
        let Some(condition) = condition else {
            let condition = None;
            return Ok(Some(Self { condition, is_all }));
        };
        let Predicate { expr, can_fail } = layout.predicate(condition)?;
        let columns = column_names([&expr].into_iter());
        let is_derived = columns.contains(RESOLVED_PARENT_ID);
        if can_fail || is_derived || !Derived::among(columns).0.is_empty() {
            return Ok(None);
        }
        let condition = Some(expr);
        Ok(Some(Self { condition, is_all }))
    }

    /// The traces that may be in the answer, if they are few.
    pub(crate) async fn candidates(
        &self,
        window: SearchWindow,
        limits: SearchLimits,
        spans: &Opened,
        (session, task): (&SessionState, &Arc<TaskContext>),
    ) -> Result<Option<HashSet<TraceId>>> {
        let few = self.few(spans.clone(), session, Arc::clone(task)).await?;
        match self.newest_columns(limits) {
            Some(columns) if few.is_none() => {
                let spans = spans.clone().scan(&columns)?;
                let newest = self.newest(window, limits, spans, session, Arc::clone(task));
                newest.await
            }
            _ => Ok(few),
        }
    }

    /// The traces of which a span passes, unless there are many, or every span passes.
    async fn few(
        &self,
        mut opened: Opened,
        session: &SessionState,
        task: Arc<TaskContext>,
    ) -> Result<Option<HashSet<TraceId>>> {
        let Some(condition) = &self.condition else {
            return Ok(None);
        };
        let encoded = match opened.stored() {
            Some(stored) => EncodedTraces::plan(condition, &stored, session)?,
            None => None,
        };
        if let Some(encoded) = encoded {
            return encoded.find(MAX_TRACES).await;
        }
        let mut columns = column_names([condition].into_iter());
        if columns.is_empty() {
            return Ok(None);
        }
        columns.insert(names::TRACE_ID.to_owned());
        opened.expect_few();
        let scan = opened.scan(&columns)?.filter(condition.clone())?;
        let plan = scan.project([column(names::TRACE_ID)])?.build()?;
        let mut spans = run(&plan, session, task).await?;
        let mut found = HashSet::new();
        while let Some(batch) = spans.try_next().await? {
            found.extend(trace_ids(&batch)?);
            if found.len() > MAX_TRACES {
                return Ok(None);
            }
        }
        Ok(Some(found))
    }

    /// Columns of the block for [`Self::newest`]; `None` if that is no use.
    fn newest_columns(&self, limits: SearchLimits) -> Option<BTreeSet<String>> {
        let has_few = self.is_all && limits.traces <= MAX_TRACES;
        if !has_few && limits.not_before_ns.is_none() {
            return None;
        }
        let mut columns = column_names(self.condition.iter());
        let always = [names::TRACE_ID, names::START_NS, names::TRACE_DURATION];
        columns.extend(always.map(str::to_owned));
        Some(columns)
    }

    /// Traces of which a span passes, without those that are too old for the answer, unless there are
    /// many.
    async fn newest(
        &self,
        window: SearchWindow,
        limits: SearchLimits,
        scan: LogicalPlanBuilder,
        session: &SessionState,
        task: Arc<TaskContext>,
    ) -> Result<Option<HashSet<TraceId>>> {
        let condition = self.condition.clone().unwrap_or_else(|| lit(true));
        let read = [names::TRACE_ID, names::START_NS, names::TRACE_DURATION].map(column);
        let read = read.into_iter().chain([condition.alias(MATCHES)]);
        let plan = scan.project(read)?.build()?;
        let mut spans = run(&plan, session, task).await?;
        let mut newest = Newest {
            window,
            not_before_ns: limits.not_before_ns.unwrap_or(i64::MIN),
            limit: if self.is_all {
                limits.traces
            } else {
                usize::MAX
            },
            found: BinaryHeap::new(),
        };
        let mut current: Option<Trace> = None;
        while let Some(batch) = spans.try_next().await? {
            newest.add(&batch, &mut current)?;
            if newest.found.len() > MAX_TRACES {
                return Ok(None);
            }
        }
        newest.push(current);
        let ids = newest.found.into_iter().map(|(_, id)| id);
        Ok(Some(ids.collect()))
    }
}

/// A trace whose spans are being read.
struct Trace {
    id: TraceId,
    start_ns: i64,
    duration_ns: i64,
    matches: bool,
}

/// The newest traces so far.
struct Newest {
    window: SearchWindow,
    not_before_ns: i64,
    limit: usize,
    /// The oldest of them on top; of equally old ones that with the greatest id.
    found: BinaryHeap<(Reverse<i64>, TraceId)>,
}

impl Newest {
    /// Takes the spans that follow.
    fn add(&mut self, batch: &RecordBatch, current: &mut Option<Trace>) -> Result<()> {
        let starts = named(batch, names::START_NS)?.as_primitive::<Int64Type>();
        let durations = named(batch, names::TRACE_DURATION)?.as_primitive::<Int64Type>();
        let matches = named(batch, MATCHES)?.as_boolean();
        for (row, id) in trace_ids(batch)?.enumerate() {
            let start_ns = starts.value(row);
            let is_match = matches.is_valid(row) && matches.value(row);
            match current {
                Some(trace) if trace.id == id => {
                    trace.start_ns = trace.start_ns.min(start_ns);
                    trace.matches |= is_match;
                }
                _ => {
                    let next = Trace {
                        id,
                        start_ns,
                        duration_ns: durations.value(row),
                        matches: is_match,
                    };
                    self.push(current.replace(next));
                }
            }
        }
        Ok(())
    }

    fn push(&mut self, trace: Option<Trace>) {
        let Some(trace) = trace.filter(|trace| trace.matches) else {
            return;
        };
        let end_ns = trace.start_ns.saturating_add(trace.duration_ns);
        if trace.start_ns > self.window.end_ns
            || end_ns < self.window.start_ns
            || trace.start_ns < self.not_before_ns
        {
            return;
        }
        self.found.push((Reverse(trace.start_ns), trace.id));
        if self.found.len() > self.limit {
            self.found.pop();
        }
    }
}

async fn run(
    plan: &LogicalPlan,
    session: &SessionState,
    task: Arc<TaskContext>,
) -> Result<SendableRecordBatchStream> {
    let plan = session.optimize(plan)?;
    execute_stream(session.create_physical_plan(&plan).await?, task)
}

fn trace_ids(batch: &RecordBatch) -> Result<impl Iterator<Item = TraceId>> {
    let ids = named(batch, names::TRACE_ID)?.as_fixed_size_binary();
    Ok(ids.value_data().chunks_exact(16).map(|bytes| {
        let mut id = TraceId([0; 16]);
        id.0.copy_from_slice(bytes);
        id
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_matching_traces_in_the_window_are_kept() {
        let mut newest = Newest {
            window: SearchWindow {
                start_ns: 10,
                end_ns: 50,
            },
            not_before_ns: 8,
            limit: 3,
            found: BinaryHeap::new(),
        };
        for (id, start_ns, duration_ns, matches) in [
            (1, 20, 1, true),
            (2, 40, 1, false),
            (3, 51, 1, true),
            (4, 8, 1, true),
            (5, 7, 90, true),
            (6, 9, 1, true),
            (7, 50, 0, true),
            (9, 20, 0, true),
            (8, 20, 0, true),
        ] {
            newest.push(Some(Trace {
                id: TraceId([id; 16]),
                start_ns,
                duration_ns,
                matches,
            }));
        }
        newest.push(None);
        let found = newest.found.into_sorted_vec().into_iter();
        let found: Vec<_> = found.map(|(start, id)| (start.0, id.0[0])).collect();
        assert_eq!(found, [(50, 7), (20, 1), (20, 8)]);
    }
}
