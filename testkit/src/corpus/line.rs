//! What a line of a file is, before it is read.

/// What is wrong with a line, by its index.
pub(super) type LineError = (usize, String);

/// Whether the line begins something new rather than continuing what is above it.
pub(super) fn is_heading(line: &str) -> bool {
    line.starts_with(|first: char| !first.is_whitespace() && first != '#')
}

/// Whether the line says nothing.
pub(super) fn is_blank(line: &str) -> bool {
    let line = line.trim_start();
    line.is_empty() || line.starts_with('#')
}
