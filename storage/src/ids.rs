//! Identifiers as types, so that none is mistaken for another.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use ulid::Ulid;

/// A trace id, 16 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct TraceId(pub [u8; 16]);

/// A span id, 8 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct SpanId(pub [u8; 8]);

/// A block id; ids sort by the time they were made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BlockId(pub Ulid);

/// Id of a part of a catalog; ids sort by the time they were made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PartId(pub Ulid);

/// Id of an edit of a catalog.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EditId(pub Ulid);

/// A tenant: 1 to 150 characters of `A-Z a-z 0-9 ! - _ . * ' ( )`, neither `.` nor `..`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TenantId(String);

/// A text that is no tenant id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid tenant id: {reason}")]
pub struct InvalidTenantId {
    reason: &'static str,
}

impl TenantId {
    /// The tenant of a deployment without tenants.
    pub const SINGLE: &'static str = "single-tenant";

    /// The tenant of a deployment without tenants.
    #[must_use]
    pub fn single() -> Self {
        Self(Self::SINGLE.to_owned())
    }

    /// The id as text; safe as one path segment.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TenantId {
    type Err = InvalidTenantId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::try_from(text.to_owned())
    }
}

impl TryFrom<String> for TenantId {
    type Error = InvalidTenantId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let reason = if text.is_empty() {
            "it is empty"
        } else if text.len() > 150 {
            "it is longer than 150 characters"
        } else if text == "." || text == ".." {
            "it names a folder"
        } else if !text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"!-_.*'()".contains(&b))
        {
            "only letters, digits and ! - _ . * ' ( ) are allowed"
        } else {
            return Ok(Self(text));
        };
        Err(InvalidTenantId { reason })
    }
}

impl From<TenantId> for String {
    fn from(tenant: TenantId) -> Self {
        tenant.0
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for BlockId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for BlockId {
    type Err = ulid::DecodeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ulid::from_string(text).map(Self)
    }
}

impl fmt::Display for PartId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for PartId {
    type Err = ulid::DecodeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ulid::from_string(text).map(Self)
    }
}

/// A text that is no trace id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTraceId {
    /// There is nothing to read.
    #[error("a trace ID needs at least one hex character")]
    Empty,
    /// A character is no hex digit.
    #[error(
        "trace IDs can only contain hex characters: invalid character {character:?} at position {position}"
    )]
    Character {
        /// The character.
        character: char,
        /// The character's place, counted from 1.
        position: usize,
    },
    /// There are more digits than 16 bytes have.
    #[error("trace IDs can't be larger than 128 bits")]
    TooLong,
}

/// Up to 32 hex digits of any case; fewer stand for an id that begins with zeros.
impl FromStr for TraceId {
    type Err = InvalidTraceId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = text
            .chars()
            .enumerate()
            .find(|(_, c)| !c.is_ascii_hexdigit());
        if let Some((index, character)) = wrong {
            let position = index + 1;
            return Err(InvalidTraceId::Character {
                character,
                position,
            });
        }
        if text.is_empty() {
            return Err(InvalidTraceId::Empty);
        }
        if text.len() > 32 {
            return Err(InvalidTraceId::TooLong);
        }
        let number = u128::from_str_radix(text, 16).map_err(|_| InvalidTraceId::TooLong)?;
        Ok(Self(number.to_be_bytes()))
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TraceId({self})")
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SpanId({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trace_ids_are_read_with_and_without_leading_zeros() {
        let id: TraceId = "1aB".parse().unwrap();
        assert_eq!(id.to_string(), "000000000000000000000000000001ab");
        assert_eq!(id.to_string().parse(), Ok(id));
        let longest = "f".repeat(32);
        assert_eq!(longest.parse::<TraceId>().unwrap().to_string(), longest);
        for (text, message) in [
            ("", "needs at least one"),
            ("12x4", "invalid character 'x' at position 3"),
            ("é", "invalid character 'é' at position 1"),
            ("+1", "invalid character '+' at position 1"),
            (&"0".repeat(33), "128 bits"),
        ] {
            let error = text.parse::<TraceId>().unwrap_err().to_string();
            assert!(error.contains(message), "{text}: {error}");
        }
    }
}
