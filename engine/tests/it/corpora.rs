//! The corpus files give the same answers, live, stored, and with each trace cut over several blocks.

use engine::Slice;
use engine::search::SearchWindow;
use storage::model::SpanGroup;
use testkit::corpus::{load_dir, run_metrics, run_searches};
use testkit::testdata::workspace_root;

use crate::support::{Bench, Layout, as_reference, as_trace_results, block_on, grid};

#[test]
fn engine_passes_the_corpora() {
    let files =
        load_dir(&workspace_root().join("testdata/traceql/eval")).expect("corpus files parse");
    assert!(!files.is_empty());
    let mut failures = Vec::new();
    for layout in Layout::ALL {
        for file in &files {
            let run = run_metrics(file, |groups, query, over| {
                block_on(async {
                    let (bench, slices) = laid_out(groups, layout).await;
                    let answer = bench.answer(query, grid(over), slices).await;
                    let answer = answer.map_err(|error| error.to_string())?;
                    Ok(as_reference(&answer))
                })
            });
            failures.extend(run.err().map(|reason| format!("{layout:?}: {reason}")));
            let run = run_searches(file, |groups, query, window| {
                block_on(async {
                    let (bench, slices) = laid_out(groups, layout).await;
                    let window = window.map_or(EVER, |window| SearchWindow {
                        start_ns: window.start_ns,
                        end_ns: window.end_ns,
                    });
                    let found = bench.find(query, window, usize::MAX, slices).await;
                    Ok(as_trace_results(found.map_err(|error| error.to_string())?))
                })
            });
            failures.extend(run.err().map(|reason| format!("{layout:?}: {reason}")));
        }
    }
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

/// All of time.
pub(crate) const EVER: SearchWindow = SearchWindow {
    start_ns: i64::MIN,
    end_ns: i64::MAX,
};

async fn laid_out(groups: &[SpanGroup], layout: Layout) -> (Bench, Vec<Slice>) {
    let mut bench = Bench::new();
    let slices = bench.lay_out(groups, layout).await;
    (bench, slices)
}
