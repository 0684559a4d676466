//! How intrinsics are written.

use super::scope::ColonScope;
use crate::ast::Intrinsic;
use crate::dialect::Dialect;

impl Intrinsic {
    /// Every intrinsic.
    pub const ALL: [Self; 23] = [
        Self::Duration,
        Self::Name,
        Self::Status,
        Self::StatusMessage,
        Self::Kind,
        Self::SpanId,
        Self::SpanParentId,
        Self::SpanChildCount,
        Self::SpanSelfTime,
        Self::TraceId,
        Self::TraceDuration,
        Self::RootName,
        Self::RootServiceName,
        Self::EventName,
        Self::EventTimeSinceStart,
        Self::LinkTraceId,
        Self::LinkSpanId,
        Self::InstrumentationName,
        Self::InstrumentationVersion,
        Self::NestedSetLeft,
        Self::NestedSetRight,
        Self::NestedSetParent,
        Self::Parent,
    ];

    /// The one name used in labels, results and canonical query text.
    #[must_use]
    pub const fn canonical(self) -> &'static str {
        match self {
            Self::Duration => "duration",
            Self::Name => "name",
            Self::Status => "status",
            Self::StatusMessage => "statusMessage",
            Self::Kind => "kind",
            Self::SpanId => "span:id",
            Self::SpanParentId => "span:parentID",
            Self::SpanChildCount => "span:childCount",
            Self::SpanSelfTime => "span:selfTime",
            Self::TraceId => "trace:id",
            Self::TraceDuration => "traceDuration",
            Self::RootName => "rootName",
            Self::RootServiceName => "rootServiceName",
            Self::EventName => "event:name",
            Self::EventTimeSinceStart => "event:timeSinceStart",
            Self::LinkTraceId => "link:traceID",
            Self::LinkSpanId => "link:spanID",
            Self::InstrumentationName => "instrumentation:name",
            Self::InstrumentationVersion => "instrumentation:version",
            Self::NestedSetLeft => "nestedSetLeft",
            Self::NestedSetRight => "nestedSetRight",
            Self::NestedSetParent => "nestedSetParent",
            Self::Parent => "parent",
        }
    }

    /// The intrinsic written as one bare word.
    pub(crate) fn from_bare(word: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|intrinsic| intrinsic.canonical() == word)
    }

    /// The names that may follow `scope:`.
    pub(crate) fn scoped(
        scope: ColonScope,
        dialect: Dialect,
    ) -> impl Iterator<Item = (&'static str, Self)> {
        let names: &[_] = match scope {
            ColonScope::Span => Self::OF_SPAN,
            // The others that a span has one of are the same for all spans of a trace.
            ColonScope::Parent => Self::OF_SPAN,
            ColonScope::Trace => &[
                ("id", Self::TraceId),
                ("duration", Self::TraceDuration),
                ("rootName", Self::RootName),
                ("rootService", Self::RootServiceName),
            ],
            ColonScope::Event => &[
                ("name", Self::EventName),
                ("timeSinceStart", Self::EventTimeSinceStart),
            ],
            ColonScope::Link => &[("traceID", Self::LinkTraceId), ("spanID", Self::LinkSpanId)],
            ColonScope::Instrumentation => &[
                ("name", Self::InstrumentationName),
                ("version", Self::InstrumentationVersion),
            ],
        };
        names
            .iter()
            .copied()
            .filter(move |(_, intrinsic)| intrinsic.is_in(dialect))
    }

    /// The intrinsics of one span, by the names that follow `span:` and `parent:`.
    const OF_SPAN: &[(&'static str, Self)] = &[
        ("duration", Self::Duration),
        ("name", Self::Name),
        ("status", Self::Status),
        ("statusMessage", Self::StatusMessage),
        ("kind", Self::Kind),
        ("id", Self::SpanId),
        ("parentID", Self::SpanParentId),
        ("childCount", Self::SpanChildCount),
        ("selfTime", Self::SpanSelfTime),
    ];

    /// What follows `parent:` for this intrinsic of the parent span, if it can be asked for.
    pub(crate) fn parent_name(self) -> Option<&'static str> {
        Self::OF_SPAN
            .iter()
            .find(|(_, intrinsic)| *intrinsic == self)
            .map(|(name, _)| *name)
    }

    const fn is_in(self, dialect: Dialect) -> bool {
        match dialect {
            Dialect::Spandrel => true,
            Dialect::Tempo => !matches!(self, Self::SpanSelfTime),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_intrinsic_is_listed_once() {
        for (index, intrinsic) in Intrinsic::ALL.into_iter().enumerate() {
            assert!(
                !Intrinsic::ALL[..index].contains(&intrinsic),
                "{intrinsic:?}"
            );
            assert_eq!(Intrinsic::from_bare(intrinsic.canonical()), Some(intrinsic));
        }
    }
}
