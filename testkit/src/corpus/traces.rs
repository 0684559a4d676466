//! The traces of a corpus file.

use std::sync::Arc;

use storage::ids::{SpanId, TraceId};
use storage::model::{
    AnyValue, Attribute, Event, InstrumentationScope, Link, Resource, Span, SpanGroup,
};

use super::cursor::Cursor;
use super::line::{LineError, is_blank, is_heading};
use super::text::{id, nanoseconds};

/// The spans below all `trace` headings; each in a group of its own unless the one before is alike.
pub(super) fn parse(lines: &[String]) -> Result<Vec<SpanGroup>, LineError> {
    let mut parser = TraceParser::default();
    let mut in_trace = false;
    for (index, line) in lines.iter().enumerate() {
        let at = |reason| (index, reason);
        if is_heading(line) {
            in_trace = match line.strip_prefix("trace ") {
                Some(hex) => {
                    parser.begin(TraceId(id(hex.trim()).map_err(at)?));
                    true
                }
                None => false,
            };
        } else if in_trace && !is_blank(line) {
            parser.line(line).map_err(at)?;
        }
    }
    Ok(parser.groups())
}

#[derive(Default)]
struct TraceParser {
    trace_id: TraceId,
    last_id: u64,
    /// Spans that the next line may be a child of, with their indentation.
    open: Vec<(usize, SpanId)>,
    spans: Vec<(Resource, InstrumentationScope, Span)>,
}

impl TraceParser {
    fn begin(&mut self, trace_id: TraceId) {
        self.trace_id = trace_id;
        self.open.clear();
    }

    fn line(&mut self, line: &str) -> Result<(), String> {
        let text = line.trim();
        let indent = line.len() - line.trim_start().len();
        let mut cursor = Cursor::new(text);
        if cursor.take("event ") {
            let span = &mut self.spans.last_mut().ok_or("an event before any span")?.2;
            span.events.push(event(&mut cursor, span.start_ns)?);
        } else if cursor.take("link ") {
            let span = &mut self.spans.last_mut().ok_or("a link before any span")?.2;
            span.links.push(link(&mut cursor)?);
        } else {
            self.span(&mut cursor, indent)?;
        }
        Ok(())
    }

    fn span(&mut self, cursor: &mut Cursor<'_>, indent: usize) -> Result<(), String> {
        self.last_id += 1;
        while self.open.last().is_some_and(|&(other, _)| other >= indent) {
            self.open.pop();
        }
        let mut resource = Resource::default();
        let mut scope = InstrumentationScope::default();
        let mut span = Span {
            trace_id: self.trace_id,
            span_id: SpanId(self.last_id.to_be_bytes()),
            parent_span_id: self.open.last().map(|&(_, id)| id),
            ..Span::default()
        };
        let service = cursor.word(&['/', ' '])?;
        cursor.expect("/")?;
        span.name = cursor.word(&[' '])?;
        if service != "-" {
            resource.attributes.push(Attribute {
                key: "service.name".into(),
                value: AnyValue::String(service),
            });
        }
        let mut duration_ns = 0;
        loop {
            cursor.skip_space();
            match cursor.peek() {
                None => break,
                Some('@') => span.start_ns = nanoseconds(&word_after(cursor, "@"))?,
                Some('+') => duration_ns = nanoseconds(&word_after(cursor, "+"))?,
                Some('#') => span.span_id = SpanId(id(&word_after(cursor, "#"))?),
                Some('^') => {
                    let parent = word_after(cursor, "^");
                    span.parent_span_id = if parent == "-" {
                        None
                    } else {
                        Some(SpanId(id(&parent)?))
                    };
                }
                Some(_) => field(cursor, &mut resource, &mut scope, &mut span)?,
            }
        }
        span.end_ns = span.start_ns.saturating_add(duration_ns);
        self.open.push((indent, span.span_id));
        self.spans.push((resource, scope, span));
        Ok(())
    }

    fn groups(self) -> Vec<SpanGroup> {
        let mut groups: Vec<SpanGroup> = Vec::new();
        for (resource, scope, span) in self.spans {
            match groups.last_mut() {
                Some(open) if *open.resource == resource && *open.scope == scope => {
                    open.spans.push(span)
                }
                _ => groups.push(SpanGroup {
                    resource: Arc::new(resource),
                    scope: Arc::new(scope),
                    spans: vec![span],
                }),
            }
        }
        groups
    }
}

fn word_after(cursor: &mut Cursor<'_>, mark: &str) -> String {
    cursor.take(mark);
    cursor.until(&[' ']).to_owned()
}

/// A kind, a status, or an attribute of the span, its resource or its scope.
fn field(
    cursor: &mut Cursor<'_>,
    resource: &mut Resource,
    scope: &mut InstrumentationScope,
    span: &mut Span,
) -> Result<(), String> {
    let mut word = cursor.clone();
    match word.until(&[' ']) {
        "unspecified" => span.kind = 0,
        "internal" => span.kind = 1,
        "server" => span.kind = 2,
        "client" => span.kind = 3,
        "producer" => span.kind = 4,
        "consumer" => span.kind = 5,
        "unset" => span.status_code = 0,
        "ok" => span.status_code = 1,
        "error" => span.status_code = 2,
        _ => {
            if cursor.take("resource.") {
                resource.attributes.push(cursor.attribute()?);
            } else if cursor.take("scope.") {
                scope.attributes.push(cursor.attribute()?);
            } else if cursor.take("scope:name=") {
                scope.name = cursor.quoted()?;
            } else if cursor.take("scope:version=") {
                scope.version = cursor.quoted()?;
            } else if cursor.take("statusMessage=") {
                span.status_message = cursor.quoted()?;
            } else {
                span.attributes.push(cursor.attribute()?);
            }
            return Ok(());
        }
    }
    *cursor = word;
    Ok(())
}

/// `name +offset key=value …`
fn event(cursor: &mut Cursor<'_>, span_start_ns: i64) -> Result<Event, String> {
    let mut event = Event {
        name: cursor.word(&[' '])?,
        time_ns: span_start_ns,
        ..Event::default()
    };
    loop {
        cursor.skip_space();
        match cursor.peek() {
            None => return Ok(event),
            Some('+') => event.time_ns = span_start_ns + nanoseconds(&word_after(cursor, "+"))?,
            Some(_) => event.attributes.push(cursor.attribute()?),
        }
    }
}

/// `trace span key=value …`
fn link(cursor: &mut Cursor<'_>) -> Result<Link, String> {
    let trace_id = TraceId(id(cursor.until(&[' ']))?);
    cursor.skip_space();
    let span_id = SpanId(id(cursor.until(&[' ']))?);
    let mut link = Link {
        trace_id,
        span_id,
        ..Link::default()
    };
    loop {
        cursor.skip_space();
        if cursor.is_at_end() {
            return Ok(link);
        }
        link.attributes.push(cursor.attribute()?);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spans(text: &str) -> Vec<Span> {
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        parse(&lines)
            .expect("the text is well-formed")
            .into_iter()
            .flat_map(|group| group.spans)
            .collect()
    }

    #[test]
    fn parents_by_indentation_and_by_name() {
        let spans = spans(
            "trace 1\n  a/r @1s\n    a/c @2s\n      a/g\n    a/d\n  a/o ^9\n  a/s #2 ^1\nquery { }\n",
        );
        let number = |id: SpanId| u64::from_be_bytes(id.0);
        let tree: Vec<_> = spans
            .iter()
            .map(|span| (number(span.span_id), span.parent_span_id.map(number)))
            .collect();
        assert_eq!(
            tree,
            [
                (1, None),
                (2, Some(1)),
                (3, Some(2)),
                (4, Some(1)),
                (5, Some(9)),
                (2, Some(1))
            ]
        );
    }

    #[test]
    fn everything_a_span_has() {
        let text = r#"trace ff
  "my shop"/"GET /" @1.5s +10ms server error statusMessage="no" i=5 "a b"=[1.5] resource.z=true scope:name="lib"
    event e1 +5ms x="a b"
    link 2 3 r=1"#;
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let groups = parse(&lines).expect("the text is well-formed");
        let span = &groups[0].spans[0];
        assert_eq!(
            (span.name.as_str(), span.start_ns, span.end_ns),
            ("GET /", 1_500_000_000, 1_510_000_000)
        );
        assert_eq!(
            (span.kind, span.status_code, span.status_message.as_str()),
            (2, 2, "no")
        );
        assert_eq!(span.attributes.len(), 2);
        assert_eq!(&*span.attributes[1].key, "a b");
        assert_eq!(
            (span.events[0].time_ns, span.events[0].attributes.len()),
            (1_505_000_000, 1)
        );
        assert_eq!(span.links[0].attributes.len(), 1);
        assert_eq!(
            (
                groups[0].resource.attributes.len(),
                groups[0].scope.name.as_str()
            ),
            (2, "lib")
        );
    }
}
