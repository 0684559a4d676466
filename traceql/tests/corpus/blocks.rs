//! Corpora of blocks: a query and what is expected of it.
//!
//! Blocks are separated by blank lines. A block is any number of comment lines (`#`), then perhaps
//! a line `dialect: tempo`, then lines that start with `query: ` (joined by line breaks where there
//! are several), then the expectation.

use std::fs;

use traceql::{Dialect, Options};

use crate::{corpus_path, read_corpus};

const QUERY: &str = "query: ";
const DIALECT: &str = "dialect: ";

/// Checks every block of a corpus against `describe`, or completes it when asked to.
pub(crate) fn check(name: &str, describe: impl Fn(&str, &Options) -> String) {
    let before = read_corpus(name);
    let mut after = String::new();
    for block in before.split("\n\n") {
        let block = block.trim_matches('\n');
        if block.is_empty() {
            continue;
        }
        let is_input = |line: &&str| {
            line.starts_with('#') || line.starts_with(QUERY) || line.starts_with(DIALECT)
        };
        let dialect = block.lines().find_map(|line| line.strip_prefix(DIALECT));
        let dialect = dialect.map_or(Dialect::default(), |name| {
            Dialect::from_name(name).unwrap_or_else(|| panic!("unknown dialect {name:?}"))
        });
        let query: Vec<&str> = block
            .lines()
            .filter_map(|line| line.strip_prefix(QUERY))
            .collect();
        if !after.is_empty() {
            after.push('\n');
        }
        for line in block.lines().take_while(is_input) {
            after.push_str(line);
            after.push('\n');
        }
        if !query.is_empty() {
            after.push_str(&describe(&query.join("\n"), &dialect.into()));
            after.push('\n');
        }
    }
    if std::env::var_os("UPDATE_CORPUS").is_some() {
        fs::write(corpus_path(name), after).unwrap();
        return;
    }
    for (expected, found) in before.split("\n\n").zip(after.split("\n\n")) {
        assert_eq!(
            expected.trim_end(),
            found.trim_end(),
            "{name}: set UPDATE_CORPUS=1 to accept"
        );
    }
    assert_eq!(before, after, "{name}: set UPDATE_CORPUS=1 to accept");
}
