//! Random queries on random traces: the engine answers as the reference evaluator does.

use engine::Slice;
use storage::block::decode;
use storage::model::SpanGroup;
use testkit::compare::{Tolerance, compare_series};
use testkit::generate::{nasty_grid, nasty_traces, random_query};
use testkit::reference::{EvalError, metrics};

use crate::support::{Bench, as_reference, block_on, grid, is_implemented};

/// Cases per run of the test; `SPANDREL_CASES` sets another number, `SPANDREL_SEED` the first seed.
const CASES: u64 = 150;

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}

#[test]
fn engine_agrees_with_the_reference() {
    let first = number("SPANDREL_SEED", 1);
    let mut failures = Vec::new();
    for seed in first..first + number("SPANDREL_CASES", CASES) {
        if let Err(reason) = check(seed) {
            failures.push(format!("seed {seed}: {}\n    {reason}", random_query(seed)));
        }
    }
    let total = failures.len();
    failures.truncate(20);
    assert!(
        failures.is_empty(),
        "{total} cases differ\n{}",
        failures.join("\n")
    );
}

/// The spans as a block gives them back: without those that are there twice.
fn as_stored(groups: &[SpanGroup]) -> Vec<SpanGroup> {
    match Bench::new().live(groups).pop() {
        Some(Slice::Live(block)) => decode(&block).expect("what was encoded decodes"),
        _ => Vec::new(),
    }
}

fn check(seed: u64) -> Result<(), String> {
    let groups = as_stored(&nasty_traces(seed / 5, 12));
    let text = random_query(seed);
    let query = traceql::compile(&text).map_err(|error| format!("does not compile: {error}"))?;
    if !is_implemented(&query) {
        return Ok(());
    }
    let expected = metrics(&query, &groups, nasty_grid());
    let stored = seed.is_multiple_of(2);
    let answer = block_on(async {
        let mut bench = Bench::new();
        let slices = if stored {
            bench.stored(&groups, 16).await
        } else {
            bench.live(&groups)
        };
        bench.run(&text, grid(nasty_grid()), slices).await
    });
    match (expected, answer) {
        (Ok(expected), Ok(answer)) => {
            let sketch = text.contains("quantile_over_time") && !text.contains("log2");
            let tolerance = if sketch {
                Tolerance::SKETCH
            } else {
                Tolerance::ROUNDING
            };
            compare_series(&expected, &as_reference(&answer), tolerance)
        }
        (Err(EvalError::Runtime(_)), Err(engine::EngineError::Evaluation(_))) => Ok(()),
        (Ok(_), Err(error)) => Err(format!("fails: {error}")),
        (expected, Ok(_)) => Err(format!("should fail: {expected:?}")),
        (expected, answer) => Err(format!("{answer:?} instead of {expected:?}")),
    }
}
