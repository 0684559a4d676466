//! Constants.

/// A constant.
#[derive(Debug, Clone, PartialEq)]
pub enum Literal {
    /// Text.
    String(String),
    /// 64-bit integer, `minInt` and `maxInt` included.
    Int(i64),
    /// 64-bit float.
    Float(f64),
    /// Duration in nanoseconds.
    Duration(i64),
    /// `true` or `false`.
    Bool(bool),
    /// `ok`, `error`, `unset`.
    Status(Status),
    /// `server`, `client`, …
    Kind(Kind),
}

/// Span status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the variants are OTLP's own names")]
pub enum Status {
    Unset,
    Ok,
    Error,
}

/// Span kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the variants are OTLP's own names")]
pub enum Kind {
    Unspecified,
    Internal,
    Server,
    Client,
    Producer,
    Consumer,
}
