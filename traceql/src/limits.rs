//! What one query may cost before it is refused.

/// Bounds on one query. They protect the stack, the heap and the regex compiler from query text, so
/// none of them can be switched off; [`Limits::default`] is generous for people and dashboards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Length of the query text.
    pub max_query_bytes: usize,
    /// Brackets, prefix operators and `^` operands that are open at once. The parser recurses once
    /// per level.
    pub max_depth: usize,
    /// Operators on the longest path of the syntax tree, so also the operands of one `||` chain.
    /// Whoever walks the tree may recurse once per operator.
    pub max_height: usize,
    /// Literals, attributes, operators, stages and list entries.
    pub max_nodes: usize,
    /// Regular expressions in one query.
    pub max_regex_count: usize,
    /// Length of one regular expression.
    pub max_regex_bytes: usize,
    /// Memory of one compiled regular expression.
    pub max_regex_compiled_bytes: usize,
    /// Metrics queries that one query of metrics arithmetic is made of; each of them reads spans.
    pub max_metrics_operands: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_query_bytes: 128 * 1024,
            max_depth: 64,
            max_height: 512,
            max_nodes: 8192,
            max_regex_count: 64,
            max_regex_bytes: 1024,
            max_regex_compiled_bytes: 1024 * 1024,
            max_metrics_operands: 16,
        }
    }
}

/// Which field of [`Limits`] was exceeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LimitName {
    /// [`Limits::max_query_bytes`]
    QueryBytes,
    /// [`Limits::max_depth`]
    Depth,
    /// [`Limits::max_height`]
    Height,
    /// [`Limits::max_nodes`]
    Nodes,
    /// [`Limits::max_regex_count`]
    RegexCount,
    /// [`Limits::max_regex_bytes`]
    RegexBytes,
    /// [`Limits::max_regex_compiled_bytes`]
    RegexCompiledBytes,
    /// [`Limits::max_metrics_operands`]
    MetricsOperands,
}

impl LimitName {
    /// The name of the field, which is also the last part of its configuration key.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::QueryBytes => "max_query_bytes",
            Self::Depth => "max_depth",
            Self::Height => "max_height",
            Self::Nodes => "max_nodes",
            Self::RegexCount => "max_regex_count",
            Self::RegexBytes => "max_regex_bytes",
            Self::RegexCompiledBytes => "max_regex_compiled_bytes",
            Self::MetricsOperands => "max_metrics_operands",
        }
    }

    /// What is limited, in words.
    #[must_use]
    pub const fn subject(self) -> &'static str {
        match self {
            Self::QueryBytes => "query text is too long",
            Self::Depth => "query is nested too deeply",
            Self::Height => "query chains too many operators",
            Self::Nodes => "query has too many parts",
            Self::RegexCount => "query has too many regular expressions",
            Self::RegexBytes => "regular expression is too long",
            Self::RegexCompiledBytes => "regular expression needs too much memory",
            Self::MetricsOperands => "query combines too many metrics queries",
        }
    }
}
