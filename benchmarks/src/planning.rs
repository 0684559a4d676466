//! What a query costs before it reads: over a catalog of one block and of very many.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use async_trait::async_trait;
use storage::ids::TenantId;
use storage::snapshot::Times;
use storage::{Random, Snapshot, SnapshotSource, StorageError};
use tokio::runtime::Handle;

use crate::contender::{Cache, Spandrel};
use crate::dataset::Dataset;
use crate::error::BenchError;
use crate::record::{Run, Timing};
use crate::suite::{Cut, Window};

pub(crate) const SUITE: &str = "planning";

const BLOCKS: [usize; 2] = [1, 10_000];
/// Queries over nothing but the catalog: whatever time they take is planning.
const QUERIES: [(&str, &str); 2] = [
    (
        "ruled out by service",
        "{resource.service.name=\"no-such-service\"} | rate()",
    ),
    (
        "ruled out by attribute",
        "{span.no.such.attribute=\"x\"} | quantile_over_time(duration, .99) by (resource.service.name)",
    ),
];
const SPLIT: &str = "{} | rate() by (resource.service.name)";

/// A catalog that never changes.
#[derive(Debug)]
pub(crate) struct Fixed(pub(crate) Snapshot);

#[async_trait]
impl SnapshotSource for Fixed {
    async fn snapshot(&self, _: &TenantId, _: &Times) -> Result<Snapshot, StorageError> {
        Ok(self.0.clone())
    }
}

/// Measures the planning of queries.
pub(crate) fn run(
    run: &mut Run,
    dataset: &Rc<Dataset>,
    rounds: u32,
    threads: usize,
    runtime: &Handle,
) -> Result<(), BenchError> {
    eprintln!("planning");
    let window = Window::whole(dataset, Cut::Intervals(240))?;
    let mut timings: HashMap<(usize, &str), Timing> = HashMap::new();
    let mut order = Vec::new();
    // One catalog after the other: in turns, the small one pays for memory that the large one frees.
    for blocks in BLOCKS {
        let catalog = copies(&dataset.snapshot, blocks);
        let (location, source) = (dataset.location.clone(), Fixed(catalog.clone()));
        let source = Arc::new(source);
        let mut spandrel = Spandrel::over(location, source, threads, Cache::Off, runtime.clone())?;
        for round in 0..=rounds {
            let mut keep = |name: &'static str, text: &str, spent| {
                let case = format!("{name}, {blocks} blocks");
                let timing = timings.entry((blocks, name)).or_insert_with(|| {
                    order.push((blocks, name));
                    Timing::new(SUITE, &case, text, "Spandrel", "")
                });
                // The first round warms up.
                if round > 0 {
                    timing.push(spent);
                }
            };
            for (name, query) in QUERIES {
                let (spent, _) = spandrel.ask(query, window.grid)?;
                keep(name, query, spent);
            }
            let spent = split(&catalog, &window)?;
            keep("all split into jobs", SPLIT, spent);
        }
    }
    let timings = order.iter().filter_map(|key| timings.remove(key));
    run.timings.extend(timings);
    Ok(())
}

/// From text to jobs, with nothing ruled out.
fn split(catalog: &Snapshot, window: &Window) -> Result<crate::usage::Spent, BenchError> {
    let options = frontend::split::SplitOptions {
        target_bytes_per_job: 16 << 20,
        interval_ns: i64::MAX,
        min_jobs: 4,
    };
    let dialect = frontend::Dialect::default();
    let meter = crate::usage::Meter::start_fine();
    let query = traceql::compile_with(SPLIT, &dialect.into())
        .map_err(|_| BenchError::Input(format!("{SPLIT} does not compile")))?;
    let plan = engine::SeriesPlan::analyse(&query)?;
    let plan = &plan.operands()[0];
    let mut kept = Vec::new();
    for block in &catalog.stored {
        if let Ok(row_groups) = engine::prune(plan, &window.grid, block) {
            kept.push((Arc::clone(block), row_groups));
        }
    }
    let jobs = frontend::split::split(plan, &window.grid, &kept, &[], &[], &options);
    let spent = meter.spent();
    if jobs.0.len() < catalog.stored.len() {
        return Err(BenchError::Input(
            "blocks are missing in the jobs".to_owned(),
        ));
    }
    Ok(spent)
}

/// A catalog of so many blocks, described as the given ones are.
fn copies(snapshot: &Snapshot, count: usize) -> Snapshot {
    let random = Random::from_system();
    let blocks = snapshot.stored.iter().cycle().take(count).map(|block| {
        let mut copy = (**block).clone();
        copy.block_id = random.block_id();
        Arc::new(copy)
    });
    Snapshot {
        stored: blocks.collect(),
        ..snapshot.clone()
    }
}
