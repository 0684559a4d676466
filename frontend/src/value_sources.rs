//! Where the values of a name stand, if they stand anywhere.

use storage::block::ValueSource;
use storage::block::meta::AttributeScope;
use storage::schema::names as columns;
use traceql::ast::{Attribute, Intrinsic, Scope};

/// Where the values of a name stand; `None` if only a query can tell.
pub(crate) fn sources(name: &Attribute) -> Option<Vec<ValueSource>> {
    let attribute = |scope, key: &String| ValueSource::Attribute {
        scope,
        key: key.clone(),
    };
    match name {
        Attribute::Key {
            of_parent: false,
            scope,
            key,
        } => Some(match scope {
            Scope::Unscoped => vec![
                attribute(AttributeScope::Span, key),
                attribute(AttributeScope::Resource, key),
            ],
            Scope::Span => vec![attribute(AttributeScope::Span, key)],
            Scope::Resource => vec![attribute(AttributeScope::Resource, key)],
            Scope::Instrumentation => vec![attribute(AttributeScope::Instrumentation, key)],
            Scope::Event => vec![attribute(AttributeScope::Event, key)],
            Scope::Link => vec![attribute(AttributeScope::Link, key)],
        }),
        Attribute::Intrinsic {
            of_parent: false,
            intrinsic,
        } => {
            let source = match intrinsic {
                Intrinsic::Name => ValueSource::Column(columns::NAME),
                Intrinsic::StatusMessage => ValueSource::Column(columns::STATUS_MESSAGE),
                Intrinsic::SpanChildCount => ValueSource::Column(columns::CHILD_COUNT),
                Intrinsic::RootName => ValueSource::Column(columns::ROOT_NAME),
                Intrinsic::RootServiceName => ValueSource::Column(columns::ROOT_SERVICE_NAME),
                Intrinsic::InstrumentationName => ValueSource::Column(columns::SCOPE_NAME),
                Intrinsic::InstrumentationVersion => ValueSource::Column(columns::SCOPE_VERSION),
                Intrinsic::EventName => ValueSource::EventName,
                _ => return None,
            };
            Some(vec![source])
        }
        Attribute::Key {
            of_parent: true, ..
        }
        | Attribute::Intrinsic {
            of_parent: true, ..
        } => None,
    }
}

/// Values known without looking: of closed sets all, of ids and times none worth listing.
pub(crate) const fn known_values(intrinsic: Intrinsic) -> Option<&'static [&'static str]> {
    match intrinsic {
        Intrinsic::Status => Some(&["error", "ok", "unset"]),
        Intrinsic::Kind => Some(&[
            "client",
            "consumer",
            "internal",
            "producer",
            "server",
            "unspecified",
        ]),
        Intrinsic::Duration
        | Intrinsic::SpanSelfTime
        | Intrinsic::TraceDuration
        | Intrinsic::EventTimeSinceStart
        | Intrinsic::TraceId
        | Intrinsic::SpanId
        | Intrinsic::SpanParentId
        | Intrinsic::LinkTraceId
        | Intrinsic::LinkSpanId
        | Intrinsic::NestedSetLeft
        | Intrinsic::NestedSetRight
        | Intrinsic::NestedSetParent
        | Intrinsic::Parent => Some(&[]),
        Intrinsic::Name
        | Intrinsic::StatusMessage
        | Intrinsic::SpanChildCount
        | Intrinsic::RootName
        | Intrinsic::RootServiceName
        | Intrinsic::EventName
        | Intrinsic::InstrumentationName
        | Intrinsic::InstrumentationVersion => None,
    }
}
