//! Every query of the lists has the verdict that its list says.

use std::collections::BTreeMap;

use traceql::{Dialect, Verdict, compile_with, verdict, verdict_with};

use crate::{queries, read_corpus};

/// What is wrong with the verdict of a query, if anything is.
fn wrong(query: &str, dialect: Dialect, expected: Verdict) -> Option<String> {
    let options = dialect.into();
    if verdict_with(query, &options) == expected {
        return None;
    }
    let found = match compile_with(query, &options) {
        Ok(_) => "valid".to_owned(),
        Err(error) => error.to_string(),
    };
    Some(format!(
        "{query}\n    expected {expected} in {dialect}, found: {found}\n"
    ))
}

/// A list of queries with one verdict: Tempo's, which is ours too unless `dialects.txt` says so.
fn check(name: &str, expected: Verdict) {
    let queries = queries(name);
    assert!(!queries.is_empty());
    let differences = differences();
    let mut report = String::new();
    for query in &queries {
        report.extend(wrong(query, Dialect::Tempo, expected));
        if !differences.contains_key(query) {
            report.extend(wrong(query, Dialect::Spandrel, expected));
        }
    }
    assert!(report.is_empty(), "{name}:\n{report}");
}

/// The queries of `dialects.txt`, each with its verdicts in Tempo's dialect and in ours.
fn differences() -> BTreeMap<String, (Verdict, Verdict)> {
    let mut verdicts = None;
    let mut found = BTreeMap::new();
    for line in read_corpus("dialects.txt").lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            let (tempo, spandrel) = heading.split_once(" -> ").unwrap();
            verdicts = Some((named(tempo), named(spandrel)));
        } else if !line.is_empty() && !line.starts_with('#') {
            let before = found.insert(line.to_owned(), verdicts.unwrap());
            assert_eq!(before, None, "listed twice: {line}");
        }
    }
    found
}

fn named(name: &str) -> Verdict {
    [
        Verdict::Valid,
        Verdict::ParseError,
        Verdict::ValidationError,
        Verdict::Unsupported,
    ]
    .into_iter()
    .find(|verdict| verdict.as_str() == name)
    .unwrap_or_else(|| panic!("unknown verdict {name:?}"))
}

#[test]
fn valid() {
    check("valid.txt", Verdict::Valid);
}

#[test]
fn parse_error() {
    check("parse_error.txt", Verdict::ParseError);
}

#[test]
fn validation_error() {
    check("validation_error.txt", Verdict::ValidationError);
}

#[test]
fn unsupported() {
    check("unsupported.txt", Verdict::Unsupported);
}

#[test]
fn dialects() {
    let mut report = String::new();
    for (query, (tempo, spandrel)) in differences() {
        report.extend(wrong(&query, Dialect::Tempo, tempo));
        report.extend(wrong(&query, Dialect::Spandrel, spandrel));
    }
    assert!(report.is_empty(), "dialects.txt:\n{report}");
}

/// Cases that a file of lines cannot hold.
#[test]
fn texts_with_line_breaks_and_controls() {
    for (text, expected) in [
        ("", Verdict::ParseError),
        (" \t\r\n", Verdict::ParseError),
        ("\u{feff}{ .a }", Verdict::Valid),
        ("\u{feff}\u{feff}{ .a }", Verdict::ParseError),
        ("{ .a\u{feff} }", Verdict::Valid),
        ("{\r\n\t.a = 1 // one\n\t&& .b = 2\n}", Verdict::Valid),
        ("{ .a = `two\nlines` }", Verdict::Valid),
        ("{ .a = \"two\nlines\" }", Verdict::ParseError),
        ("{ .a/* =\n1 }", Verdict::Valid),
        ("{ /* two\nlines */ .a }", Verdict::Valid),
        ("{ .\"two\nlines\" }", Verdict::Valid),
        ("{ span.\na }", Verdict::ParseError),
        ("{ .a = 1 } // the end\n", Verdict::Valid),
        ("{ .a } // \0", Verdict::ParseError),
        ("{ .a = \"\0\" }", Verdict::ParseError),
        ("{ .\0 = 1 }", Verdict::ParseError),
        ("{ .a }\0", Verdict::ParseError),
    ] {
        assert_eq!(verdict(text), expected, "{text:?}");
    }
}
