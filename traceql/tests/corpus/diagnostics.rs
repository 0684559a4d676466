//! What people read when a query is refused.

use traceql::{ErrorKind, compile_with, validate};

use crate::{blocks, cases};

#[test]
fn rendered_errors() {
    blocks::check("diagnostics.txt", |text, options| {
        match compile_with(text, options) {
            Ok(query) => format!("valid: {query}"),
            Err(error) => error.render(text),
        }
    });
}

/// Messages are one line, lower case, without a full stop; carets are inside the text.
#[test]
fn every_message_keeps_the_house_style() {
    for (text, dialect) in cases() {
        if let Err(error) = compile_with(&text, &dialect.into()) {
            let diagnostic = error.diagnostic();
            let message = diagnostic.cause.to_string();
            assert!(
                !message.contains('\n') && !message.ends_with('.'),
                "{text}: {message}"
            );
            let first = message.chars().next().unwrap();
            assert!(!first.is_uppercase(), "{text}: {message}");
            let range = diagnostic.range;
            assert!(
                range.start <= range.end && range.end <= text.len(),
                "{text}: {range:?}"
            );
            assert!(
                text.is_char_boundary(range.start) && text.is_char_boundary(range.end),
                "{text}"
            );
            assert!(
                error.to_string().contains(" at line 1, column "),
                "{text}: {error}"
            );
            assert!(error.render(&text).contains('^'), "{text}");
        }
    }
}

#[test]
fn validation_without_text_names_the_byte() {
    let query = traceql::parse("{ .a } | { name }").unwrap();
    let error = validate(&query).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Validation);
    assert_eq!(
        error.to_string(),
        "filter condition must be boolean, found string at byte 11"
    );
}
