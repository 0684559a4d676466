//! What a name refers to: keys in scopes, and the fields of every span.

use crate::text_range::TextRange;

/// An attribute where only an attribute may stand: `by(…)`, `select(…)`, metrics arguments.
#[derive(Debug, Clone, PartialEq)]
pub struct AttributeRef {
    /// The attribute.
    pub attribute: Attribute,
    /// Where it stands.
    pub range: TextRange,
}

/// What a name refers to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Attribute {
    /// A field every span has.
    Intrinsic {
        /// Which field.
        intrinsic: Intrinsic,
        /// `parent:…`: of the parent span, so absent where there is none.
        of_parent: bool,
    },
    /// A key in one scope.
    Key {
        /// Where the key is looked up.
        scope: Scope,
        /// `parent.…`: of the parent span.
        of_parent: bool,
        /// The key, without scope and quotes.
        key: String,
    },
}

impl Attribute {
    /// An intrinsic of the span itself.
    #[must_use]
    pub const fn of_span(intrinsic: Intrinsic) -> Self {
        Self::Intrinsic {
            intrinsic,
            of_parent: false,
        }
    }

    /// Whether it is of the parent span.
    #[must_use]
    pub const fn is_of_parent(&self) -> bool {
        match self {
            Self::Intrinsic { of_parent, .. } | Self::Key { of_parent, .. } => *of_parent,
        }
    }
}

/// Where an attribute key is looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// `.x`: the span, then its resource.
    Unscoped,
    /// `span.x`
    Span,
    /// `resource.x`
    Resource,
    /// `event.x`
    Event,
    /// `link.x`
    Link,
    /// `instrumentation.x`
    Instrumentation,
}

/// Fields that every span has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the variants say their TraceQL name")]
pub enum Intrinsic {
    Duration,
    Name,
    Status,
    StatusMessage,
    Kind,
    SpanId,
    SpanParentId,
    SpanChildCount,
    /// The part of the span's duration in which none of its children runs.
    SpanSelfTime,
    TraceId,
    TraceDuration,
    RootName,
    RootServiceName,
    EventName,
    EventTimeSinceStart,
    LinkTraceId,
    LinkSpanId,
    InstrumentationName,
    InstrumentationVersion,
    NestedSetLeft,
    NestedSetRight,
    NestedSetParent,
    /// The parent span itself, of which only existence can be tested.
    Parent,
}
