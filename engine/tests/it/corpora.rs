//! The corpus files give the same answers, live and stored.

use testkit::corpus::{load_dir, run_metrics};
use testkit::testdata::workspace_root;

use crate::support::{Bench, as_reference, block_on, grid};

#[test]
fn engine_passes_the_corpora() {
    let files =
        load_dir(&workspace_root().join("testdata/traceql/eval")).expect("corpus files parse");
    assert!(!files.is_empty());
    let mut failures = Vec::new();
    for stored in [false, true] {
        for file in &files {
            let run = run_metrics(file, |groups, query, over| {
                block_on(async {
                    let mut bench = Bench::new();
                    let slices = if stored {
                        bench.stored(groups, 2).await
                    } else {
                        bench.live(groups)
                    };
                    let answer = bench
                        .run(query, grid(over), slices)
                        .await
                        .map_err(|error| error.to_string())?;
                    Ok(as_reference(&answer))
                })
            });
            failures.extend(run.err());
        }
    }
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}
