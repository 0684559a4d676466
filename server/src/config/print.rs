//! Settings as YAML: the defaults with what they mean, and the values in force.

use std::fmt::Write as _;

use serde_json::Value;

use super::keys::{KEYS, Key};
use super::settings::Settings;
use super::value::Kind;

/// All settings with their defaults and what they mean, as a file one can start from.
#[must_use]
pub fn defaults() -> String {
    let mut out = String::from(
        "# All settings of spandrel with their defaults. A file needs only what differs.\n\
         # Values may refer to environment variables: ${NAME} or ${NAME:default}.\n",
    );
    let mut open: Vec<&str> = Vec::new();
    for key in KEYS {
        let top = key.path.split('.').next() != open.first().copied();
        if top {
            out.push('\n');
        }
        let indent = open_sections(&mut out, &mut open, key);
        for line in wrap(key.doc, 96_usize.saturating_sub(indent.len())) {
            let _infallible = writeln!(out, "{indent}# {line}");
        }
        let _infallible = writeln!(out, "{indent}{}: {}", name(key), scalar(key.default));
    }
    out
}

/// The values in force, as YAML; secrets are starred out.
#[must_use]
pub fn effective(settings: &Settings) -> String {
    let mut out = String::new();
    let mut open: Vec<&str> = Vec::new();
    for key in KEYS {
        let indent = open_sections(&mut out, &mut open, key);
        let _infallible = writeln!(out, "{indent}{}: {}", name(key), shown(key, settings));
    }
    out
}

/// The settings that were given, one a line by their paths; secrets are starred out.
#[must_use]
pub fn differences(settings: &Settings) -> String {
    let mut out = String::new();
    for key in KEYS
        .iter()
        .filter(|key| settings.written(key.path).is_some())
    {
        let _infallible = writeln!(out, "{}: {}", key.path, shown(key, settings));
    }
    out
}

/// The table of settings for the documentation, as Markdown.
#[must_use]
pub fn markdown() -> String {
    let mut out = String::from("| setting | default | meaning |\n|---|---|---|\n");
    for key in KEYS {
        let default = if key.default.is_empty() {
            String::new()
        } else {
            format!("`{}`", key.default)
        };
        let _infallible = writeln!(
            out,
            "| `{}` | {default} | {} |",
            key.path,
            key.doc.replace('|', "\\|")
        );
    }
    out
}

fn shown(key: &Key, settings: &Settings) -> String {
    let written = settings.written(key.path).unwrap_or(key.default);
    match settings.get(key.path) {
        Value::String(text) if key.kind == Kind::Secret => {
            if text.is_empty() { "\"\"" } else { "***" }.to_owned()
        }
        _ => scalar(written),
    }
}

fn name(key: &Key) -> &'static str {
    key.path.rsplit('.').next().unwrap_or(key.path)
}

/// Writes the heads of the sections that a setting needs and are not open; returns its indentation.
fn open_sections<'a>(out: &mut String, open: &mut Vec<&'a str>, key: &Key) -> String
where
    'static: 'a,
{
    let path: &'static str = key.path;
    let sections: Vec<&'a str> = path.split('.').collect();
    let sections = &sections[..sections.len().saturating_sub(1)];
    let common = open
        .iter()
        .zip(sections)
        .take_while(|(a, b)| a == b)
        .count();
    open.truncate(common);
    for section in &sections[common..] {
        let _infallible = writeln!(out, "{}{section}:", "  ".repeat(open.len()));
        open.push(section);
    }
    "  ".repeat(open.len())
}

/// A scalar as YAML, quoted where it would otherwise read as something else.
fn scalar(text: &str) -> String {
    let plain = !text.is_empty()
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "._/-".contains(c));
    if plain {
        text.to_owned()
    } else {
        format!("{text:?}")
    }
}

fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.len() + 1 + word.len() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::super::collector::Collector;
    use super::*;

    #[test]
    fn printed_defaults_read_back_as_the_defaults() {
        let mut collector = Collector::default();
        collector.file("defaults", &defaults());
        let (settings, warnings) = collector.finish().expect("the defaults are valid");
        assert_eq!(warnings, []);
        for key in KEYS {
            assert_eq!(
                settings.get(key.path),
                Settings::default().get(key.path),
                "{}",
                key.path
            );
        }
        for line in defaults().lines() {
            assert!(line.chars().count() <= 100, "{line}");
        }
    }

    #[test]
    fn sections_are_written_once() {
        let text = defaults();
        let heads: Vec<_> = text
            .lines()
            .filter(|line| !line.starts_with([' ', '#']) && line.ends_with(':'))
            .collect();
        let mut unique = heads.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(heads.len(), unique.len(), "{heads:?}");
    }

    #[test]
    fn secrets_are_never_printed() {
        let mut collector = Collector::default();
        collector.assignment("storage.trace.s3.secret_key=hunter2");
        let (settings, _) = collector.finish().expect("valid");
        let text = effective(&settings);
        assert!(text.contains("secret_key: ***"), "{text}");
        assert!(!text.contains("hunter2"));
    }
}
