//! What an attribute is on one span.

use storage::ids::TraceId;
use storage::model::{Event, Link};
use traceql::ast::{Attribute, Intrinsic, Kind, Scope, Status};

use super::trace::{SpanRef, Trace, attribute};
use super::value::Value;

/// What a span has many of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeated {
    Events,
    Links,
}

/// Whether the attribute is one of events or links.
pub(super) fn repeated(name: &Attribute) -> Option<Repeated> {
    match name {
        Attribute::Key {
            scope: Scope::Event,
            ..
        }
        | Attribute::Intrinsic {
            intrinsic: Intrinsic::EventName | Intrinsic::EventTimeSinceStart,
            ..
        } => Some(Repeated::Events),
        Attribute::Key {
            scope: Scope::Link, ..
        }
        | Attribute::Intrinsic {
            intrinsic: Intrinsic::LinkTraceId | Intrinsic::LinkSpanId,
            ..
        } => Some(Repeated::Links),
        _ => None,
    }
}

/// Where attributes are looked up: a span, and the event and link that stand for the others.
#[derive(Debug, Clone, Copy)]
pub struct SpanView<'a> {
    trace: &'a Trace<'a>,
    index: usize,
    event: Option<&'a Event>,
    link: Option<&'a Link>,
}

impl<'a> SpanView<'a> {
    /// The span at `index`, seen with its first event and its first link.
    #[must_use]
    pub fn new(trace: &'a Trace<'a>, index: usize) -> Self {
        let span = trace.spans[index].span;
        Self {
            trace,
            index,
            event: span.events.first(),
            link: span.links.first(),
        }
    }

    /// The span.
    #[must_use]
    pub fn span(&self) -> SpanRef<'a> {
        self.trace.spans[self.index]
    }

    /// The id of its trace.
    #[must_use]
    pub fn trace_id(&self) -> TraceId {
        self.trace.id
    }

    /// The same span once for each of its events, seen with that event.
    pub fn with_each_event(self) -> impl Iterator<Item = Self> {
        self.span().span.events.iter().map(move |event| Self {
            event: Some(event),
            ..self
        })
    }

    /// The same span once for each of its links, seen with that link.
    pub fn with_each_link(self) -> impl Iterator<Item = Self> {
        self.span().span.links.iter().map(move |link| Self {
            link: Some(link),
            ..self
        })
    }

    /// The value of an attribute or intrinsic.
    #[must_use]
    pub fn value(&self, name: &Attribute) -> Value {
        let view = if name.is_of_parent() {
            match self.parent() {
                Some(parent) => parent,
                None => return Value::Nil,
            }
        } else {
            *self
        };
        match name {
            Attribute::Intrinsic { intrinsic, .. } => view.intrinsic(*intrinsic),
            Attribute::Key { scope, key, .. } => view.key(*scope, key),
        }
    }

    /// The parent span, if it is in the trace.
    fn parent(&self) -> Option<Self> {
        let parent = self.trace.places[self.index].parent_span?;
        Some(Self::new(self.trace, parent))
    }

    /// The value as answers show it: of several events or links, that of the last one that has it.
    #[must_use]
    pub fn last_value(&self, name: &Attribute) -> Value {
        let views: Vec<Self> = match repeated(name) {
            Some(Repeated::Events) => self.with_each_event().collect(),
            Some(Repeated::Links) => self.with_each_link().collect(),
            None => Vec::new(),
        };
        let mut values = views.iter().rev().map(|view| view.value(name));
        let last = values.find(|value| !value.is_nil());
        last.unwrap_or_else(|| self.value(name))
    }

    fn key(&self, scope: Scope, key: &str) -> Value {
        let SpanRef {
            resource,
            scope: library,
            span,
        } = self.span();
        match scope {
            Scope::Unscoped => match attribute(&span.attributes, key) {
                Value::Nil => attribute(&resource.attributes, key),
                found => found,
            },
            Scope::Span => attribute(&span.attributes, key),
            // Under its scoped name the service name is always there.
            Scope::Resource if key == "service.name" => {
                match attribute(&resource.attributes, key) {
                    Value::Nil => Value::String(String::new()),
                    found => found,
                }
            }
            Scope::Resource => attribute(&resource.attributes, key),
            Scope::Instrumentation => attribute(&library.attributes, key),
            Scope::Event => self
                .event
                .map_or(Value::Nil, |event| attribute(&event.attributes, key)),
            Scope::Link => self
                .link
                .map_or(Value::Nil, |link| attribute(&link.attributes, key)),
        }
    }

    fn intrinsic(&self, intrinsic: Intrinsic) -> Value {
        let SpanRef { scope, span, .. } = self.span();
        let place = self.trace.places[self.index];
        let string = |text: &str| Value::String(text.to_owned());
        match intrinsic {
            Intrinsic::Duration => Value::Duration(span.duration_ns()),
            Intrinsic::Name => string(&span.name),
            Intrinsic::Status => Value::Status(status(span.status_code)),
            Intrinsic::StatusMessage => string(&span.status_message),
            Intrinsic::Kind => Value::Kind(kind(span.kind)),
            Intrinsic::SpanId => Value::String(span.span_id.to_string()),
            Intrinsic::SpanParentId => {
                Value::String(span.parent_span_id.unwrap_or_default().to_string())
            }
            Intrinsic::SpanChildCount => Value::Int(place.child_count),
            Intrinsic::TraceId => Value::String(trace_id_text(self.trace.id)),
            Intrinsic::TraceDuration => Value::Duration(self.trace.duration_ns),
            Intrinsic::RootName => string(&self.trace.root_name),
            Intrinsic::RootServiceName => string(&self.trace.root_service_name),
            Intrinsic::EventName => string(self.event.map_or("", |event| &event.name)),
            Intrinsic::EventTimeSinceStart => self.event.map_or(Value::Nil, |event| {
                Value::Duration(event.time_ns.saturating_sub(span.start_ns))
            }),
            Intrinsic::LinkTraceId => self.link.map_or(Value::Nil, |link| {
                Value::String(trace_id_text(link.trace_id))
            }),
            Intrinsic::LinkSpanId => self
                .link
                .map_or(Value::Nil, |link| Value::String(link.span_id.to_string())),
            Intrinsic::InstrumentationName => string(&scope.name),
            Intrinsic::InstrumentationVersion => string(&scope.version),
            Intrinsic::NestedSetLeft => Value::Int(place.left),
            Intrinsic::NestedSetRight => Value::Int(place.right),
            Intrinsic::NestedSetParent => Value::Int(place.parent),
            Intrinsic::SpanSelfTime => Value::Duration(self.trace.self_time_ns(self.index)),
            // A span is no value; but whether there is one can be asked.
            Intrinsic::Parent if self.parent().is_some() => Value::Bool(true),
            Intrinsic::Parent => Value::Nil,
        }
    }
}

/// Lowercase hex without leading zeros, but never empty.
fn trace_id_text(id: TraceId) -> String {
    let hex = id.to_string();
    match hex.trim_start_matches('0') {
        "" => "0".to_owned(),
        digits => digits.to_owned(),
    }
}

/// Numbers outside the OTLP range count as unset.
fn status(code: i32) -> Status {
    match code {
        1 => Status::Ok,
        2 => Status::Error,
        _ => Status::Unset,
    }
}

/// Numbers outside the OTLP range count as unspecified.
fn kind(number: i32) -> Kind {
    match number {
        1 => Kind::Internal,
        2 => Kind::Server,
        3 => Kind::Client,
        4 => Kind::Producer,
        5 => Kind::Consumer,
        _ => Kind::Unspecified,
    }
}
