//! Queries over the stores that earlier versions of the program have written.
//!
//! That every field of their spans comes back is tested in the crate `storage`; here the same spans are
//! queried where they lie, by operators over encoded columns and by DataFusion's reader.

use std::collections::BTreeMap;
use std::sync::Arc;

use engine::Slice;
use storage::Random;
use storage::block::{BlockCache, BlockFile, decode, read_block};
use storage::catalog::{CATALOG_FORMAT_VERSION, Catalog};
use storage::ids::TenantId;
use storage::model::SpanGroup;
use storage::snapshot::Times;
use storage::store::open_store;
use testkit::compare::{Tolerance, compare_series};
use testkit::reference::{self, metrics};
use testkit::testdata::workspace_root;

use crate::recorded::ALWAYS;
use crate::support::{Bench, as_reference, block_on};

const QUERIES: [&str; 6] = [
    "{ } | count_over_time() by (resource.service.name)",
    "{ status = error } | rate() by (name)",
    "{ } | quantile_over_time(duration, .5, .99) by (kind)",
    "{ span.http.status_code >= 200 } | max_over_time(duration) by (span.http.status_code)",
    "{ } >> { } | count_over_time() by (name)",
    COMPARISON,
];

/// The reference evaluator tells zero from minus zero, which the recorded spans have as an attribute, and
/// the engine does not: of this query the engine's two ways are compared with each other.
const COMPARISON: &str = "{ } | compare({ status = error })";

#[test]
fn stores_of_every_version_are_queried() {
    for version in 1..=CATALOG_FORMAT_VERSION {
        let folder = workspace_root().join(format!("testdata/stores/v{version}/store"));
        let folder = folder.to_str().expect("a path of text");
        let location = open_store(folder, &BTreeMap::new()).expect("the store is there");
        block_on(async {
            let (store, prefix) = (Arc::clone(&location.store), location.prefix.clone());
            let random = Random::from_system();
            let catalog =
                Catalog::open(store, prefix, TenantId::single(), random, Arc::default()).await;
            let catalog = catalog.expect("the catalog opens");
            let root = catalog.current();
            let blocks = catalog.blocks(&root, &Times::ALL.spans).await;
            let blocks = blocks.expect("the catalog is whole");
            let mut groups: Vec<SpanGroup> = Vec::new();
            let mut slices = Vec::new();
            for block in &blocks {
                let cache = Arc::new(BlockCache::new(0, 0));
                let (store, block) = (Arc::clone(&location.store), Arc::clone(block));
                let row_groups = 0..block.row_groups.len();
                let file = BlockFile::new(store, &location.prefix, block, cache, Arc::default());
                let file = file.expect("the format is known");
                let spans = read_block(&file).await.expect("the block is whole");
                groups.extend(decode(&spans).expect("the block decodes"));
                slices.extend(row_groups.map(|row_group| Slice::Stored {
                    block: Arc::clone(file.meta()),
                    row_groups: vec![row_group],
                }));
            }
            assert!(slices.len() > 2, "{slices:?}");
            let mut values = 0;
            let [encoded, general] = [false, true].map(|general| Bench::over(&location, general));
            for bench in [&encoded, &general] {
                for text in QUERIES {
                    let query = traceql::compile(text).expect("the query compiles");
                    let over = reference::Grid {
                        start_ns: ALWAYS.start_ns,
                        step_ns: ALWAYS.step_ns,
                        intervals: 1,
                    };
                    let expected = if text == COMPARISON {
                        let answer = general.answer(&query, ALWAYS, slices.clone()).await;
                        as_reference(&answer.expect("an answer"))
                    } else {
                        metrics(&query, &groups, over).expect("an answer")
                    };
                    let answer = bench.answer(&query, ALWAYS, slices.clone()).await;
                    let answer = as_reference(&answer.expect("an answer"));
                    let tolerance = if text.contains("quantile") {
                        Tolerance::SKETCH
                    } else {
                        Tolerance::ROUNDING
                    };
                    let compared = compare_series(&expected, &answer, tolerance);
                    compared.unwrap_or_else(|reason| panic!("version {version}: {text}\n{reason}"));
                    let shown = answer.iter().flat_map(|series| &series.values);
                    values += shown.flatten().filter(|value| **value > 0.0).count();
                }
            }
            assert!(values > 100, "{values} values only");
        });
    }
}
