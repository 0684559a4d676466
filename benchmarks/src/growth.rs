//! Time and memory as the data grows: the same queries over a sixteenth, a quarter and all of it.

use std::rc::Rc;
use std::sync::Arc;

use storage::Snapshot;
use tokio::runtime::Handle;

use crate::contender::{Cache, Spandrel};
use crate::dataset::Dataset;
use crate::error::BenchError;
use crate::planning::Fixed;
use crate::record::{Run, Timing, float};
use crate::suite::{METRICS, Window};
use crate::usage::{peak_resident_bytes, reset_peak};

pub(crate) const SUITE: &str = "growth";

const PARTS: [usize; 3] = [16, 4, 1];
const QUESTIONS: [&str; 4] = [
    "count",
    "rate by service",
    "p99 by service",
    "topk of users",
];

/// Measures the growth, the smallest part first: memory that an allocator keeps would hide later ones.
pub(crate) fn run(
    run: &mut Run,
    dataset: &Rc<Dataset>,
    rounds: u32,
    threads: usize,
    runtime: &Handle,
) -> Result<(), BenchError> {
    let all = dataset.snapshot.stored.len();
    if all < PARTS[0] {
        run.note(SUITE, format!("Left out: {all} blocks are too few."));
        return Ok(());
    }
    for part in PARTS {
        let mut blocks = dataset.snapshot.stored.clone();
        blocks.sort_by_key(|block| block.min_start_ns);
        blocks.truncate(all / part);
        let spans: u64 = blocks.iter().map(|block| block.row_count).sum();
        let snapshot = Snapshot {
            stored: blocks,
            ..dataset.snapshot.clone()
        };
        let source = Arc::new(Fixed(snapshot));
        let location = dataset.location.clone();
        let mut spandrel = Spandrel::over(location, source, threads, Cache::Off, runtime.clone())?;
        let size = format!("{}x", PARTS[0] / part);
        for question in METRICS
            .iter()
            .filter(|question| QUESTIONS.contains(&question.name))
        {
            eprintln!("growth: {size} {}", question.name);
            let grid = Window::whole(dataset, question.cut)?.grid;
            let case = format!("{}, {size}", question.name);
            let mut timing = Timing::new(SUITE, &case, question.text, "Spandrel", "");
            let reset = reset_peak();
            let before = peak_resident_bytes();
            spandrel.ask(question.text, grid)?;
            for _ in 0..rounds {
                timing.push(spandrel.ask(question.text, grid)?.0);
            }
            run.figure(SUITE, &case, "spans, k", float(spans) / 1e3);
            if reset {
                let grown = peak_resident_bytes().saturating_sub(before);
                run.figure(
                    SUITE,
                    &case,
                    "memory grown, MiB",
                    float(grown) / f64::from(1 << 20),
                );
                let peak = float(peak_resident_bytes()) / f64::from(1 << 20);
                run.figure(SUITE, &case, "peak memory, MiB", peak);
            }
            run.timings.push(timing);
        }
    }
    Ok(())
}
