//! Work as plain data: what is done with the spans of a slice, and what they come to.
//!
//! A query is cut into jobs where it is answered, and a job is run where its data is. [`Jobs`] is the
//! seam between the two: it is given words, [`Work`] and a [`Slice`], and gives back a partial result,
//! [`Found`]. In one process the [`Engine`] stands behind it.

use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::error::DataFusionError;
use storage::block::meta::BlockMeta;
use storage::block::{
    MemoryBlock, TraceSpans, ValueLimits, ValueSet, ValueSource, live_trace, live_values,
    read_trace, read_values,
};
use storage::ids::TraceId;

use crate::context::QueryContext;
use crate::error::EngineError;
use crate::executor::Engine;
use crate::exemplars::ShownSpan;
use crate::grid::Grid;
use crate::partial::PartialSeries;
use crate::plan::{MetricsPlan, SearchLimits, SearchPlan, SearchWindow};
use crate::search::TraceMatch;
use crate::slice::Slice;

/// What is done with the spans of a slice.
#[derive(Debug, Clone)]
pub enum Work {
    /// The spans are aggregated: [`Found::Series`].
    Series {
        /// The query.
        plan: Arc<MetricsPlan>,
        /// The intervals of the series.
        grid: Grid,
        /// Whether spans are chosen, too, that may be shown beside the series.
        chooses: bool,
    },
    /// Spans that were chosen are read, as far as they are shown: [`Found::Exemplars`].
    Exemplars {
        /// The query.
        plan: Arc<MetricsPlan>,
        /// The places of the spans among the rows of the slice's block, ascending.
        rows: Arc<[u64]>,
    },
    /// Traces are searched: [`Found::Matches`].
    Search {
        /// The query.
        plan: Arc<SearchPlan>,
        /// When the traces were under way.
        window: SearchWindow,
        /// How many traces and spans are wanted.
        limits: SearchLimits,
    },
    /// The spans of one trace are read, out of a whole block: [`Found::Trace`].
    Trace {
        /// The trace.
        trace_id: TraceId,
        /// Most bytes of its spans, as OTLP.
        max_bytes: u64,
    },
    /// The distinct values of an attribute or a field are read, out of a whole block:
    /// [`Found::Values`].
    Values {
        /// Whose values.
        source: ValueSource,
        /// The spans whose values count are those that start in this range, ns since the epoch.
        starts: RangeInclusive<i64>,
        /// How many values are wanted.
        limits: ValueLimits,
    },
    /// The traces that lie in other blocks, too, are looked up: [`Found::Traces`].
    Common {
        /// The other blocks, which are stored.
        with: Vec<Arc<BlockMeta>>,
    },
}

/// What the spans of a slice come to.
#[derive(Debug)]
pub enum Found {
    /// Of [`Work::Series`]: what they add to the series.
    Series(PartialSeries),
    /// Of [`Work::Exemplars`]: what each of the spans is shown with, in their order.
    Exemplars(Vec<ShownSpan>),
    /// Of [`Work::Search`]: the newest traces that match, newest first.
    Matches(Vec<TraceMatch>),
    /// Of [`Work::Trace`]: those that are of the trace.
    Trace(TraceSpans),
    /// Of [`Work::Values`]: their values.
    Values(ValueSet),
    /// Of [`Work::Common`]: for each of the other blocks, the traces that are in it, too.
    Traces(Vec<Arc<[TraceId]>>),
}

/// Runs work over slices, in this process or elsewhere.
#[async_trait]
pub trait Jobs: Send + Sync + fmt::Debug {
    /// Does the work once. Dropping the future stops it.
    ///
    /// # Errors
    /// See [`EngineError`]; the work may be done again as a whole where the kind says so.
    async fn run(
        &self,
        work: &Work,
        slice: Slice,
        context: &QueryContext,
    ) -> Result<Found, EngineError>;

    /// The plans by which the spans of a slice would be aggregated, as text. With `analyze` they are
    /// run, and show what that took.
    ///
    /// # Errors
    /// As for [`Self::run`].
    async fn explain(
        &self,
        plan: &Arc<MetricsPlan>,
        grid: Grid,
        slice: Slice,
        context: &QueryContext,
        analyze: bool,
    ) -> Result<String, EngineError>;

    /// Jobs that can run at the same moment, above zero. It decides how many jobs a query is cut
    /// into, and how many of all queries are under way.
    fn capacity(&self) -> usize;

    /// Memory of this process in which footers and columns of stored blocks are kept, bytes.
    fn cache_bytes(&self) -> u64;
}

#[async_trait]
impl Jobs for Engine {
    async fn run(
        &self,
        work: &Work,
        slice: Slice,
        context: &QueryContext,
    ) -> Result<Found, EngineError> {
        match work {
            Work::Series {
                plan,
                grid,
                chooses,
            } => {
                let series = self.run_job(plan, (*grid, *chooses), slice, context);
                Ok(Found::Series(series.await?))
            }
            Work::Exemplars { plan, rows } => {
                let shown = self.exemplar_job(plan, rows, slice, context);
                Ok(Found::Exemplars(shown.await?))
            }
            Work::Search {
                plan,
                window,
                limits,
            } => {
                let matches = self.search_job(plan, *window, *limits, slice, context);
                Ok(Found::Matches(matches.await?))
            }
            &Work::Trace {
                trace_id,
                max_bytes,
            } => {
                let spans = match whole_block(work, slice)? {
                    WholeBlock::Stored(block) => {
                        let read = move |file| read_trace(file, trace_id, max_bytes);
                        self.read(&block, &context.counters, read).await?
                    }
                    WholeBlock::Live(block) => {
                        let read = async move { Ok(live_trace(&block, trace_id, max_bytes)?) };
                        self.spawn(read).await?
                    }
                };
                Ok(Found::Trace(spans))
            }
            Work::Values {
                source,
                starts,
                limits,
            } => {
                let (source, starts, limits) = (source.clone(), starts.clone(), *limits);
                let values = match whole_block(work, slice)? {
                    WholeBlock::Stored(block) => {
                        let read =
                            |file| async move { read_values(file, &source, starts, limits).await };
                        self.read(&block, &context.counters, read).await?
                    }
                    WholeBlock::Live(block) => {
                        let read = async move { Ok(live_values(&block, &source, starts, limits)?) };
                        self.spawn(read).await?
                    }
                };
                Ok(Found::Values(values))
            }
            Work::Common { with } => {
                if slice.block().is_none() {
                    return Err(no_block(work, &slice));
                }
                let traces = self.common_traces(with, slice, context).await?;
                Ok(Found::Traces(traces))
            }
        }
    }

    async fn explain(
        &self,
        plan: &Arc<MetricsPlan>,
        grid: Grid,
        slice: Slice,
        context: &QueryContext,
        analyze: bool,
    ) -> Result<String, EngineError> {
        self.explain_job(plan, grid, slice, context, analyze).await
    }

    fn capacity(&self) -> usize {
        let threads = self.runtime.as_ref();
        threads.map_or(1, |threads| threads.metrics().num_workers())
    }

    fn cache_bytes(&self) -> u64 {
        Engine::cache_bytes(self)
    }
}

/// A slice that is all of a block.
enum WholeBlock {
    Stored(Arc<BlockMeta>),
    Live(Arc<MemoryBlock>),
}

/// The block that work is done on as a whole.
///
/// # Errors
/// An internal one for any other slice: work on whole blocks that was cut would find things several
/// times.
fn whole_block(work: &Work, slice: Slice) -> Result<WholeBlock, EngineError> {
    match slice {
        Slice::Stored { block, row_groups } if row_groups.len() == block.row_groups.len() => {
            Ok(WholeBlock::Stored(block))
        }
        Slice::Live(block) => Ok(WholeBlock::Live(block)),
        other => Err(no_block(work, &other)),
    }
}

/// The error of work on a whole block that was given something else.
fn no_block(work: &Work, slice: &Slice) -> EngineError {
    EngineError::Internal(DataFusionError::Internal(format!(
        "{work} needs a whole block, not {slice}"
    )))
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Series { plan, grid, .. } => {
                write!(f, "series over {} intervals of {plan}", grid.intervals)
            }
            Self::Exemplars { plan, rows } => write!(f, "{} exemplars of {plan}", rows.len()),
            Self::Search { plan, limits, .. } => {
                write!(f, "{} traces that match {plan}", limits.traces)
            }
            Self::Trace { trace_id, .. } => write!(f, "trace {trace_id}"),
            Self::Values { source, .. } => match source {
                ValueSource::Column(name) => write!(f, "values of {name}"),
                ValueSource::EventName => f.write_str("names of events"),
                ValueSource::Attribute { scope, key } => write!(f, "values of {scope:?} {key}"),
            },
            Self::Common { with } => write!(f, "traces that are in {} blocks, too", with.len()),
        }
    }
}

/// The result of one kind of work out of that of any.
macro_rules! out_of_found {
    ($($kind:ident: $result:ty),+) => {$(
        impl TryFrom<Found> for $result {
            type Error = EngineError;

            fn try_from(found: Found) -> Result<Self, EngineError> {
                match found {
                    Found::$kind(result) => Ok(result),
                    _ => Err(EngineError::Internal(DataFusionError::Internal(
                        "a result of another kind of work".to_owned(),
                    ))),
                }
            }
        }
    )+};
}

out_of_found!(
    Series: PartialSeries,
    Exemplars: Vec<ShownSpan>,
    Matches: Vec<TraceMatch>,
    Trace: TraceSpans,
    Values: ValueSet,
    Traces: Vec<Arc<[TraceId]>>
);

#[cfg(test)]
mod tests {
    use hashbrown::HashSet;
    use object_store::memory::InMemory;
    use object_store::path::Path;
    use storage::block::meta::RowGroupMeta;
    use storage::block::{EncodeOptions, encode};
    use storage::ids::{BlockId, TenantId};
    use storage::model::{Span, SpanGroup};
    use traceql::ast::Query;

    use super::*;
    use crate::{EngineOptions, SeriesPlan};

    const TRACE: TraceId = TraceId([7; 16]);

    fn engine() -> Engine {
        let options = EngineOptions {
            threads: 3,
            ..EngineOptions::default()
        };
        Engine::try_new(Arc::new(InMemory::new()), Path::default(), &options).unwrap()
    }

    /// A block of two spans of one trace, which start at 1 s and at 2 s.
    fn live() -> Arc<MemoryBlock> {
        let span = |second: i64, name: &str| Span {
            trace_id: TRACE,
            start_ns: second * 1_000_000_000,
            end_ns: second * 1_000_000_000 + 5,
            name: name.to_owned(),
            ..Span::default()
        };
        let group = SpanGroup {
            resource: Arc::default(),
            scope: Arc::default(),
            spans: vec![span(1, "get"), span(2, "put")],
        };
        let options = EncodeOptions::new(TenantId::single(), BlockId(ulid::Ulid::from(1_u128)));
        Arc::new(encode(&[group], &options).unwrap())
    }

    fn query(text: &str) -> Query {
        traceql::compile(text).unwrap()
    }

    fn each_kind() -> [Work; 6] {
        let plan = SeriesPlan::analyse(&query("{ } | rate()")).unwrap();
        let plan = Arc::clone(&plan.operands()[0]);
        let grid = Grid::instant(0, 1_500_000_000).unwrap();
        [
            Work::Series {
                plan: Arc::clone(&plan),
                grid,
                chooses: true,
            },
            Work::Exemplars {
                plan,
                rows: Arc::new([0]),
            },
            Work::Search {
                plan: Arc::new(SearchPlan::analyse(&query("{ name = \"put\" }")).unwrap()),
                window: SearchWindow {
                    start_ns: 0,
                    end_ns: i64::MAX,
                },
                limits: SearchLimits {
                    traces: 20,
                    spans_per_spanset: 3,
                    not_before_ns: None,
                },
            },
            Work::Trace {
                trace_id: TRACE,
                max_bytes: u64::MAX,
            },
            Work::Values {
                source: ValueSource::Column("name"),
                starts: 0..=1_500_000_000,
                limits: ValueLimits::NONE,
            },
            Work::Common { with: Vec::new() },
        ]
    }

    #[tokio::test]
    async fn each_kind_of_work_comes_to_its_kind_of_result() {
        let (engine, block) = (engine(), live());
        let context = QueryContext::new(1 << 20, "k");
        let mut found = Vec::new();
        for work in each_kind() {
            let jobs: &dyn Jobs = &engine;
            let slice = Slice::Live(Arc::clone(&block));
            found.push(jobs.run(&work, slice, &context).await.unwrap());
        }
        let mut found = found.into_iter();
        let mut next = || found.next().unwrap();
        assert_eq!(PartialSeries::try_from(next()).unwrap().group_count(), 1);
        assert_eq!(Vec::<ShownSpan>::try_from(next()).unwrap().len(), 1);
        let matches = Vec::<TraceMatch>::try_from(next()).unwrap();
        assert_eq!(matches[0].trace_id, TRACE);
        let groups = TraceSpans::try_from(next()).unwrap().into_groups();
        assert_eq!(groups[0].spans.len(), 2);
        let values = next();
        assert!(matches!(&values, Found::Values(set) if set.clone().into_values().len() == 1));
        assert!(PartialSeries::try_from(values).is_err());
        assert!(Vec::<Arc<[TraceId]>>::try_from(next()).unwrap().is_empty());
    }

    #[tokio::test]
    async fn whole_blocks_are_read_as_such() {
        let (engine, block) = (engine(), live());
        let context = QueryContext::new(1 << 20, "k");
        let rest = Slice::Rest {
            slice: Box::new(Slice::Live(block)),
            without: Arc::new(HashSet::new()),
        };
        let part = Slice::Stored {
            block: Arc::new(BlockMeta {
                row_groups: vec![
                    RowGroupMeta {
                        row_count: 1,
                        min_start_ns: 0,
                        max_start_ns: 1
                    };
                    2
                ],
                ..BlockMeta::clone(&live().meta)
            }),
            row_groups: vec![1],
        };
        for work in each_kind() {
            let reads_rows = matches!(work, Work::Trace { .. } | Work::Values { .. });
            let found = engine.run(&work, rest.clone(), &context).await;
            assert_eq!(found.is_err(), reads_rows, "{work}");
            if reads_rows {
                let found = engine.run(&work, part.clone(), &context).await;
                let reason = found.map(|_| ()).unwrap_err().to_string();
                assert!(reason.contains("needs a whole block"), "{reason}");
            }
        }
    }

    #[test]
    fn work_prints() {
        assert_eq!(
            each_kind().map(|work| work.to_string()),
            [
                "series over 1 intervals of { } | rate()",
                "1 exemplars of { } | rate()",
                "20 traces that match { name = \"put\" }",
                "trace 07070707070707070707070707070707",
                "values of name",
                "traces that are in 0 blocks, too",
            ]
        );
    }

    #[test]
    fn an_engine_runs_as_many_jobs_as_it_has_threads() {
        assert_eq!(engine().capacity(), 3);
    }
}
