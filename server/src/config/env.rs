//! Environment variables in values: `${NAME}`, `${NAME:default}`, and `$$` for a dollar sign.

/// Why a value could not be expanded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExpandError {
    /// The variable is not set and no default is given.
    #[error("environment variable {name} is not set; write ${{{name}:default}} to give a default")]
    Unset {
        /// The variable.
        name: String,
    },
    /// A `${` without its `}`.
    #[error("`${{` without a closing `}}`; write $${{ for the two characters themselves")]
    Unclosed,
}

/// Replaces every reference in `text` by what `lookup` says.
///
/// # Errors
/// A variable that is not set and has no default, or an unfinished reference.
pub fn expand(text: &str, lookup: impl Fn(&str) -> Option<String>) -> Result<String, ExpandError> {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        expanded.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            expanded.push('$');
            rest = after;
        } else if let Some(reference) = rest.strip_prefix('{') {
            let (reference, after) = reference.split_once('}').ok_or(ExpandError::Unclosed)?;
            let (name, default) = reference
                .split_once(':')
                .map_or((reference, None), |(name, text)| (name, Some(text)));
            let value = lookup(name).or_else(|| default.map(str::to_owned));
            expanded.push_str(&value.ok_or_else(|| ExpandError::Unset {
                name: name.to_owned(),
            })?);
            rest = after;
        } else {
            expanded.push('$');
        }
    }
    expanded.push_str(rest);
    Ok(expanded)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lookup(name: &str) -> Option<String> {
        (name == "PORT").then(|| "3201".to_owned())
    }

    #[test]
    fn references_are_replaced() {
        assert_eq!(expand("${PORT}", lookup), Ok("3201".to_owned()));
        assert_eq!(
            expand("a${PORT:1}b${HOST:local}c", lookup),
            Ok("a3201blocalc".to_owned())
        );
        assert_eq!(expand("${HOST:}", lookup), Ok(String::new()));
        assert_eq!(expand("$5 $${PORT}", lookup), Ok("$5 ${PORT}".to_owned()));
    }

    #[test]
    fn what_is_missing_is_an_error() {
        assert_eq!(
            expand("${HOST}", lookup),
            Err(ExpandError::Unset {
                name: "HOST".to_owned()
            })
        );
        assert_eq!(expand("${PORT", lookup), Err(ExpandError::Unclosed));
    }
}
