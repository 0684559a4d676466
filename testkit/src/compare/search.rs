//! Whether two answers to a search are the same.

use std::cmp::Ordering;

use super::tolerance::Tolerance;
use crate::reference::search::{SpanResult, SpansetResult, TraceResult};
use crate::reference::value::Value;

/// Whether two answers have the same traces in the same order, with the same spansets and spans in
/// any order.
///
/// `most_spans` is the number of spans per spanset that the actual answer is cut to, if it is:
/// then it may show any of the expected ones, but as many as it can.
///
/// # Errors
/// A description of the first difference.
pub fn compare_search(
    expected: &[TraceResult],
    actual: &[TraceResult],
    tolerance: Tolerance,
    most_spans: Option<usize>,
) -> Result<(), String> {
    let ids = |traces: &[TraceResult]| -> Vec<String> {
        traces.iter().map(|it| it.trace_id.to_string()).collect()
    };
    if ids(expected) != ids(actual) {
        return Err(format!(
            "traces {:?} instead of {:?}",
            ids(actual),
            ids(expected)
        ));
    }
    for (expected, actual) in expected.iter().zip(actual) {
        compare_trace(expected, actual, tolerance, most_spans)
            .map_err(|reason| format!("trace {}: {reason}", expected.trace_id))?;
    }
    Ok(())
}

/// Whether two lists of attributes name the same in the same order, with values that are near
/// enough.
#[must_use]
pub fn same_attributes(
    expected: &[(String, Value)],
    actual: &[(String, Value)],
    tolerance: Tolerance,
) -> bool {
    let same = |(expected, actual): (&(String, Value), &(String, Value))| {
        expected.0 == actual.0 && same_value(&expected.1, &actual.1, tolerance)
    };
    expected.len() == actual.len() && expected.iter().zip(actual).all(same)
}

fn same_value(expected: &Value, actual: &Value, tolerance: Tolerance) -> bool {
    match (expected, actual) {
        (Value::Float(expected), Value::Float(actual)) => tolerance.accepts(*expected, *actual),
        _ => expected.is_identical(actual),
    }
}

fn compare_trace(
    expected: &TraceResult,
    actual: &TraceResult,
    tolerance: Tolerance,
    most_spans: Option<usize>,
) -> Result<(), String> {
    let head = |trace: &TraceResult| TraceResult {
        spansets: Vec::new(),
        ..trace.clone()
    };
    if head(expected) != head(actual) {
        return Err(format!(
            "{:?} instead of {:?}",
            head(actual),
            head(expected)
        ));
    }
    if expected.spansets.len() != actual.spansets.len() {
        let (expected, actual) = (expected.spansets.len(), actual.spansets.len());
        return Err(format!("{actual} spansets instead of {expected}"));
    }
    let mut left: Vec<&SpansetResult> = actual.spansets.iter().collect();
    for expected in &expected.spansets {
        let position = left
            .iter()
            .position(|actual| same_spanset(expected, actual, tolerance, most_spans));
        match position {
            Some(position) => left.swap_remove(position),
            None => return Err(format!("no spanset {expected:?} in {left:?}")),
        };
    }
    Ok(())
}

fn same_spanset(
    expected: &SpansetResult,
    actual: &SpansetResult,
    tolerance: Tolerance,
    most_spans: Option<usize>,
) -> bool {
    let shown = most_spans.unwrap_or(usize::MAX).min(expected.spans.len());
    let mut left = sorted(&expected.spans);
    let all_expected = sorted(&actual.spans).iter().all(|span| {
        let position = left
            .iter()
            .position(|expected| same_span(expected, span, tolerance));
        position.map(|position| left.remove(position)).is_some()
    });
    same_attributes(&expected.attributes, &actual.attributes, tolerance)
        && expected.matched == actual.matched
        && actual.spans.len() == shown
        && all_expected
}

fn same_span(expected: &SpanResult, actual: &SpanResult, tolerance: Tolerance) -> bool {
    let bare = |span: &SpanResult| SpanResult {
        attributes: Vec::new(),
        ..span.clone()
    };
    bare(expected) == bare(actual)
        && same_attributes(&expected.attributes, &actual.attributes, tolerance)
}

/// The spans by id, each with its attributes in one order.
fn sorted(spans: &[SpanResult]) -> Vec<SpanResult> {
    let mut spans = spans.to_vec();
    for span in &mut spans {
        span.attributes.sort_by(by_text);
    }
    spans.sort_by_key(|span| (span.span_id, span.start_ns));
    spans
}

fn by_text(lhs: &(String, Value), rhs: &(String, Value)) -> Ordering {
    let text = |attribute: &(String, Value)| format!("{attribute:?}");
    text(lhs).cmp(&text(rhs))
}

#[cfg(test)]
mod tests {
    use storage::ids::SpanId;

    use super::*;

    fn span(id: u8) -> SpanResult {
        SpanResult {
            span_id: SpanId([id; 8]),
            start_ns: 1,
            duration_ns: 2,
            name: None,
            attributes: vec![
                ("a".to_owned(), Value::Int(1)),
                ("b".to_owned(), Value::Float(0.5)),
            ],
        }
    }

    fn trace(spans: Vec<SpanResult>, matched: usize) -> TraceResult {
        TraceResult {
            trace_id: storage::ids::TraceId([1; 16]),
            root_service_name: String::new(),
            root_name: String::new(),
            start_ns: 1,
            duration_ns: 2,
            spansets: vec![SpansetResult {
                attributes: Vec::new(),
                matched,
                spans,
            }],
            service_stats: Default::default(),
        }
    }

    #[test]
    fn order_of_spans_and_their_attributes_does_not_matter() {
        let mut turned = span(1);
        turned.attributes.reverse();
        let expected = [trace(vec![span(1), span(2)], 2)];
        let actual = [trace(vec![span(2), turned], 2)];
        assert_eq!(
            compare_search(&expected, &actual, Tolerance::ROUNDING, None),
            Ok(())
        );
    }

    #[test]
    fn differences_are_found() {
        let expected = [trace(vec![span(1), span(2)], 2)];
        let differs = |actual: &[TraceResult], most_spans| {
            compare_search(&expected, actual, Tolerance::ROUNDING, most_spans).is_err()
        };
        assert!(differs(&[], None));
        assert!(differs(&[trace(vec![span(1)], 2)], None));
        assert!(!differs(&[trace(vec![span(1)], 2)], Some(1)));
        assert!(differs(&[trace(vec![span(3)], 2)], Some(1)));
        assert!(differs(&[trace(vec![span(1)], 1)], Some(1)));
        assert!(differs(&[trace(vec![span(1), span(1)], 2)], None));
        let mut other = span(2);
        other.attributes[1].1 = Value::Float(0.6);
        assert!(differs(&[trace(vec![span(1), other], 2)], None));
    }
}
