//! A trace as the tree of its spans.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt::Write as _;

use frontend::duration::format_ns;
use storage::ids::SpanId;
use storage::model::{AnyValue, Resource, Span, SpanGroup};

use super::table::printable;
use crate::output::Screen;
use crate::times;

/// OTLP's number of the status error.
const ERROR: i32 = 2;
/// Levels that are drawn; what is deeper is drawn as deep as this.
const MAX_DEPTH: usize = 24;
/// Characters of a bar at least; on a narrower screen there are none.
const MIN_BAR: usize = 10;

/// One span, where it stands in the tree.
struct Row<'a> {
    service: &'a str,
    span: &'a Span,
    /// What is drawn in front of it.
    branch: String,
}

/// What is known of the trace, then a line for each span: where it stands in the tree, its service and
/// name, when it starts after the trace does, how long it takes, and a bar of both.
#[must_use]
pub fn trace(groups: &[SpanGroup], screen: Screen) -> String {
    let rows = rows(groups);
    let spans = || rows.iter().map(|row| row.span);
    let start = spans().map(|span| span.start_ns).min().unwrap_or(0);
    let end = spans()
        .map(|span| span.end_ns.max(span.start_ns))
        .max()
        .unwrap_or(0);
    let mut out = head(&rows, start, end);
    let labels: Vec<String> = rows.iter().map(label).collect();
    let offsets: Vec<String> = spans()
        .map(|span| format_ns(span.start_ns - start))
        .collect();
    let durations: Vec<String> = spans().map(|span| format_ns(span.duration_ns())).collect();
    let widest = |texts: &[String]| {
        texts
            .iter()
            .map(|text| text.chars().count())
            .max()
            .unwrap_or(0)
    };
    let numbers = widest(&offsets) + widest(&durations) + 4;
    let width = usize::from(screen.width);
    let label_width = widest(&labels).min(width.saturating_sub(numbers).max(MIN_BAR * 2));
    let bar_width = width.saturating_sub(label_width + numbers + 2);
    for ((row, label), (offset, duration)) in
        rows.iter().zip(labels).zip(offsets.iter().zip(&durations))
    {
        let label = cut(&label, label_width);
        let padding = " ".repeat(label_width - label.chars().count());
        let label = if row.span.status_code == ERROR && screen.color {
            format!("\x1b[31m{label}\x1b[0m")
        } else {
            label
        };
        let mut line = format!(
            "{label}{padding}  {offset:>0$}  {duration:>1$}",
            widest(&offsets),
            widest(&durations)
        );
        if bar_width >= MIN_BAR {
            let _infallible = write!(line, "  {}", bar(row.span, start, end, bar_width));
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

fn head(rows: &[Row<'_>], start: i64, end: i64) -> String {
    let services: BTreeSet<&str> = rows.iter().map(|row| row.service).collect();
    let errors = rows
        .iter()
        .filter(|row| row.span.status_code == ERROR)
        .count();
    let id = rows.first().map(|row| row.span.trace_id.to_string());
    let count =
        |count: usize, one: &str| format!("{count} {one}{}", if count == 1 { "" } else { "s" });
    format!(
        "trace {}  {}  {}  {}  {}  {}\n",
        id.unwrap_or_default(),
        times::format(start),
        format_ns(end - start),
        count(rows.len(), "span"),
        count(services.len(), "service"),
        count(errors, "error"),
    )
}

fn label(row: &Row<'_>) -> String {
    let mark = if row.span.status_code == ERROR {
        "! "
    } else {
        ""
    };
    let name = printable(&row.span.name);
    format!("{}{mark}{} {name}", row.branch, printable(row.service))
}

/// The first so many characters, the last of them saying that there are more.
fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    format!("{kept}…")
}

/// The part of the trace in which the span runs.
fn bar(span: &Span, start: i64, end: i64, width: usize) -> String {
    let length = i128::from(end - start).max(1);
    let column = |time: i64| {
        let at = i128::from(time - start) * width as i128 / length;
        usize::try_from(at).unwrap_or(0).min(width)
    };
    let from = column(span.start_ns).min(width - 1);
    let to = column(span.end_ns).max(from + 1);
    format!("{}{}", " ".repeat(from), "━".repeat(to - from))
}

/// The spans in the order of the tree. Those whose parent is not there are roots, and where parents
/// go round in a circle it is opened somewhere.
fn rows(groups: &[SpanGroup]) -> Vec<Row<'_>> {
    let mut spans: Vec<(&str, &Span)> = Vec::new();
    for group in groups {
        let service = service_name(&group.resource);
        spans.extend(group.spans.iter().map(|span| (service, span)));
    }
    spans.sort_by_key(|(_, span)| (span.start_ns, span.span_id));
    let ids: HashSet<SpanId> = spans.iter().map(|(_, span)| span.span_id).collect();
    let parent = |span: &Span| {
        span.parent_span_id
            .filter(|id| *id != span.span_id && ids.contains(id))
    };
    let mut children: HashMap<SpanId, Vec<usize>> = HashMap::new();
    for (index, (_, span)) in spans.iter().enumerate() {
        if let Some(parent) = parent(span) {
            children.entry(parent).or_default().push(index);
        }
    }
    let mut rows = Vec::with_capacity(spans.len());
    let mut seen = vec![false; spans.len()];
    let is_root = |index: &usize| parent(spans[*index].1).is_none();
    let roots = (0..spans.len()).filter(is_root).chain(0..spans.len());
    for root in roots {
        // Each entry: the span, what is drawn in front of it, and in front of what is below it.
        let mut open = vec![(root, String::new(), String::new())];
        while let Some((index, branch, below)) = open.pop() {
            if std::mem::replace(&mut seen[index], true) {
                continue;
            }
            let (service, span) = spans[index];
            let depth = below.chars().count() / 3;
            rows.push(Row {
                service,
                span,
                branch,
            });
            let below_it = children.get(&span.span_id).map_or(&[][..], Vec::as_slice);
            let unseen: Vec<usize> = below_it.iter().copied().filter(|at| !seen[*at]).collect();
            // The last one comes off the stack last.
            for (position, child) in unseen.iter().enumerate().rev() {
                let is_last = position + 1 == unseen.len();
                let (branch, continued) = match (depth < MAX_DEPTH, is_last) {
                    (false, _) => ("", ""),
                    (true, true) => ("└─ ", "   "),
                    (true, false) => ("├─ ", "│  "),
                };
                open.push((
                    *child,
                    format!("{below}{branch}"),
                    format!("{below}{continued}"),
                ));
            }
        }
    }
    rows
}

fn service_name(resource: &Resource) -> &str {
    let name = resource
        .attributes
        .iter()
        .find(|attribute| attribute.key.as_ref() == "service.name");
    match name.map(|attribute| &attribute.value) {
        Some(AnyValue::String(name)) => name,
        _ => "unknown_service",
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use storage::ids::TraceId;
    use storage::model::Attribute;

    use super::*;

    const MS: i64 = 1_000_000;

    fn span(name: &str, id: u8, parent: u8, start_ms: i64, end_ms: i64) -> Span {
        Span {
            trace_id: TraceId([0xab; 16]),
            span_id: SpanId([id; 8]),
            parent_span_id: (parent > 0).then_some(SpanId([parent; 8])),
            name: name.to_owned(),
            start_ns: 1_700_000_000_000 * MS + start_ms * MS,
            end_ns: 1_700_000_000_000 * MS + end_ms * MS,
            ..Span::default()
        }
    }

    fn group(service: &str, spans: Vec<Span>) -> SpanGroup {
        let value = AnyValue::String(service.to_owned());
        let attributes = vec![Attribute {
            key: "service.name".into(),
            value,
        }];
        let resource = Arc::new(Resource {
            attributes,
            ..Resource::default()
        });
        SpanGroup {
            resource,
            scope: Arc::default(),
            spans,
        }
    }

    fn drawn(groups: &[SpanGroup], width: u16) -> String {
        trace(
            groups,
            Screen {
                width,
                color: false,
            },
        )
    }

    #[test]
    fn a_tree_with_times() {
        let mut failed = span("charge", 4, 2, 30, 60);
        failed.status_code = ERROR;
        let groups = [
            group(
                "shop",
                vec![span("GET /", 1, 0, 0, 100), span("pay\n", 2, 1, 20, 80)],
            ),
            group("pay", vec![failed]),
            group(
                "cart",
                vec![span("list", 3, 1, 0, 10), span("lost", 6, 99, 50, 50)],
            ),
        ];
        assert_eq!(
            drawn(&groups, 60),
            "trace abababababababababababababababab  2023-11-14T22:13:20Z  100ms  5 spans  3 services  1 error\n\
             shop GET /            0s  100ms  ━━━━━━━━━━━━━━━━━━━━━━━━━━━\n\
             ├─ cart list          0s   10ms  ━━\n\
             └─ shop pay         20ms   60ms       ━━━━━━━━━━━━━━━━\n\
             \x20  └─ ! pay charge  30ms   30ms          ━━━━━━━━\n\
             cart lost           50ms     0s               ━\n"
        );
    }

    #[test]
    fn a_narrow_screen_has_no_bars_and_cuts_names() {
        let long = "a name that is much longer than the screen is wide";
        let text = drawn(&[group("shop", vec![span(long, 1, 0, 0, 1)])], 40);
        let line = text.lines().nth(1).unwrap();
        assert_eq!(line.chars().count(), 40, "{line}");
        assert!(line.ends_with("…  0s  1ms"), "{line}");
    }

    #[test]
    fn circles_and_chains_end() {
        let circle = vec![
            span("a", 1, 2, 0, 1),
            span("b", 2, 1, 0, 1),
            span("self", 3, 3, 0, 1),
        ];
        assert_eq!(drawn(&[group("shop", circle)], 80).lines().count(), 4);
        let chain = (1..=200).map(|id| span("x", id, id - 1, 0, 1)).collect();
        let text = drawn(&[group("shop", chain)], 80);
        assert_eq!(text.lines().count(), 201);
        assert!(text.lines().skip(1).all(|line| line.chars().count() <= 80));
    }
}
