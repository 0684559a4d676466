//! A YAML document as a flat list of settings, each with the line it stands on.

use serde_yaml_ng::Value;

/// One leaf of a configuration file.
#[derive(Debug, Clone, PartialEq)]
pub struct Leaf {
    /// The path, its parts joined by dots.
    pub path: String,
    /// What stands there.
    pub value: LeafValue,
    /// Line in the file, from 1, where it could be found.
    pub line: Option<usize>,
}

/// What a leaf holds.
#[derive(Debug, Clone, PartialEq)]
pub enum LeafValue {
    /// A scalar, as text.
    Scalar(String),
    /// Nothing: `key:` or an empty section.
    Empty,
    /// A list.
    List,
}

/// The leaves of a YAML document, in order.
///
/// # Errors
/// YAML's own error, which says line and column.
pub fn leaves(text: &str) -> Result<Vec<Leaf>, serde_yaml_ng::Error> {
    let document: Value = serde_yaml_ng::from_str(text)?;
    let mut found = Vec::new();
    if document != Value::Null {
        collect(&document, &mut Vec::new(), &Lines::new(text), &mut found);
    }
    Ok(found)
}

fn collect(value: &Value, path: &mut Vec<String>, lines: &Lines, found: &mut Vec<Leaf>) {
    let leaf = match value {
        Value::Mapping(mapping) if !mapping.is_empty() => {
            for (key, value) in mapping {
                path.push(scalar(key).unwrap_or_else(|| "?".to_owned()));
                collect(value, path, lines, found);
                path.pop();
            }
            return;
        }
        Value::Tagged(tagged) => return collect(&tagged.value, path, lines, found),
        Value::Null | Value::Mapping(_) => LeafValue::Empty,
        Value::Sequence(_) => LeafValue::List,
        other => scalar(other).map_or(LeafValue::Empty, LeafValue::Scalar),
    };
    found.push(Leaf {
        path: path.join("."),
        value: leaf,
        line: lines.of(path),
    });
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::Bool(value) => Some(value.to_string()),
        Value::Number(value) => Some(value.to_string()),
        Value::String(value) => Some(value.clone()),
        _ => None,
    }
}

/// Where keys stand. The YAML reader gives no positions, so this looks at indentation, which finds
/// every key of a block-style document; in a flow mapping it finds the line of the mapping.
struct Lines(Vec<(Vec<String>, usize)>);

impl Lines {
    fn new(text: &str) -> Self {
        let mut open: Vec<(usize, String)> = Vec::new();
        let mut lines = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let content = line.trim_start();
            let indent = line.len() - content.len();
            let Some((key, _)) = content.split_once(':') else {
                continue;
            };
            if content.starts_with(['#', '-']) || key.contains([' ', '{']) {
                continue;
            }
            open.retain(|(outer, _)| *outer < indent);
            open.push((indent, key.trim_matches(['"', '\'']).to_owned()));
            lines.push((open.iter().map(|(_, key)| key.clone()).collect(), index + 1));
        }
        Self(lines)
    }

    fn of(&self, path: &[String]) -> Option<usize> {
        let known = |wanted: &[String]| {
            self.0
                .iter()
                .find(|(path, _)| path.as_slice() == wanted)
                .map(|(_, line)| *line)
        };
        (1..=path.len())
            .rev()
            .find_map(|length| known(&path[..length]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaves_have_paths_values_and_lines() {
        let text = "# head\nserver:\n  http_listen_port: 3201\n  log_level: \"warn\"\n\nlive_store: {max_block_bytes: 5}\nlist: [1]\nnothing:\n";
        let found = leaves(text).expect("valid YAML");
        let flat: Vec<_> = found
            .iter()
            .map(|leaf| (leaf.path.as_str(), leaf.line))
            .collect();
        assert_eq!(
            flat,
            [
                ("server.http_listen_port", Some(3)),
                ("server.log_level", Some(4)),
                ("live_store.max_block_bytes", Some(6)),
                ("list", Some(7)),
                ("nothing", Some(8)),
            ]
        );
        assert_eq!(found[0].value, LeafValue::Scalar("3201".to_owned()));
        assert_eq!(found[3].value, LeafValue::List);
        assert_eq!(found[4].value, LeafValue::Empty);
    }

    #[test]
    fn an_empty_document_has_no_leaves() {
        assert_eq!(leaves("# nothing\n").expect("valid YAML"), []);
    }
}
