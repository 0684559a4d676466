//! One finding about a query, and how it is shown to a person.

use std::fmt;

use crate::cause::Cause;
use crate::text_range::TextRange;

/// Characters of a long line that are shown around the place of an error.
const WINDOW_CHARS: usize = 100;

/// Characters of a message that are shown.
const MESSAGE_CHARS: usize = 300;

/// What is wrong, where, and what to write instead.
#[derive(Debug, Clone, PartialEq)]
pub struct Diagnostic {
    /// What is wrong.
    pub cause: Cause,
    /// Which part of the text it is about.
    pub range: TextRange,
    /// Line and column of the start of `range`; `None` from [`validate`](crate::validate), which
    /// does not see the text.
    pub position: Option<Position>,
    /// What to write instead.
    pub hint: Option<String>,
}

/// Line and column, counted from 1; columns are characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Position {
    /// Lines end with a line feed.
    pub line: usize,
    /// Characters, not bytes.
    pub column: usize,
}

impl Position {
    /// Where byte `offset` of `text` is. Offsets past the end or inside a character count as the
    /// nearest place before.
    #[must_use]
    pub fn of(offset: usize, text: &str) -> Self {
        let before = &text[..text.floor_char_boundary(offset)];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Self {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }
}

impl Diagnostic {
    pub(crate) fn render(&self, text: &str) -> String {
        let mut out = self.to_string();
        let excerpt = Excerpt::of(self.range, text);
        out.push_str("\n  ");
        out.push_str(excerpt.line.trim_end());
        out.push_str("\n  ");
        out.push_str(&" ".repeat(excerpt.caret_column));
        out.push_str(&"^".repeat(excerpt.caret_width));
        if let Some(hint) = &self.hint {
            out.push_str("\nhint: ");
            out.push_str(&one_line(hint));
        }
        out
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message = one_line(&self.cause.to_string());
        match self.position {
            Some(Position { line, column }) => {
                write!(f, "{message} at line {line}, column {column}")
            }
            None => write!(f, "{message} at byte {}", self.range.start),
        }
    }
}

/// Names and numbers from the query are part of messages, and may be long or hold line breaks.
fn one_line(message: &str) -> String {
    let mut shown: String = message.chars().take(MESSAGE_CHARS).map(printable).collect();
    if message.chars().nth(MESSAGE_CHARS).is_some() {
        shown.push('…');
    }
    shown
}

/// The line an error is on, cut to a window when it is long.
struct Excerpt {
    line: String,
    /// Characters before the caret.
    caret_column: usize,
    caret_width: usize,
}

impl Excerpt {
    fn of(range: TextRange, text: &str) -> Self {
        let start = text.floor_char_boundary(range.start);
        let end = text.floor_char_boundary(range.end.max(start));
        let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |at| start + at);
        // A range that spans lines is underlined on its first.
        let width = text[start..end.min(line_end).max(start)]
            .chars()
            .count()
            .max(1);
        let column = text[line_start..start].chars().count();

        let skipped = column.saturating_sub(WINDOW_CHARS / 2);
        let line = &text[line_start..line_end];
        let mut shown: String = line
            .chars()
            .skip(skipped)
            .take(WINDOW_CHARS)
            .map(printable)
            .collect();
        let cut_right = line.chars().count() > skipped + WINDOW_CHARS;
        let mut caret_column = column - skipped;
        let caret_width = width.min(WINDOW_CHARS.saturating_sub(caret_column)).max(1);
        if skipped > 0 {
            shown.insert_str(0, "… ");
            caret_column += 2;
        }
        if cut_right {
            shown.push_str(" …");
        }
        Self {
            line: shown,
            caret_column,
            caret_width,
        }
    }
}

/// One column per character: a tab or a control character would move the caret away.
fn printable(character: char) -> char {
    if character.is_control() {
        ' '
    } else {
        character
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn position_counts_characters_and_lines() {
        assert_eq!(Position::of(0, ""), Position { line: 1, column: 1 });
        assert_eq!(Position::of(5, "{\n .ö"), Position { line: 2, column: 3 });
        assert_eq!(Position::of(99, "ab"), Position { line: 1, column: 3 });
    }

    #[test]
    fn excerpt_of_a_long_line_keeps_the_caret_in_view() {
        let text = format!("{}X{}", "a".repeat(5000), "b".repeat(5000));
        let excerpt = Excerpt::of(TextRange::new(5000, 5001), &text);
        assert_eq!(excerpt.line.chars().nth(excerpt.caret_column), Some('X'));
        assert!(excerpt.line.chars().count() <= WINDOW_CHARS + 4);
    }

    #[test]
    fn excerpt_shows_the_line_of_the_error_only() {
        let excerpt = Excerpt::of(TextRange::new(3, 8), "{\n\t.x\n}");
        assert_eq!(
            (
                excerpt.line.as_str(),
                excerpt.caret_column,
                excerpt.caret_width
            ),
            (" .x", 1, 2)
        );
    }
}
