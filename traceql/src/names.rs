//! The names of scopes, intrinsics, functions and keywords, and how each is written.

use crate::ast::{
    Aggregate, AggregateFunction, Attribute, FieldExpr, FieldExprKind, Intrinsic, Kind,
    MetricsFunction, Scope, Status,
};
use crate::types::Type;

/// The scopes whose intrinsics are written `scope:name`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ColonScope {
    Span,
    Trace,
    Event,
    Link,
    Instrumentation,
}

impl ColonScope {
    pub(crate) const ALL: [Self; 5] = [
        Self::Span,
        Self::Trace,
        Self::Event,
        Self::Link,
        Self::Instrumentation,
    ];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Span => "span",
            Self::Trace => "trace",
            Self::Event => "event",
            Self::Link => "link",
            Self::Instrumentation => "instrumentation",
        }
    }
}

impl Intrinsic {
    /// Every intrinsic.
    pub const ALL: [Self; 22] = [
        Self::Duration,
        Self::Name,
        Self::Status,
        Self::StatusMessage,
        Self::Kind,
        Self::SpanId,
        Self::SpanParentId,
        Self::SpanChildCount,
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
            Self::Duration | Self::TraceDuration | Self::EventTimeSinceStart => Type::Duration,
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
    pub(crate) const fn scoped(scope: ColonScope) -> &'static [(&'static str, Self)] {
        match scope {
            ColonScope::Span => &[
                ("duration", Self::Duration),
                ("name", Self::Name),
                ("status", Self::Status),
                ("statusMessage", Self::StatusMessage),
                ("kind", Self::Kind),
                ("id", Self::SpanId),
                ("parentID", Self::SpanParentId),
                ("childCount", Self::SpanChildCount),
            ],
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
        Some(match word {
            "span" => Self::Span,
            "resource" => Self::Resource,
            "event" => Self::Event,
            "link" => Self::Link,
            "instrumentation" => Self::Instrumentation,
            _ => return None,
        })
    }
}

impl Attribute {
    /// The attribute as labels and canonical query text name it: `.x`, `span.x`,
    /// `resource.service.name`, `span:childCount`, and `span."a b"` where the key has characters
    /// that end a name.
    #[must_use]
    pub fn canonical(&self) -> String {
        self.to_string()
    }

    /// `resource.service.name`, which every span has, if only as `""`.
    pub(crate) fn is_service_name(&self) -> bool {
        matches!(self, Self::Key { scope: Scope::Resource, of_parent: false, key } if key == "service.name")
    }
}

impl FieldExpr {
    /// Whether the value depends on the span.
    #[must_use]
    pub fn references_span(&self) -> bool {
        match &self.kind {
            FieldExprKind::Literal(_) => false,
            FieldExprKind::Attribute(_) => true,
            FieldExprKind::Unary { operand, .. } => operand.references_span(),
            FieldExprKind::Binary { lhs, rhs, .. } => {
                lhs.references_span() || rhs.references_span()
            }
            FieldExprKind::NilTest { operand, .. } => {
                operand.as_deref().is_some_and(Self::references_span)
            }
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
