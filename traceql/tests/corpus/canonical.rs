//! How queries are printed, and that printing loses nothing.

use traceql::ast::Query;
use traceql::{compile_with, parse_with};

use crate::{blocks, cases};

/// Printing in either form and parsing gives the query back.
#[track_caller]
pub(crate) fn assert_round_trip(query: &Query) {
    let options = query.dialect.into();
    let text = query.to_string();
    let again =
        parse_with(&text, &options).unwrap_or_else(|error| panic!("{}", error.render(&text)));
    assert_eq!(&again, query, "{text}");
    assert_eq!(again.to_string(), text);

    let explicit = query.explicit();
    let again = parse_with(&explicit, &options)
        .unwrap_or_else(|error| panic!("{}", error.render(&explicit)));
    assert_eq!(&again, query, "{explicit}");
}

#[test]
fn printing_is_undone_by_parsing() {
    let mut count = 0;
    for (text, dialect) in cases() {
        if let Ok(query) = parse_with(&text, &dialect.into()) {
            assert_round_trip(&query);
            count += 1;
        }
    }
    assert!(count > 1000, "{count}");
}

#[test]
fn compiled_queries_compile_to_themselves() {
    for (text, dialect) in cases() {
        let options = dialect.into();
        let Ok(query) = compile_with(&text, &options) else {
            continue;
        };
        let printed = query.to_string();
        let again = compile_with(&printed, &options)
            .unwrap_or_else(|error| panic!("{}", error.render(&printed)));
        assert_eq!(again, query, "{text}");
        assert_eq!(again.to_string(), printed);
    }
}

#[test]
fn canonical_texts() {
    blocks::check("canonical.txt", |text, options| {
        let query = match parse_with(text, options) {
            Ok(query) => query,
            Err(error) => return error.render(text),
        };
        let compiled = match compile_with(text, options) {
            Ok(query) => query.to_string(),
            Err(error) => error.to_string(),
        };
        format!(
            "canonical: {query}\nexplicit:  {}\ncompiled:  {compiled}",
            query.explicit()
        )
    });
}
