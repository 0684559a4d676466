//! The language, checked against text files in `testdata/traceql` and against random queries.
//!
//! Adding a case is adding a line or a block to a file. Expectations of `canonical.txt` and
//! `diagnostics.txt` are filled in by running with `UPDATE_CORPUS=1`, and reviewed as a diff.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests fail by panicking, and print their seed"
)]

mod blocks;
mod canonical;
mod diagnostics;
mod generate;
mod limits;
mod properties;
mod verdicts;

use std::fs;
use std::path::PathBuf;

use traceql::Dialect;

fn corpus_path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../testdata/traceql")
        .join(name)
}

fn read_corpus(name: &str) -> String {
    let path = corpus_path(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every query of the corpora of single lines, in each of the dialects.
fn cases() -> Vec<(String, Dialect)> {
    [
        "valid.txt",
        "parse_error.txt",
        "validation_error.txt",
        "unsupported.txt",
        "dialects.txt",
    ]
    .into_iter()
    .flat_map(queries)
    .flat_map(|text| Dialect::ALL.map(|dialect| (text.clone(), dialect)))
    .collect()
}

/// The queries of a corpus with one query per line.
fn queries(name: &str) -> Vec<String> {
    read_corpus(name)
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::to_owned)
        .collect()
}
