//! The values in force.

use std::collections::BTreeMap;

use serde_json::Value;

use super::keys::{KEYS, Key};

/// A value for every setting.
#[derive(Debug, Clone)]
pub struct Settings {
    values: BTreeMap<&'static str, Value>,
    /// What was written, of settings that were.
    given: BTreeMap<&'static str, String>,
}

impl Default for Settings {
    fn default() -> Self {
        let default = |key: &Key| key.kind.parse(key.default).unwrap_or(Value::Null);
        Self {
            values: KEYS.iter().map(|key| (key.path, default(key))).collect(),
            given: BTreeMap::new(),
        }
    }
}

impl Settings {
    /// The value of a setting; null only for a path that is no setting.
    #[must_use]
    pub fn get(&self, path: &str) -> &Value {
        self.values.get(path).unwrap_or(&Value::Null)
    }

    /// The text of a setting; empty for one that holds no text.
    #[must_use]
    pub fn text(&self, path: &str) -> &str {
        self.get(path).as_str().unwrap_or_default()
    }

    /// The number of a setting; 0 for one that holds no number.
    #[must_use]
    pub fn number(&self, path: &str) -> u64 {
        self.get(path).as_u64().unwrap_or_default()
    }

    /// Whether a setting is on.
    #[must_use]
    pub fn is_on(&self, path: &str) -> bool {
        self.get(path).as_bool().unwrap_or_default()
    }

    /// What was written for a setting, if anything was.
    #[must_use]
    pub fn written(&self, path: &str) -> Option<&str> {
        self.given.get(path).map(String::as_str)
    }

    /// The settings below a section, as nested JSON for the part of the program that reads them.
    #[must_use]
    pub fn section(&self, section: &str) -> Value {
        let mut object = serde_json::Map::new();
        for (path, value) in &self.values {
            if let Some(rest) = path
                .strip_prefix(section)
                .and_then(|rest| rest.strip_prefix('.'))
            {
                insert(&mut object, rest, value);
            }
        }
        Value::Object(object)
    }

    /// Puts one setting to a value; false, and no change, if the text does not fit it.
    pub fn set(&mut self, key: &'static Key, text: &str) -> bool {
        let Some(value) = key.kind.parse(text) else {
            return false;
        };
        self.values.insert(key.path, value);
        self.given.insert(key.path, text.to_owned());
        true
    }
}

fn insert(object: &mut serde_json::Map<String, Value>, path: &str, value: &Value) {
    let Some((section, rest)) = path.split_once('.') else {
        object.insert(path.to_owned(), value.clone());
        return;
    };
    let inner = object
        .entry(section)
        .or_insert_with(|| Value::Object(serde_json::Map::new()));
    if let Value::Object(inner) = inner {
        insert(inner, rest, value);
    }
}
