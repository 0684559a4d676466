//! Every query of the four lists has the verdict of its list.

use std::fmt::Write;

use traceql::{Verdict, compile, verdict};

use crate::queries;

fn check(name: &str, expected: Verdict) {
    let queries = queries(name);
    assert!(!queries.is_empty());
    let mut wrong = String::new();
    for query in &queries {
        if verdict(query) != expected {
            let found = match compile(query) {
                Ok(_) => "valid".to_owned(),
                Err(error) => error.to_string(),
            };
            writeln!(wrong, "{query}\n    expected {expected}, found: {found}").unwrap();
        }
    }
    assert!(wrong.is_empty(), "{name}:\n{wrong}");
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
