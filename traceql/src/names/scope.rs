//! How scopes are written: `scope:` before intrinsics, `scope.` before keys.

use crate::ast::Scope;
use crate::dialect::Dialect;

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

    /// The words of all such scopes of a dialect.
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

    /// The scopes with a word before the dot.
    const NAMED: [Self; 5] = [
        Self::Span,
        Self::Resource,
        Self::Event,
        Self::Link,
        Self::Instrumentation,
    ];
}
