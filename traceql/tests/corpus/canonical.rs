//! How queries are printed, and that printing loses nothing.

use traceql::ast::Query;
use traceql::{compile, parse};

use crate::{blocks, queries};

/// Printing in either form and parsing gives the query back.
#[track_caller]
pub(crate) fn assert_round_trip(query: &Query) {
    let text = query.to_string();
    let again = parse(&text).unwrap_or_else(|error| panic!("{}", error.render(&text)));
    assert_eq!(&again, query, "{text}");
    assert_eq!(again.to_string(), text);

    let explicit = query.explicit();
    let again = parse(&explicit).unwrap_or_else(|error| panic!("{}", error.render(&explicit)));
    assert_eq!(&again, query, "{explicit}");
}

#[test]
fn printing_is_undone_by_parsing() {
    for name in ["valid.txt", "validation_error.txt", "unsupported.txt"] {
        for text in queries(name) {
            let query = parse(&text).unwrap_or_else(|error| panic!("{}", error.render(&text)));
            assert_round_trip(&query);
        }
    }
}

#[test]
fn compiled_queries_compile_to_themselves() {
    for text in queries("valid.txt") {
        let query = compile(&text).unwrap();
        let printed = query.to_string();
        let again = compile(&printed).unwrap_or_else(|error| panic!("{}", error.render(&printed)));
        assert_eq!(again, query, "{text}");
        assert_eq!(again.to_string(), printed);
    }
}

#[test]
fn canonical_texts() {
    blocks::check("canonical.txt", |text| {
        let query = match parse(text) {
            Ok(query) => query,
            Err(error) => return error.render(text),
        };
        let compiled = match compile(text) {
            Ok(query) => query.to_string(),
            Err(error) => error.to_string(),
        };
        format!(
            "canonical: {query}\nexplicit:  {}\ncompiled:  {compiled}",
            query.explicit()
        )
    });
}
