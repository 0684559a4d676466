//! Running a query on spans that are cut into blocks in some way.

use std::sync::Arc;

use engine::{
    Engine, EngineError, EngineOptions, Grid, LabelValue, MetricsPlan, QueryContext, SeriesSet,
    Slice,
};
use object_store::ObjectStore;
use object_store::memory::InMemory;
use object_store::path::Path;
use storage::block::{EncodeOptions, ReadBack, WriteOptions, encode, store_block, write_parquet};
use storage::ids::{BlockId, TenantId};
use storage::model::SpanGroup;
use testkit::reference::{self, RefSeries};

/// An engine over an empty store in memory.
pub(crate) struct Bench {
    store: Arc<dyn ObjectStore>,
    engine: Engine,
    next_block: u128,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let options = EngineOptions {
            threads: 1,
            ..EngineOptions::default()
        };
        let engine =
            Engine::try_new(Arc::clone(&store), Path::default(), &options).expect("threads start");
        Self {
            store,
            engine,
            next_block: 1,
        }
    }

    fn options(&mut self) -> EncodeOptions {
        self.next_block += 1;
        EncodeOptions::new(TenantId::single(), BlockId(ulid::Ulid(self.next_block)))
    }

    /// The spans as one live block.
    pub(crate) fn live(&mut self, groups: &[SpanGroup]) -> Vec<Slice> {
        let options = self.options();
        if groups.iter().all(|group| group.spans.is_empty()) {
            return Vec::new();
        }
        vec![Slice::Live(Arc::new(
            encode(groups, &options).expect("spans encode"),
        ))]
    }

    /// The spans as one stored block with row groups of about so many rows, one slice each.
    pub(crate) async fn stored(
        &mut self,
        groups: &[SpanGroup],
        row_group_rows: usize,
    ) -> Vec<Slice> {
        let Some(Slice::Live(block)) = self.live(groups).pop() else {
            return Vec::new();
        };
        let options = WriteOptions {
            row_group_rows,
            ..WriteOptions::default()
        };
        let encoded = write_parquet(&block, &options).expect("a block is written");
        let meta = store_block(&self.store, &Path::default(), encoded, ReadBack::Trust)
            .await
            .expect("memory takes it");
        (0..meta.row_groups.len())
            .map(|index| Slice::Stored {
                block: Arc::clone(&meta),
                row_groups: vec![index],
            })
            .collect()
    }

    pub(crate) async fn run(
        &self,
        query: &str,
        grid: Grid,
        slices: Vec<Slice>,
    ) -> Result<SeriesSet, EngineError> {
        let query = traceql::compile(query).expect("the query compiles");
        let plan = Arc::new(MetricsPlan::analyse(&query)?);
        let context = QueryContext::new(1 << 30, "test.memory");
        let mut merged = context.empty_series(&plan, grid);
        for slice in slices {
            // What is pruned must not have mattered.
            let row_groups = engine::prune(&plan, &grid, slice.block());
            let kept = match (&slice, row_groups) {
                (_, Err(_)) => false,
                (
                    Slice::Stored {
                        row_groups: own, ..
                    },
                    Ok(kept),
                ) => own.iter().any(|group| kept.contains(group)),
                (Slice::Live(_), Ok(_)) => true,
            };
            if kept {
                merged.merge(self.engine.run_job(&plan, grid, slice, &context).await?)?;
            }
        }
        merged.finish(&plan)
    }
}

/// The engine's answer in the reference evaluator's words.
pub(crate) fn as_reference(set: &SeriesSet) -> Vec<RefSeries> {
    let label = |value: &LabelValue| match value {
        LabelValue::String(text) => reference::LabelValue::String(text.clone()),
        LabelValue::Int(value) => reference::LabelValue::Int(*value),
        LabelValue::Float(value) => reference::LabelValue::Float(*value),
        LabelValue::Bool(value) => reference::LabelValue::Bool(*value),
    };
    let series = set.series.iter().map(|series| RefSeries {
        labels: series
            .labels
            .iter()
            .map(|l| (l.name.clone(), label(&l.value)))
            .collect(),
        values: series
            .values
            .iter()
            .map(|value| (!value.is_nan()).then_some(*value))
            .collect(),
    });
    series.collect()
}

pub(crate) fn grid(of: reference::Grid) -> Grid {
    let intervals = u32::try_from(of.intervals).expect("few intervals");
    Grid {
        start_ns: of.start_ns,
        step_ns: of.step_ns,
        intervals,
    }
}

pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime starts")
        .block_on(future)
}
