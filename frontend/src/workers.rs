//! Who does the work of a request: in turn with other tenants, and again where that can help.

use std::sync::Arc;

use engine::{
    EngineError, Found, Grid, Jobs, MetricsPlan, PairCache, Pieces, QueryContext, Slice, Work,
    pieces,
};
use futures::Stream;
use storage::block::MemoryBlock;
use storage::block::meta::BlockMeta;
use storage::ids::TenantId;

use crate::schedule::{Completed, ScheduleOptions, in_turn, run_jobs, run_whole};
use crate::turns::Turns;

/// Does the work of one request. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Workers {
    /// Runs work.
    pub(crate) jobs: Arc<dyn Jobs>,
    /// The turns of the work of all requests.
    pub(crate) turns: Turns,
    /// Whose turns are waited for.
    pub(crate) tenant: TenantId,
    /// How much is done at once, and how often again.
    pub(crate) options: ScheduleOptions,
    /// What is known of traces that lie in two blocks.
    pub(crate) pairs: Arc<PairCache>,
    /// What the request may use, and has used.
    pub(crate) context: QueryContext,
}

impl Workers {
    /// Does work over a slice, once, when it is the tenant's turn. Dropping the future stops it.
    pub(crate) async fn run_once<T>(&self, work: Work, slice: Slice) -> Result<T, EngineError>
    where
        T: TryFrom<Found, Error = EngineError> + Send + 'static,
    {
        let (jobs, context) = (Arc::clone(&self.jobs), self.context.clone());
        let job = async move { jobs.run(&work, slice, &context).await?.try_into() };
        in_turn(self.turns.clone(), self.tenant.clone(), job).await
    }

    /// Does work over a slice, and again where storage was unavailable. Dropping the future stops it.
    pub(crate) async fn run<T>(&self, work: &Work, slice: Slice) -> Result<T, EngineError>
    where
        T: TryFrom<Found, Error = EngineError> + Send + 'static,
    {
        let run = |slice: &Slice| self.run_once(work.clone(), slice.clone());
        let completed = run_whole(slice, self.options.max_retries, run).await?;
        Ok(completed.value)
    }

    /// Does work over many slices, and gives what each comes to as it comes, in no order, with what it
    /// is known by. Dropping the stream stops it.
    pub(crate) fn run_all<K, T>(
        &self,
        jobs: Vec<(K, Work, Slice)>,
    ) -> impl Stream<Item = Result<Completed<(K, T)>, EngineError>> + Send
    where
        K: Copy + Send + Sync,
        T: TryFrom<Found, Error = EngineError> + Send + 'static,
    {
        let workers = self.clone();
        let run = move |(key, work, slice): &(K, Work, Slice)| {
            let (workers, key) = (workers.clone(), *key);
            let (work, slice) = (work.clone(), slice.clone());
            async move { Ok((key, workers.run_once(work, slice).await?)) }
        };
        run_jobs(jobs, self.options, run)
    }

    /// The traces that may lie in several of some blocks, as far as one of those that a request
    /// `reads` is concerned. Dropping the future stops the search.
    pub(crate) async fn pieces(
        &self,
        stored: &[Arc<BlockMeta>],
        live: &[Arc<MemoryBlock>],
        reads: impl Fn(&BlockMeta) -> bool + Send,
    ) -> Result<Pieces, EngineError> {
        let common = |slice, with| async move {
            let work = Work::Common { with };
            self.run(&work, slice).await
        };
        pieces::find(stored, live, reads, &self.pairs, common).await
    }

    /// The plans by which the spans of a slice are aggregated, as text; with `analyze` they are run.
    pub(crate) async fn explain(
        &self,
        plan: &Arc<MetricsPlan>,
        grid: Grid,
        slice: Slice,
        analyze: bool,
    ) -> Result<String, EngineError> {
        let (jobs, plan) = (Arc::clone(&self.jobs), Arc::clone(plan));
        let context = self.context.clone();
        let job = async move { jobs.explain(&plan, grid, slice, &context, analyze).await };
        in_turn(self.turns.clone(), self.tenant.clone(), job).await
    }
}

#[cfg(test)]
mod tests {
    use engine::{Engine, EngineOptions};
    use futures::FutureExt as _;
    use object_store::memory::InMemory;
    use object_store::path::Path;
    use storage::block::{EncodeOptions, TraceSpans, encode};
    use storage::ids::{BlockId, TraceId};
    use storage::model::{Span, SpanGroup};

    use super::*;

    #[tokio::test]
    async fn work_waits_for_its_turn() {
        let store = Arc::new(InMemory::new());
        let engine = Engine::try_new(store, Path::default(), &EngineOptions::default());
        let workers = Workers {
            jobs: Arc::new(engine.unwrap()),
            turns: Turns::new(1),
            tenant: TenantId::single(),
            options: ScheduleOptions {
                concurrent_jobs: 1,
                max_retries: 0,
            },
            pairs: Arc::default(),
            context: QueryContext::new(1 << 20, "k"),
        };
        let options = EncodeOptions::new(TenantId::single(), BlockId(ulid::Ulid::from(1_u128)));
        let group = SpanGroup {
            resource: Arc::default(),
            scope: Arc::default(),
            spans: vec![Span {
                trace_id: TraceId([1; 16]),
                ..Span::default()
            }],
        };
        let block = Arc::new(encode(&[group], &options).unwrap());
        let work = Work::Trace {
            trace_id: TraceId([1; 16]),
            max_bytes: u64::MAX,
        };
        let turn = workers.turns.take(&workers.tenant, 0).await.unwrap();
        let mut found = std::pin::pin!(workers.run::<TraceSpans>(&work, Slice::Live(block)));
        // However often it is looked at.
        for _ in 0..3 {
            assert!(found.as_mut().now_or_never().is_none());
            tokio::task::yield_now().await;
        }
        drop(turn);
        assert_eq!(found.await.unwrap().into_groups().len(), 1);
        // And no turn is kept.
        workers.turns.take(&workers.tenant, 0).await.unwrap();
    }
}
