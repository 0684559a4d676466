//! Filters that people are still writing.

use traceql::ast::{Body, Query};

/// A query that selects spans, as far as the text says which: conditions that are not complete, or not
/// valid, are left out. `None` if nothing is left, and for a text of another form.
#[must_use]
pub fn usable_filter(text: &str) -> Option<Query> {
    let query = traceql::compile(text).ok().or_else(|| {
        let inside = text.trim().strip_prefix('{')?.strip_suffix('}')?;
        let conditions = conjuncts(inside)?.into_iter();
        let usable = conditions.filter(|condition| {
            !condition.trim().is_empty() && traceql::compile(&format!("{{{condition}}}")).is_ok()
        });
        let usable: Vec<&str> = usable.collect();
        traceql::compile(&format!("{{{}}}", usable.join("&&"))).ok()
    });
    query.filter(|query| is_search(query) && !selects_everything(query))
}

/// The parts of a condition that `&&` joins. `None` where the parts cannot be told apart: beside `||`,
/// which binds them differently, or inside of a quote that does not end.
fn conjuncts(text: &str) -> Option<Vec<&str>> {
    let mut parts = Vec::new();
    let (mut start, mut depth, mut quote) = (0, 0_usize, None);
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match (quote, c) {
            (Some('"'), '\\') => {
                chars.next();
            }
            (Some(open), _) if open == c => quote = None,
            (Some(_), _) => {}
            (None, '"' | '`') => quote = Some(c),
            (None, '(') => depth += 1,
            (None, ')') => depth = depth.checked_sub(1)?,
            (None, '|') if depth == 0 => return None,
            (None, '&') if depth == 0 && chars.next_if(|(_, next)| *next == '&').is_some() => {
                parts.push(&text[start..at]);
                start = at + 2;
            }
            (None, _) => {}
        }
    }
    parts.push(&text[start..]);
    quote.is_none().then_some(parts)
}

fn is_search(query: &Query) -> bool {
    !matches!(query.body, Body::Metrics(_) | Body::MetricsExpr(_))
}

fn selects_everything(query: &Query) -> bool {
    matches!(query.to_string().as_str(), "{ true }" | "{ }" | "{}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_complete_is_used() {
        for (text, expected) in [
            ("{}", None),
            ("{ }", None),
            ("{ true }", None),
            ("", None),
            ("{", None),
            ("nonsense", None),
            ("{ .a = 1 } | rate()", None),
            ("{ .a = }", None),
            ("{ .a = 1 && .b = }", Some("{ .a = 1 }")),
            ("{.a=1&&.b=}", Some("{ .a = 1 }")),
            ("{ .b = && .a = 1 && name=~\"(\" }", Some("{ .a = 1 }")),
            ("{ .a = \"x && y\" && .b = }", Some("{ .a = \"x && y\" }")),
            (
                "{ .a = \"\\\" && y\" && .b = }",
                Some("{ .a = \"\\\" && y\" }"),
            ),
            ("{ .a = `\\` && .b = }", Some("{ .a = \"\\\\\" }")),
            ("{ .c = 1 && (.a = 1 || .b = ) }", Some("{ .c = 1 }")),
            (
                "{ .c = 1 && (.a = 1 || .b = 2) && .d }",
                Some("{ .c = 1 && (.a = 1 || .b = 2) && .d }"),
            ),
            ("{ .a = 1 || .b = }", None),
            ("{ .a = 1 && .b = \"open }", None),
            ("{ .a = 1 && ) }", None),
            ("{ .a = 1 } && { .b = 2 }", Some("{ .a = 1 } && { .b = 2 }")),
        ] {
            let found = usable_filter(text).map(|query| query.to_string());
            assert_eq!(found.as_deref(), expected, "{text}");
        }
    }
}
