//! How keys of groups stand in columns.

use crate::types::Type;

/// How a group key is encoded in a column of the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum KeyKind {
    /// Never present.
    Nil,
    /// A column of one type.
    Typed(Type),
    /// Text that tells type and value apart.
    Tagged,
}
