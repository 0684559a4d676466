//! Attributes and literals.

use std::fmt::{self, Display, Formatter, Write};

use crate::ast::{Attribute, Literal, Scope};
use crate::duration::format_go_duration;
use crate::names::ends_name;

/// See [`Attribute::canonical`].
impl Display for Attribute {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (scope, of_parent, key) = match self {
            Self::Intrinsic {
                intrinsic,
                of_parent: false,
            } => return f.write_str(intrinsic.canonical()),
            Self::Intrinsic {
                intrinsic,
                of_parent: true,
            } => {
                let name = intrinsic.parent_name();
                return write!(f, "parent:{}", name.unwrap_or(intrinsic.canonical()));
            }
            Self::Key {
                scope,
                of_parent,
                key,
            } => (*scope, *of_parent, key.as_str()),
        };
        match (of_parent, scope) {
            (true, Scope::Unscoped) => f.write_str("parent.")?,
            (true, _) => write!(f, "parent.{}", scope.prefix())?,
            (false, _) => f.write_str(scope.prefix())?,
        }
        if !needs_quotes(scope, of_parent, key) {
            return f.write_str(key);
        }
        f.write_char('"')?;
        for character in key.chars() {
            if matches!(character, '"' | '\\') {
                f.write_char('\\')?;
            }
            f.write_char(character)?;
        }
        f.write_char('"')
    }
}

fn needs_quotes(scope: Scope, of_parent: bool, key: &str) -> bool {
    let is_special = |c: char| c == '"' || c.is_whitespace() || ends_name(c);
    if key.is_empty() || key.contains(is_special) {
        return true;
    }
    if scope != Scope::Unscoped {
        return false;
    }
    if of_parent {
        // `parent.span.x` would be in the scope `span`.
        Scope::leading(key).is_some()
    } else {
        // `.5` is a number.
        key.starts_with(|c: char| c.is_ascii_digit())
    }
}

impl Literal {
    /// Whether it prints with a minus sign, which is an operator.
    pub(super) const fn is_signed(&self) -> bool {
        match self {
            // The smallest integer has a name.
            Self::Int(value) => *value < 0 && *value != i64::MIN,
            Self::Float(value) => value.is_sign_negative(),
            Self::Duration(ns) => *ns < 0,
            Self::String(_) | Self::Bool(_) | Self::Status(_) | Self::Kind(_) => false,
        }
    }
}

impl Display for Literal {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::String(text) => print_string(text, f),
            Self::Int(i64::MIN) => f.write_str("minInt"),
            Self::Int(value) => value.fmt(f),
            // The debug form always has a dot or an exponent, and so stays a float.
            Self::Float(value) => write!(f, "{value:?}"),
            Self::Duration(ns) => f.write_str(&format_go_duration(*ns)),
            Self::Bool(value) => value.fmt(f),
            Self::Status(status) => status.fmt(f),
            Self::Kind(kind) => kind.fmt(f),
        }
    }
}

fn print_string(text: &str, f: &mut Formatter<'_>) -> fmt::Result {
    f.write_char('"')?;
    for character in text.chars() {
        match character {
            '"' => f.write_str("\\\"")?,
            '\\' => f.write_str("\\\\")?,
            '\n' => f.write_str("\\n")?,
            '\r' => f.write_str("\\r")?,
            '\t' => f.write_str("\\t")?,
            _ if character.is_control() => write!(f, "\\u{:04x}", u32::from(character))?,
            _ => f.write_char(character)?,
        }
    }
    f.write_char('"')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse_attribute;

    #[test]
    fn attribute_names_are_quoted_only_where_needed() {
        for (written, canonical) in [
            (".x", ".x"),
            ("span.db\"-\"stmt", "span.db-stmt"),
            ("span.\"a b\"", "span.\"a b\""),
            (r#"resource."a\"b\\c""#, r#"resource."a\"b\\c""#),
            (r"span.a\b", r"span.a\b"),
            (".\"5xx\"", ".\"5xx\""),
            ("span.\"5xx\"", "span.5xx"),
            (".\"\"", ".\"\""),
            ("parent.\"span.x\"", "parent.\"span.x\""),
            ("parent.span.x", "parent.span.x"),
            ("span:name", "name"),
            ("trace:rootService", "rootServiceName"),
            ("trace:id", "trace:id"),
        ] {
            let attribute = parse_attribute(written).unwrap();
            assert_eq!(attribute.canonical(), canonical);
            assert_eq!(parse_attribute(canonical).unwrap(), attribute);
        }
    }

    #[test]
    fn literals() {
        for (literal, text) in [
            (Literal::Int(-3), "-3"),
            (Literal::Int(i64::MIN), "minInt"),
            (Literal::Float(1.0), "1.0"),
            (Literal::Float(1e300), "1e300"),
            (Literal::Duration(-1_500_000_000), "-1.5s"),
            (
                Literal::String("a\"\\\n\u{1}\u{7f}é".to_owned()),
                r#""a\"\\\n\u0001\u007fé""#,
            ),
        ] {
            assert_eq!(literal.to_string(), text);
        }
    }
}
