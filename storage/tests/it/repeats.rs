//! Whatever is sent again, in whatever batches and blocks, is stored once.

use std::sync::Arc;

use object_store::ObjectStore;
use object_store::memory::InMemory;
use proptest::prelude::*;
use storage::block::{
    BlockCache, MemoryBlock, ReadBack, WriteOptions, decode, encode, encode_requests, read_block,
    store_block, write_parquet,
};
use storage::catalog::{Catalog, Edit};
use storage::compaction::workers::Workers;
use storage::ids::TenantId;
use storage::maintenance::compactor::Compactor;
use storage::maintenance::repeats::{Fresh, Stored, leave_out};
use storage::model::SpanGroup;
use storage::snapshot::Times;

use crate::common::{block, contents, group, open, options, prefix, random, span};
use crate::received::{received, request};
use crate::round_trip::{groups, seeded};

/// A store, and what is committed to it.
struct Bench {
    store: Arc<dyn ObjectStore>,
    catalog: Arc<Catalog>,
    cache: Arc<BlockCache>,
}

impl Bench {
    async fn new() -> Self {
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let tenant = TenantId::single();
        let catalog = Catalog::open(
            Arc::clone(&store),
            prefix(),
            tenant,
            random(),
            Arc::default(),
        );
        Self {
            catalog: Arc::new(catalog.await.unwrap()),
            store,
            cache: Arc::new(BlockCache::new(1 << 20, 0)),
        }
    }

    async fn fresh(&self, block: MemoryBlock) -> Fresh {
        let stored = Stored {
            store: &self.store,
            prefix: &prefix(),
            catalog: &self.catalog,
            cache: &self.cache,
        };
        leave_out(Arc::new(block), stored).await.unwrap()
    }

    /// Stores what is new of a block. The number of spans that were not.
    async fn add(&self, block: MemoryBlock) -> u64 {
        let rows = block.meta.row_count;
        let fresh = self.fresh(block).await;
        let left = fresh.block.as_ref().map_or(0, |block| block.meta.row_count);
        assert_eq!(left + fresh.repeated, rows);
        if let Some(block) = fresh.block {
            let written = write_parquet(&block, &WriteOptions::default()).unwrap();
            let meta = store_block(&self.store, &prefix(), written, ReadBack::Verify).await;
            self.catalog.commit(Edit::add(meta.unwrap())).await.unwrap();
        }
        fresh.repeated
    }

    async fn compact(&self) {
        let compactor = Compactor {
            store: Arc::clone(&self.store),
            prefix: prefix(),
            catalog: Arc::clone(&self.catalog),
            random: random(),
            max_block_bytes: 256 << 20,
            workers: Workers::start(1).unwrap(),
        };
        let (jobs, blocks) = compactor.due(&Times::ALL.spans, i64::MAX).await.unwrap();
        for job in jobs {
            compactor.run(job, &blocks).await.unwrap();
        }
    }

    /// All that is stored, and how many rows that is.
    async fn all(&self) -> (Vec<String>, u64) {
        let root = self.catalog.newest().await.unwrap();
        let blocks = self.catalog.blocks(&root, &Times::ALL.spans).await.unwrap();
        let mut found = Vec::new();
        for meta in &blocks {
            let read = read_block(&open(&self.store, meta)).await.unwrap();
            found.extend(decode(&read).unwrap());
        }
        let rows = blocks.iter().map(|meta| meta.row_count).sum();
        (contents(&found), rows)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..seeded() })]

    /// Any parts of what there is, one block after the other, with compaction in between.
    #[test]
    fn each_span_is_stored_once(
        groups in groups(),
        sent in prop::collection::vec(
            (prop::collection::vec(any::<prop::sample::Index>(), 1..12), any::<bool>()),
            1..6,
        ),
    ) {
        let spans: Vec<SpanGroup> = groups
            .iter()
            .flat_map(|group| group.spans.iter().map(move |one| SpanGroup {
                spans: vec![one.clone()],
                ..group.clone()
            }))
            .collect();
        prop_assume!(!spans.is_empty());
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let bench = Bench::new().await;
            let mut expected: Vec<SpanGroup> = Vec::new();
            for (chosen, compacts) in sent {
                let batch: Vec<SpanGroup> =
                    chosen.iter().map(|index| index.get(&spans).clone()).collect();
                bench.add(encode(&batch, &options()).unwrap()).await;
                expected.extend(batch);
                if compacts {
                    bench.compact().await;
                }
                let expected = contents(&expected);
                assert_eq!(bench.all().await, (expected.clone(), expected.len() as u64));
            }
        });
    }
}

#[tokio::test]
async fn only_the_repeated_spans_of_a_trace_are_left_out() {
    let bench = Bench::new().await;
    let first = group("a", vec![span(1, 1, 0, 10), span(1, 2, 1, 20)]);
    assert_eq!(bench.add(block(&[first])).await, 0);
    // The service differs, and so the span does.
    let other = group("b", vec![span(1, 1, 0, 10)]);
    let second = group(
        "a",
        vec![span(1, 2, 1, 20), span(1, 3, 1, 30), span(2, 2, 1, 20)],
    );
    assert_eq!(bench.add(block(&[other, second])).await, 1);
    assert_eq!(bench.all().await.1, 5);
}

/// A block that is committed already, of which only the answer was lost, is committed once more as it is:
/// that changes nothing.
#[tokio::test]
async fn a_block_does_not_repeat_itself() {
    let bench = Bench::new().await;
    let one = block(&[group("a", vec![span(1, 1, 0, 10)])]);
    bench.add(one.clone()).await;
    let again = bench.fresh(one.clone()).await;
    assert_eq!((again.repeated, again.block.is_some()), (0, true));
    let later = block(&[group("a", vec![span(2, 1, 0, 12)])]);
    bench.add(later).await;
    bench.compact().await;
    let again = bench.fresh(one).await;
    assert_eq!((again.repeated, again.block.is_some()), (0, true));
}

/// What is left keeps when it arrived.
#[tokio::test]
async fn arrivals_stay() {
    let bench = Bench::new().await;
    let both = group("a", vec![span(1, 1, 0, 10), span(1, 2, 1, 20)]);
    let first = group("a", vec![span(1, 1, 0, 10)]);
    let requests = [request(&[first], Some(3))];
    bench
        .add(encode_requests(&requests, 0, &options()).unwrap())
        .await;
    let requests = [request(&[both], Some(9))];
    let fresh = bench
        .fresh(encode_requests(&requests, 0, &options()).unwrap())
        .await;
    let left = fresh.block.unwrap();
    assert_eq!(received(&left)[0].0, Some(9));
    assert!(received(&left)[0].1.is_some());
}
