//! Answers to searches as lines, and back.

use std::collections::BTreeMap;

use storage::ids::{SpanId, TraceId};

use super::case::{Expectation, FoundSpanset, SearchForm};
use super::cursor::Cursor;
use super::text::{id, nanoseconds, quoted, seconds, short_hex, value};
use crate::compare::{Tolerance, same_attributes};
use crate::reference::value::Value;
use crate::reference::{ServiceStats, SpanResult, SpansetResult, TraceResult};

/// As much of an answer as the form says.
pub(super) fn in_form(form: SearchForm, traces: Vec<TraceResult>) -> Expectation {
    let spansets = || traces.iter().flat_map(|trace| &trace.spansets);
    match form {
        SearchForm::Spans => {
            let mut spans: Vec<SpanId> = spansets().flat_map(ids).collect();
            spans.sort();
            Expectation::Spans(spans)
        }
        SearchForm::Spansets => Expectation::Spansets(
            spansets()
                .map(|spanset| {
                    let mut spans: Vec<SpanId> = ids(spanset).collect();
                    spans.sort();
                    FoundSpanset {
                        attributes: spanset.attributes.clone(),
                        spans,
                    }
                })
                .collect(),
        ),
        SearchForm::Search => Expectation::Search(traces),
    }
}

fn ids(spanset: &SpansetResult) -> impl Iterator<Item = SpanId> {
    spanset.spans.iter().map(|span| span.span_id)
}

/// The ids of a line, sorted.
pub(super) fn span_ids(text: &str) -> Result<Vec<SpanId>, String> {
    let mut spans: Vec<SpanId> = text
        .split_whitespace()
        .map(|hex| id(hex).map(SpanId))
        .collect::<Result<_, String>>()?;
    spans.sort();
    Ok(spans)
}

/// Whether the spansets are the same, in any order.
pub(super) fn same_spansets(
    expected: &[FoundSpanset],
    actual: &[FoundSpanset],
    tolerance: Tolerance,
) -> bool {
    let mut left: Vec<&FoundSpanset> = actual.iter().collect();
    let all_found = expected.iter().all(|expected| {
        let position = left.iter().position(|actual| {
            actual.spans == expected.spans
                && same_attributes(&expected.attributes, &actual.attributes, tolerance)
        });
        position
            .map(|position| left.swap_remove(position))
            .is_some()
    });
    all_found && left.is_empty()
}

/// `{attributes} ids`, a line for each spanset.
pub(super) fn spansets(lines: &[String]) -> Result<Vec<FoundSpanset>, String> {
    let spanset = |line: &String| {
        let mut cursor = Cursor::new(line);
        Ok(FoundSpanset {
            attributes: cursor.found_attributes()?,
            spans: span_ids(cursor.until(&[]))?,
        })
    };
    lines.iter().map(spanset).collect()
}

pub(super) fn spanset_line(spanset: &FoundSpanset) -> String {
    let ids: Vec<String> = spanset.spans.iter().map(short_hex).collect();
    format!("{} {}", attributes_text(&spanset.attributes), ids.join(" "))
}

/// Traces with their spansets and these with their spans, a line for each.
pub(super) fn traces(lines: &[String]) -> Result<Vec<TraceResult>, String> {
    let mut traces: Vec<TraceResult> = Vec::new();
    for line in lines {
        let mut cursor = Cursor::new(line);
        if cursor.take("trace ") {
            traces.push(trace(&mut cursor)?);
            continue;
        }
        let trace = traces.last_mut().ok_or("a spanset before any trace")?;
        if cursor.take("spanset ") {
            trace.spansets.push(SpansetResult {
                attributes: cursor.found_attributes()?,
                matched: 0,
                spans: Vec::new(),
            });
            continue;
        }
        let spanset = trace.spansets.last_mut();
        let spanset = spanset.ok_or("a span before any spanset")?;
        spanset.matched += 1;
        spanset.spans.push(span(&mut cursor)?);
    }
    Ok(traces)
}

/// `id service/name @start +duration service:spans/errors …`
fn trace(cursor: &mut Cursor<'_>) -> Result<TraceResult, String> {
    let trace_id = TraceId(id(cursor.until(&[' ']))?);
    cursor.skip_space();
    let root_service_name = cursor.word(&['/'])?;
    cursor.expect("/")?;
    let root_name = cursor.word(&[' '])?;
    let (start_ns, duration_ns) = times(cursor)?;
    let mut service_stats = BTreeMap::new();
    loop {
        cursor.skip_space();
        if cursor.is_at_end() {
            break;
        }
        let service = cursor.word(&[':'])?;
        cursor.expect(":")?;
        let counts = cursor.until(&[' ']);
        let (spans, errors) = counts.split_once('/').unwrap_or((counts, "0"));
        let number = |text: &str| {
            text.parse()
                .map_err(|_| format!("not a number of spans: `{text}`"))
        };
        let stats = ServiceStats {
            span_count: number(spans)?,
            error_count: number(errors)?,
        };
        service_stats.insert(service, stats);
    }
    Ok(TraceResult {
        trace_id,
        root_service_name,
        root_name,
        start_ns,
        duration_ns,
        spansets: Vec::new(),
        service_stats,
    })
}

/// `id "name" @start +duration {attributes}`
fn span(cursor: &mut Cursor<'_>) -> Result<SpanResult, String> {
    let span_id = SpanId(id(cursor.until(&[' ']))?);
    cursor.skip_space();
    let name = if cursor.peek() == Some('"') {
        Some(cursor.quoted()?)
    } else {
        None
    };
    let (start_ns, duration_ns) = times(cursor)?;
    cursor.skip_space();
    Ok(SpanResult {
        span_id,
        start_ns,
        duration_ns,
        name,
        attributes: cursor.found_attributes()?,
    })
}

/// `@start +duration`
fn times(cursor: &mut Cursor<'_>) -> Result<(i64, i64), String> {
    cursor.skip_space();
    cursor.expect("@")?;
    let start_ns = nanoseconds(cursor.until(&[' ']))?;
    cursor.skip_space();
    cursor.expect("+")?;
    Ok((start_ns, nanoseconds(cursor.until(&[' ']))?))
}

pub(super) fn trace_lines(traces: &[TraceResult]) -> Vec<String> {
    let mut lines = Vec::new();
    for trace in traces {
        let stats = trace.service_stats.iter().map(|(service, stats)| {
            let errors = match stats.error_count {
                0 => String::new(),
                errors => format!("/{errors}"),
            };
            format!(" {}:{}{errors}", word(service), stats.span_count)
        });
        lines.push(format!(
            "  trace {} {}/{} {}{}",
            short_hex(&trace.trace_id),
            word(&trace.root_service_name),
            word(&trace.root_name),
            times_text(trace.start_ns, trace.duration_ns),
            stats.collect::<String>(),
        ));
        for spanset in &trace.spansets {
            let attributes = attributes_text(&spanset.attributes);
            lines.push(format!("    spanset {attributes}"));
            for span in &spanset.spans {
                let name = span.name.iter().map(|name| format!(" {}", quoted(name)));
                lines.push(format!(
                    "      {}{} {} {}",
                    short_hex(&span.span_id),
                    name.collect::<String>(),
                    times_text(span.start_ns, span.duration_ns),
                    attributes_text(&span.attributes),
                ));
            }
        }
    }
    lines
}

fn times_text(start_ns: i64, duration_ns: i64) -> String {
    format!("@{} +{}", seconds(start_ns), seconds(duration_ns))
}

fn attributes_text(attributes: &[(String, Value)]) -> String {
    let texts: Vec<String> = attributes
        .iter()
        .map(|(name, of)| format!("{name}={}", value(of)))
        .collect();
    format!("{{{}}}", texts.join(", "))
}

/// A name as it is where it is a plain word, else in quotes.
fn word(text: &str) -> String {
    let is_plain = !text.is_empty()
        && text
            .chars()
            .all(|c| c.is_alphanumeric() || "-_.".contains(c));
    if is_plain {
        text.to_owned()
    } else {
        quoted(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_they_are_written() {
        let lines = [
            "  trace ab shop/\"GET /\" @10.5 +0.6 \"\":1 shop:2/1",
            "    spanset {by(span.a = \"(\")=true, count()=2}",
            "      1 \"GET /\" @10.5 +0.6 {a=[1, 2], f=2.0}",
            "      2 @11 +0 {}",
        ];
        let read = traces(&lines.map(|line| line.trim().to_owned())).expect("the lines parse");
        assert_eq!(trace_lines(&read), lines);
        assert_eq!(read[0].spansets[0].matched, 2);
        assert_eq!(read[0].service_stats["shop"].error_count, 1);
        let line = "{by(duration > 1s)=false, max(span.i)=2.5} 1 a2".to_owned();
        let read = spansets(std::slice::from_ref(&line)).expect("the line parses");
        assert_eq!(spanset_line(&read[0]), line);
    }
}
