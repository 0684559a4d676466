//! Random queries on random traces: the engine answers as the reference evaluator does.

use engine::Slice;
use engine::search::SearchWindow;
use storage::block::decode;
use storage::model::SpanGroup;
use testkit::compare::{Tolerance, compare_search, compare_series};
use testkit::generate::{
    cut, nasty_grid, nasty_traces, random_comparison, random_query, random_search,
    random_span_local_query,
};
use testkit::reference::{self, EvalError, TraceResult, metrics, search};
use traceql::{Dialect, Query};

use crate::corpora::EVER;
use crate::support::{Bench, as_reference, as_trace_results, block_on, grid};

/// Cases per run of a test; `SPANDREL_CASES` sets another number, `SPANDREL_SEED` the first seed.
const CASES: u64 = 100;

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}

/// Checks what each of the seeds gives.
pub(crate) fn check_all(write: fn(u64) -> String, check: fn(u64, &str) -> Result<(), String>) {
    let first = number("SPANDREL_SEED", 1);
    let mut failures = Vec::new();
    for seed in first..first + number("SPANDREL_CASES", CASES) {
        let text = write(seed);
        if let Err(reason) = check(seed, &text) {
            failures.push(format!("seed {seed}: {text}\n    {reason}"));
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

#[test]
fn single_spans_agree_with_the_reference() {
    check_all(random_span_local_query, check_metrics);
}

#[test]
fn metrics_agree_with_the_reference() {
    check_all(random_query, check_metrics);
}

#[test]
fn comparisons_agree_with_the_reference() {
    check_all(random_comparison, check_metrics);
}

#[test]
fn searches_agree_with_the_reference() {
    check_all(random_search, check_search);
}

/// The traces for a seed, as a block gives them back: without spans that are there twice.
pub(crate) fn traces(seed: u64) -> Vec<SpanGroup> {
    let groups = nasty_traces(seed / 5, 12);
    match Bench::new().live(&groups).pop() {
        Some(Slice::Live(block)) => decode(&block).expect("what was encoded decodes"),
        _ => Vec::new(),
    }
}

/// In memory, stored, or every trace in parts of which one is in memory.
pub(crate) async fn lay_out(bench: &mut Bench, groups: &[SpanGroup], seed: u64) -> Vec<Slice> {
    const ROW_GROUP_ROWS: usize = 16;
    match seed % 3 {
        0 => bench.live(groups),
        1 => bench.stored(groups, ROW_GROUP_ROWS).await,
        _ => {
            let mut slices = Vec::new();
            for (index, part) in cut(groups, seed, 3).iter().enumerate() {
                slices.extend(if index == 1 {
                    bench.live(part)
                } else {
                    bench.stored(part, ROW_GROUP_ROWS).await
                });
            }
            slices
        }
    }
}

/// The query in our dialect, or, for some seeds and if it is valid there, in Tempo's.
fn compile(seed: u64, text: &str) -> Result<Query, String> {
    if seed.is_multiple_of(7)
        && let Ok(query) = traceql::compile_with(text, &Dialect::Tempo.into())
    {
        return Ok(query);
    }
    traceql::compile(text).map_err(|error| format!("does not compile: {error}"))
}

fn check_metrics(seed: u64, text: &str) -> Result<(), String> {
    let groups = traces(seed);
    let query = compile(seed, text)?;
    let expected = metrics(&query, &groups, nasty_grid());
    let answer = block_on(async {
        let mut bench = Bench::new();
        let slices = lay_out(&mut bench, &groups, seed).await;
        bench.answer(&query, grid(nasty_grid()), slices).await
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
        (expected, answer) => compare_failures(expected, answer),
    }
}

fn check_search(seed: u64, text: &str) -> Result<(), String> {
    let groups = traces(seed);
    let query = compile(seed, text)?;
    let over = nasty_grid();
    let window = seed.is_multiple_of(4).then(|| reference::SearchWindow {
        start_ns: over.start_ns,
        end_ns: over.sample_time_ns(over.intervals - 1),
    });
    let expected = search(&query, &groups, window);
    let answer = block_on(async {
        let mut bench = Bench::new();
        let slices = lay_out(&mut bench, &groups, seed).await;
        let window = window.map_or(EVER, |window| SearchWindow {
            start_ns: window.start_ns,
            end_ns: window.end_ns,
        });
        bench.find(&query, window, usize::MAX, slices).await
    });
    match (expected, answer) {
        (Ok(expected), Ok(answer)) => {
            let expected = without_positions(expected);
            let actual = without_positions(as_trace_results(answer));
            compare_search(&expected, &actual, Tolerance::ROUNDING, None)
        }
        (expected, answer) => compare_failures(expected, answer),
    }
}

/// Without the numbers of the tree, which depend on the order of siblings.
fn without_positions(mut traces: Vec<TraceResult>) -> Vec<TraceResult> {
    let spansets = traces.iter_mut().flat_map(|trace| &mut trace.spansets);
    for span in spansets.flat_map(|spanset| &mut spanset.spans) {
        span.attributes
            .retain(|(name, _)| !name.starts_with("nestedSet"));
    }
    traces
}

/// Both have to fail while running the query, unless none does.
fn compare_failures<T: std::fmt::Debug, U: std::fmt::Debug>(
    expected: Result<T, EvalError>,
    answer: Result<U, engine::EngineError>,
) -> Result<(), String> {
    match (expected, answer) {
        (Err(EvalError::Runtime(_)), Err(engine::EngineError::Evaluation(_))) => Ok(()),
        (Ok(_), Err(error)) => Err(format!("fails: {error}")),
        (expected, Ok(_)) => Err(format!("should fail: {expected:?}")),
        (expected, answer) => Err(format!("{answer:?} instead of {expected:?}")),
    }
}
