//! The names of scopes, intrinsics, functions and keywords, and how each is written.

use crate::ast::{
    Aggregate, AggregateFunction, Attribute, FieldExpr, Intrinsic, Kind, MetricsFunction, Scope,
    Status,
};
use crate::dialect::Dialect;
use crate::types::Type;

/// The scopes whose intrinsics are written `scope:name`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ColonScope {
    Span,
    Trace,
    Event,
    Link,
    Instrumentation,
    /// Intrinsics of the parent span.
    Parent,
}

impl ColonScope {
    const ALL: [Self; 6] = [
        Self::Span,
        Self::Trace,
        Self::Event,
        Self::Link,
        Self::Instrumentation,
        Self::Parent,
    ];

    /// The scope that is written `word:`.
    pub(crate) fn from_word(word: &str, dialect: Dialect) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|scope| scope.as_str() == word && scope.is_in(dialect))
    }

    /// The words of all of them.
    pub(crate) fn words(dialect: Dialect) -> impl Iterator<Item = &'static str> {
        Self::ALL
            .into_iter()
            .filter(move |scope| scope.is_in(dialect))
            .map(Self::as_str)
    }

    const fn is_in(self, dialect: Dialect) -> bool {
        match dialect {
            Dialect::Spandrel => true,
            Dialect::Tempo => !matches!(self, Self::Parent),
        }
    }

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Span => "span",
            Self::Trace => "trace",
            Self::Event => "event",
            Self::Link => "link",
            Self::Instrumentation => "instrumentation",
            Self::Parent => "parent",
        }
    }
}

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

    /// The type of its values. Those of the instrumentation scope count as untyped, like
    /// attributes.
    #[must_use]
    pub const fn static_type(self) -> Type {
        match self {
            Self::Duration
            | Self::SpanSelfTime
            | Self::TraceDuration
            | Self::EventTimeSinceStart => Type::Duration,
            Self::Name
            | Self::StatusMessage
            | Self::SpanId
            | Self::SpanParentId
            | Self::TraceId
            | Self::RootName
            | Self::RootServiceName
            | Self::EventName
            | Self::LinkTraceId
            | Self::LinkSpanId => Type::String,
            Self::SpanChildCount
            | Self::NestedSetLeft
            | Self::NestedSetRight
            | Self::NestedSetParent => Type::Int,
            Self::Status => Type::Status,
            Self::Kind => Type::Kind,
            Self::InstrumentationName | Self::InstrumentationVersion => Type::Attribute,
            Self::Parent => Type::Nil,
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

impl Scope {
    /// What is written before the key, the dot included.
    #[must_use]
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Unscoped => ".",
            Self::Span => "span.",
            Self::Resource => "resource.",
            Self::Event => "event.",
            Self::Link => "link.",
            Self::Instrumentation => "instrumentation.",
        }
    }

    /// The scope that is written `word.`.
    pub(crate) fn from_word(word: &str) -> Option<Self> {
        Self::NAMED
            .into_iter()
            .find(|scope| scope.prefix().strip_suffix('.') == Some(word))
    }

    /// The scope whose word and dot the text starts with.
    pub(crate) fn leading(text: &str) -> Option<Self> {
        Self::NAMED
            .into_iter()
            .find(|scope| text.starts_with(scope.prefix()))
    }

    /// Those with a word before the dot.
    const NAMED: [Self; 5] = [
        Self::Span,
        Self::Resource,
        Self::Event,
        Self::Link,
        Self::Instrumentation,
    ];
}

impl Attribute {
    /// The attribute as labels and canonical query text name it: `.x`, `span.x`,
    /// `resource.service.name`, `span:childCount`, and `span."a b"` where the key has characters
    /// that end a name.
    #[must_use]
    pub fn canonical(&self) -> String {
        self.to_string()
    }

    /// An intrinsic, or `resource.service.name`, which every span has, if only as `""`.
    pub(crate) fn is_never_nil(&self) -> bool {
        match self {
            Self::Intrinsic { of_parent, .. } => !of_parent,
            Self::Key {
                scope: Scope::Resource,
                of_parent: false,
                key,
            } => key == "service.name",
            Self::Key { .. } => false,
        }
    }
}

/// Characters that end an attribute name outside of quotes, besides white space.
pub(crate) const fn ends_name(character: char) -> bool {
    matches!(
        character,
        '{' | '}' | '(' | ')' | '=' | '~' | '!' | '<' | '>' | '&' | '|' | '^' | ','
    )
}

impl Status {
    /// `unset`, `ok` or `error`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unset => "unset",
            Self::Ok => "ok",
            Self::Error => "error",
        }
    }

    /// The status of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Unset, Self::Ok, Self::Error]
            .into_iter()
            .find(|status| status.as_str() == name)
    }
}

impl Kind {
    /// `unspecified`, `internal`, `server`, `client`, `producer` or `consumer`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unspecified => "unspecified",
            Self::Internal => "internal",
            Self::Server => "server",
            Self::Client => "client",
            Self::Producer => "producer",
            Self::Consumer => "consumer",
        }
    }

    /// The kind of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [
            Self::Unspecified,
            Self::Internal,
            Self::Server,
            Self::Client,
            Self::Producer,
            Self::Consumer,
        ]
        .into_iter()
        .find(|kind| kind.as_str() == name)
    }
}

impl AggregateFunction {
    /// `count`, `min`, `max`, `avg` or `sum`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Min => "min",
            Self::Max => "max",
            Self::Avg => "avg",
            Self::Sum => "sum",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        [Self::Count, Self::Min, Self::Max, Self::Avg, Self::Sum]
            .into_iter()
            .find(|function| function.as_str() == name)
    }
}

impl Aggregate {
    /// The type of its value.
    #[must_use]
    pub fn static_type(&self) -> Type {
        let argument = self
            .argument
            .as_ref()
            .map_or(Type::Int, FieldExpr::static_type);
        Type::of_aggregate(self.function, argument)
    }
}

impl MetricsFunction {
    /// The name it is called by, which is also the `__name__` label of an ungrouped series.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Rate => "rate",
            Self::CountOverTime => "count_over_time",
            Self::MinOverTime => "min_over_time",
            Self::MaxOverTime => "max_over_time",
            Self::AvgOverTime => "avg_over_time",
            Self::SumOverTime => "sum_over_time",
            Self::HistogramOverTime => "histogram_over_time",
            Self::QuantileOverTime { .. } => "quantile_over_time",
        }
    }
}

/// Functions that may follow a pipeline's `|` as its metrics stage.
pub(crate) const METRICS_FUNCTIONS: [&str; 9] = [
    "rate",
    "count_over_time",
    "min_over_time",
    "max_over_time",
    "avg_over_time",
    "sum_over_time",
    "quantile_over_time",
    "histogram_over_time",
    "compare",
];

/// Every other function that may follow a `|`.
pub(crate) const STAGE_FUNCTIONS: [&str; 10] = [
    "count", "avg", "max", "min", "sum", "by", "coalesce", "select", "topk", "bottomk",
];

/// Words with a meaning of their own that are neither functions nor intrinsics.
const OTHER_KEYWORDS: [&str; 20] = [
    "true",
    "false",
    "nil",
    "ok",
    "error",
    "unset",
    "unspecified",
    "internal",
    "server",
    "client",
    "producer",
    "consumer",
    "rootService",
    "childCount",
    "id",
    "traceID",
    "spanID",
    "parentID",
    "timeSinceStart",
    "version",
];

/// Whether the word is reserved, so that it cannot name a hint.
pub(crate) fn is_keyword(word: &str) -> bool {
    word == "with"
        || METRICS_FUNCTIONS.contains(&word)
        || STAGE_FUNCTIONS.contains(&word)
        || OTHER_KEYWORDS.contains(&word)
        || Intrinsic::from_bare(word).is_some()
}

/// Words that may stand where a value is expected, for suggestions.
pub(crate) fn value_words() -> impl Iterator<Item = &'static str> {
    let bare = Intrinsic::ALL
        .into_iter()
        .map(Intrinsic::canonical)
        .filter(|name| !name.contains(':'));
    OTHER_KEYWORDS
        .into_iter()
        .take(12)
        .chain(["minInt", "maxInt"])
        .chain(bare)
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
