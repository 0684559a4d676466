//! The corpus files give the same answers, live and stored.

use engine::{EngineError, LabelValue};
use storage::ids::{SpanId, TraceId};
use storage::model::SpanGroup;
use testkit::corpus::{CorpusFile, load_dir, run_metrics, run_selections};
use testkit::testdata::workspace_root;

use crate::recorded::ALWAYS;
use crate::support::{Bench, as_reference, block_on, grid};

#[test]
fn engine_passes_the_corpora() {
    let files: Vec<CorpusFile> = load_dir(&workspace_root().join("testdata/traceql/eval"))
        .expect("corpus files parse")
        .into_iter()
        .map(CorpusFile::span_local)
        .collect();
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
            let run = run_selections(file, |groups, query| {
                block_on(select(groups, query, stored)).map_err(|error| error.to_string())
            });
            failures.extend(run.err());
        }
    }
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

/// The spans that a filter selects, found by counting them by their ids.
async fn select(
    groups: &[SpanGroup],
    filter: &str,
    stored: bool,
) -> Result<Vec<(TraceId, SpanId)>, EngineError> {
    let mut bench = Bench::new();
    let slices = if stored {
        bench.stored(groups, 2).await
    } else {
        bench.live(groups)
    };
    let query = format!("{filter} | count_over_time() by (trace:id, span:id)");
    let answer = bench.run(&query, ALWAYS, slices).await?;
    let mut selected = Vec::new();
    for series in &answer.series {
        let [trace, span] = [0, 1].map(|at| {
            let LabelValue::String(text) = &series.labels[at].value else {
                unreachable!("an id is text: {series:?}")
            };
            u128::from_str_radix(text, 16).expect("an id is hex")
        });
        let id = (
            TraceId(trace.to_be_bytes()),
            SpanId(u64::try_from(span).expect("8 bytes").to_be_bytes()),
        );
        // Two spans with one id are two that are selected.
        let mut left = series.values[0];
        while left > 0.0 {
            selected.push(id);
            left -= 1.0;
        }
    }
    Ok(selected)
}
