//! How attributes are written, and which of them every span has.

use crate::ast::{Attribute, Scope};

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
