//! Searches from before TraceQL, as TraceQL: `tags=` in logfmt and limits on a trace's duration.

use std::collections::BTreeSet;

use traceql::ast::{Attribute, Literal, Scope};

use super::invalid::{InvalidParameter, unreadable};
use crate::api::params::Params;
use crate::duration::parse_go;

/// Parameters of a search that are no tags.
const KNOWN: [&str; 11] = [
    "q",
    "tags",
    "minDuration",
    "maxDuration",
    "limit",
    "start",
    "end",
    "since",
    "spss",
    "dialect",
    "exemplars",
];

/// The text of the query that a request without `q` asks for.
pub(super) fn query(params: &Params) -> Result<String, InvalidParameter> {
    let tags = match params.get("tags") {
        Some(text) => logfmt(text)?,
        None if params.get("start").is_none() && params.get("end").is_none() => {
            let others = params.iter().filter(|(name, _)| !KNOWN.contains(name));
            others
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect()
        }
        None => Vec::new(),
    };
    let mut seen = BTreeSet::new();
    if let Some((key, _)) = tags.iter().find(|(key, _)| !seen.insert(key.as_str())) {
        return Err(InvalidParameter::RepeatedTag(key.clone()));
    }
    // Each tag may be on another span of the trace.
    let mut filters: Vec<String> = tags
        .iter()
        .map(|(key, value)| format!("{{ {} }}", condition(key, value)))
        .collect();
    let (min, max) = durations(params)?;
    let bounds = [(">=", min), ("<=", max)];
    for (op, bound) in bounds {
        if let Some(bound) = bound {
            filters.push(format!("{{ traceDuration {op} {bound}ns }}"));
        }
    }
    if filters.is_empty() {
        filters.push("{ }".to_owned());
    }
    Ok(filters.join(" && "))
}

/// Limits on a trace's duration in ns; 0 is none.
pub(super) fn durations(params: &Params) -> Result<(Option<i64>, Option<i64>), InvalidParameter> {
    let bound = |name: &'static str| {
        let parse = |text: &str| {
            parse_go(text)
                .ok_or_else(|| unreadable(name, text, "a duration such as 100ms or 1m30s"))
        };
        let bound = params.get(name).map(parse).transpose()?;
        Ok::<_, InvalidParameter>(bound.filter(|bound| *bound > 0))
    };
    let (min, max) = (bound("minDuration")?, bound("maxDuration")?);
    match (min, max) {
        (Some(min), Some(max)) if max < min => Err(InvalidParameter::DurationBounds),
        both => Ok(both),
    }
}

/// A tag matches where its value is part of the attribute's, whatever the case, or equal to a value
/// that is no text.
fn condition(key: &str, value: &str) -> String {
    let like = quoted(&format!("(?is).*{}.*", escape(value)));
    match key {
        "name" => return format!("name =~ {like}"),
        "root.name" => return format!("rootName =~ {like}"),
        "root.service.name" => return format!("rootServiceName =~ {like}"),
        "status.code" if ["ok", "error", "unset"].contains(&value) => {
            return format!("status = {value}");
        }
        "error" if value == "true" => return "status = error".to_owned(),
        _ => {}
    }
    let mut either = Vec::new();
    for scope in [Scope::Span, Scope::Resource] {
        let key = key.to_owned();
        let attribute = Attribute::Key {
            scope,
            of_parent: false,
            key,
        };
        let attribute = attribute.canonical();
        either.push(format!("{attribute} =~ {like}"));
        let is_other = value.parse::<i64>().is_ok() || matches!(value, "true" | "false");
        if is_other || value.parse::<f64>().is_ok_and(f64::is_finite) && is_plain(value) {
            either.push(format!("{attribute} = {value}"));
        }
    }
    either.join(" || ")
}

/// Whether the language reads such a number.
fn is_plain(number: &str) -> bool {
    number
        .bytes()
        .all(|byte| byte.is_ascii_digit() || b".-".contains(&byte))
}

fn quoted(text: &str) -> String {
    Literal::String(text.to_owned()).to_string()
}

/// A text as a regular expression that matches it alone.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if r"\.+*?()|[]{}^$".contains(c) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

/// Pairs of `key=value` and `key="a value"`.
fn logfmt(text: &str) -> Result<Vec<(String, String)>, InvalidParameter> {
    let wrong = || unreadable("tags", text, "pairs such as a=b c=\"d e\"");
    let mut pairs = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (key, after) = rest.split_once('=').ok_or_else(wrong)?;
        if key.is_empty() || key.contains([' ', '"']) {
            return Err(wrong());
        }
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => unquote(quoted).ok_or_else(wrong)?,
            None => {
                let (value, after) = after.split_at(after.find(' ').unwrap_or(after.len()));
                (value.to_owned(), after)
            }
        };
        if !after.is_empty() && !after.starts_with(' ') {
            return Err(wrong());
        }
        pairs.push((key.to_owned(), value));
        rest = after.trim_start();
    }
    Ok(pairs)
}

/// The text up to the closing quote, and what follows.
fn unquote(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => match chars.next()?.1 {
                'n' => value.push('\n'),
                't' => value.push('\t'),
                'r' => value.push('\r'),
                other @ ('"' | '\\') => value.push(other),
                _ => return None,
            },
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of<const N: usize>(params: [(&str, &str); N]) -> Result<String, String> {
        let text = query(&params.into_iter().collect()).map_err(|error| error.to_string())?;
        let compiled = traceql::compile(&text);
        assert!(compiled.is_ok(), "{text}: {compiled:?}");
        Ok(text)
    }

    #[test]
    fn tags_become_filters() {
        assert_eq!(of([]).unwrap(), "{ }");
        assert_eq!(
            of([("tags", "service.name=cart")]).unwrap(),
            "{ span.service.name =~ \"(?is).*cart.*\" || resource.service.name =~ \"(?is).*cart.*\" }"
        );
        assert_eq!(
            of([("tags", "name=GET  status.code=error error=true")]).unwrap(),
            "{ name =~ \"(?is).*GET.*\" } && { status = error } && { status = error }"
        );
        let number = of([("tags", "http.status_code=500")]).unwrap();
        assert!(
            number.contains("span.http.status_code = 500 ||"),
            "{number}"
        );
        let text = of([("tags", r#"a="1.5 (x) \"y\" \\ ""#)]).unwrap();
        assert!(
            text.contains(r#"(?is).*1\\.5 \\(x\\) \"y\" \\\\ .*"#),
            "{text}"
        );
        let key = of([("tags", "a{b}=NaN")]).unwrap();
        assert!(key.contains("span.\"a{b}\" =~"), "{key}");
        assert!(!key.contains(" = NaN"), "{key}");
    }

    #[test]
    fn durations_are_those_of_traces() {
        let text = of([("minDuration", "1.5s"), ("maxDuration", "1m")]).unwrap();
        assert_eq!(
            text,
            "{ traceDuration >= 1500000000ns } && { traceDuration <= 60000000000ns }"
        );
        assert_eq!(of([("maxDuration", "0s")]).unwrap(), "{ }");
    }

    #[test]
    fn other_parameters_are_tags_where_there_is_no_time() {
        let text = of([("limit", "5"), ("cluster", "eu")]).unwrap();
        assert!(text.starts_with("{ span.cluster =~"), "{text}");
        assert_eq!(
            of([("start", "1"), ("end", "2"), ("cluster", "eu")]).unwrap(),
            "{ }"
        );
    }

    #[test]
    fn mistakes() {
        for (params, part) in [
            ([("tags", "a=1 a=2"), ("", "")], "tag a has been set twice"),
            ([("tags", "a"), ("", "")], "invalid tags"),
            ([("tags", "=a"), ("", "")], "invalid tags"),
            ([("tags", "a=\"b"), ("", "")], "invalid tags"),
            ([("tags", "a=\"b\"c"), ("", "")], "invalid tags"),
            ([("tags", "a=\"\\x\""), ("", "")], "invalid tags"),
            ([("minDuration", "5"), ("", "")], "invalid minDuration"),
            (
                [("minDuration", "5s"), ("maxDuration", "4s")],
                "maxDuration",
            ),
        ] {
            let error = of(params).unwrap_err();
            assert!(error.contains(part), "{params:?}: {error}");
        }
    }
}
