//! The values in force, and what was wrong or useless in what was asked for.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use super::env;
use super::foreign::{self, Verdict};
use super::keys::{self, KEYS, Key};
use super::tree::{self, LeafValue};

/// A value for every setting.
#[derive(Debug, Clone)]
pub struct Settings {
    values: BTreeMap<&'static str, Value>,
    given: BTreeMap<&'static str, String>,
}

/// Something that was asked for and has no effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// Where it stands.
    pub origin: String,
    /// The path.
    pub path: String,
    /// Why it has no effect.
    pub reason: String,
}

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where it stands.
    pub origin: String,
    /// What is wrong, and what to do about it.
    pub message: String,
}

/// A configuration that cannot be used, with all its mistakes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    /// The mistakes, in the order met.
    pub problems: Vec<Problem>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.problems.len() == 1 { "" } else { "s" };
        write!(
            f,
            "the configuration has {} mistake{plural}",
            self.problems.len()
        )?;
        for problem in &self.problems {
            write!(f, "\n  {}: {}", problem.origin, problem.message)?;
        }
        Ok(())
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: `{}` is ignored: {}",
            self.origin, self.path, self.reason
        )
    }
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

    /// Puts one setting to a value, as `--data-dir` does.
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

/// Puts settings together from their sources, collecting mistakes instead of stopping at the first.
#[derive(Debug, Default)]
pub struct Collector {
    settings: Settings,
    warnings: Vec<Warning>,
    problems: Vec<Problem>,
}

impl Collector {
    /// Applies a YAML document; `name` is how messages call it.
    pub fn file(&mut self, name: &str, text: &str) {
        let leaves = match tree::leaves(text) {
            Ok(leaves) => leaves,
            Err(error) => return self.problem(name.to_owned(), format!("not valid YAML: {error}")),
        };
        for leaf in leaves {
            let origin = leaf
                .line
                .map_or_else(|| name.to_owned(), |line| format!("{name}:{line}"));
            self.apply(origin, &leaf.path, &leaf.value);
        }
    }

    /// Applies one `key=value`.
    pub fn assignment(&mut self, text: &str) {
        let origin = format!("--set {text}");
        match text.split_once('=') {
            Some((path, value)) => {
                self.apply(origin, path.trim(), &LeafValue::Scalar(value.to_owned()))
            }
            None => self.problem(
                origin,
                "write it as key=value, for example server.http_listen_port=3201".to_owned(),
            ),
        }
    }

    /// Applies one setting that has an option of its own.
    pub fn option(&mut self, option: &str, path: &str, value: &str) {
        self.apply(
            option.to_owned(),
            path,
            &LeafValue::Scalar(value.to_owned()),
        );
    }

    /// The settings, or everything that is wrong with them; and what is only ignored.
    ///
    /// # Errors
    /// All mistakes at once.
    pub fn finish(self) -> Result<(Settings, Vec<Warning>), ConfigError> {
        if self.problems.is_empty() {
            Ok((self.settings, self.warnings))
        } else {
            Err(ConfigError {
                problems: self.problems,
            })
        }
    }

    fn problem(&mut self, origin: String, message: String) {
        self.problems.push(Problem { origin, message });
    }

    fn apply(&mut self, origin: String, path: &str, value: &LeafValue) {
        if let Some(key) = keys::find(path) {
            self.apply_known(origin, key, value);
        } else if keys::is_section(path) {
            if *value != LeafValue::Empty {
                self.problem(
                    origin,
                    format!("`{path}` is a section; give one of the settings below it"),
                );
            }
        } else if let Some(verdict) =
            foreign::verdict(path).filter(|_| near_sibling(path).is_none())
        {
            match verdict {
                Verdict::Meaningless(reason) | Verdict::Later(reason) => {
                    self.warnings.push(Warning {
                        origin,
                        path: path.to_owned(),
                        reason: reason.to_owned(),
                    });
                }
                Verdict::Refused(reason) => {
                    self.problem(origin, format!("`{path}` cannot be used: {reason}"))
                }
            }
        } else {
            let hint = suggest(path).map_or_else(
                || "; `spandrel config defaults` lists all settings".to_owned(),
                |near| format!(", did you mean `{near}`?"),
            );
            self.problem(origin, format!("unknown setting `{path}`{hint}"));
        }
    }

    fn apply_known(&mut self, origin: String, key: &'static Key, value: &LeafValue) {
        let text = match value {
            LeafValue::Scalar(text) => text,
            // `key:` without a value asks for the default.
            LeafValue::Empty => return,
            LeafValue::List => {
                return self.problem(
                    origin,
                    format!("`{}` takes {}, not a list", key.path, key.kind.expected()),
                );
            }
        };
        match env::expand(text, |name| std::env::var(name).ok()) {
            Ok(expanded) if self.settings.set(key, &expanded) => {}
            Ok(expanded) => {
                let shown = if key.kind == super::value::Kind::Secret {
                    "***"
                } else {
                    expanded.as_str()
                };
                self.problem(
                    origin,
                    format!(
                        "`{}` takes {}, not `{shown}`",
                        key.path,
                        key.kind.expected()
                    ),
                );
            }
            Err(error) => self.problem(origin, format!("`{}`: {error}", key.path)),
        }
    }
}

/// The setting or section whose path is most like this one, if any is like it at all.
fn suggest(path: &str) -> Option<&'static str> {
    let last = |path: &'static str| path.rsplit('.').next().unwrap_or(path);
    let by_distance = KEYS
        .iter()
        .map(|key| (strsim::osa_distance(path, key.path), key.path))
        .min();
    let near = by_distance
        .filter(|(distance, path)| *distance <= 3.max(path.len() / 6))
        .map(|(_, path)| path);
    // The right name in the wrong section.
    near.or_else(|| {
        KEYS.iter()
            .map(|key| key.path)
            .find(|own| Some(last(own)) == path.rsplit('.').next())
    })
}

/// A setting of ours in the same section whose name differs by a slip of the hand.
fn near_sibling(path: &str) -> Option<&'static str> {
    let (section, name) = path.rsplit_once('.')?;
    KEYS.iter().map(|key| key.path).find(|own| {
        own.rsplit_once('.').is_some_and(|(own_section, own_name)| {
            own_section == section && name.len() > 3 && strsim::osa_distance(name, own_name) <= 2
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collect(file: &str, sets: &[&str]) -> Result<(Settings, Vec<Warning>), ConfigError> {
        let mut collector = Collector::default();
        collector.file("test.yaml", file);
        sets.iter().for_each(|set| collector.assignment(set));
        collector.finish()
    }

    fn messages(file: &str, sets: &[&str]) -> Vec<String> {
        let error = collect(file, sets).expect_err("must not be accepted");
        error
            .problems
            .iter()
            .map(|problem| format!("{}: {}", problem.origin, problem.message))
            .collect()
    }

    #[test]
    fn assignments_win_over_the_file_and_the_file_over_defaults() {
        let (settings, warnings) = collect(
            "server:\n  http_listen_port: 3201\n  log_level: warn\n",
            &["server.http_listen_port=3202"],
        )
        .expect("valid configuration");
        assert_eq!(settings.number("server.http_listen_port"), 3202);
        assert_eq!(settings.text("server.log_level"), "warn");
        assert_eq!(settings.text("storage.trace.backend"), "local");
        assert_eq!(warnings, []);
    }

    #[test]
    fn unknown_settings_get_a_suggestion_and_a_place() {
        assert_eq!(
            messages(
                "server:\n  http_listen_prt: 3201\n",
                &["server.log_levle=info", "nothing.like.it=1"]
            ),
            [
                "test.yaml:2: unknown setting `server.http_listen_prt`, did you mean `server.http_listen_port`?",
                "--set server.log_levle=info: unknown setting `server.log_levle`, did you mean `server.log_level`?",
                "--set nothing.like.it=1: unknown setting `nothing.like.it`; `spandrel config defaults` lists all settings",
            ]
        );
    }

    #[test]
    fn a_slip_in_a_section_with_ignored_settings_is_a_slip() {
        assert_eq!(
            messages("storage:\n  trace:\n    s3:\n      bukcet: spans\n", &[]),
            [
                "test.yaml:4: unknown setting `storage.trace.s3.bukcet`, did you mean `storage.trace.s3.bucket`?"
            ]
        );
    }

    #[test]
    fn values_that_do_not_fit_are_named_without_secrets() {
        assert_eq!(
            messages(
                "server:\n  http_listen_port: many\n",
                &[
                    "server=1",
                    "storage.trace.s3.secret_key=${SPANDREL_UNSET_VARIABLE}"
                ]
            ),
            [
                "test.yaml:2: `server.http_listen_port` takes a whole number, not `many`",
                "--set server=1: `server` is a section; give one of the settings below it",
                "--set storage.trace.s3.secret_key=${SPANDREL_UNSET_VARIABLE}: `storage.trace.s3.secret_key`: environment variable \
                 SPANDREL_UNSET_VARIABLE is not set; write ${SPANDREL_UNSET_VARIABLE:default} to give a default",
            ]
        );
    }

    #[test]
    fn settings_of_tempo_are_ignored_aloud_or_refused() {
        let (_, warnings) = collect("memberlist:\n  join_members: [a]\ntarget: all\n", &[])
            .expect("valid configuration");
        let shown: Vec<_> = warnings.iter().map(ToString::to_string).collect();
        assert_eq!(
            shown,
            [
                "test.yaml:2: `memberlist.join_members` is ignored: one process plays all roles, so nothing has to find or feed other processes",
                "test.yaml:3: `target` is ignored: there is one target, `all`",
            ]
        );
        assert!(
            messages("ingester:\n  max_block_duration: 5m\n", &[])[0]
                .contains("gone since Tempo 3")
        );
        assert!(
            messages("server:\n  http_tls_config:\n    cert_file: a\n", &[])[0]
                .contains("TLS is not there yet")
        );
    }

    #[test]
    fn broken_yaml_says_where() {
        assert!(messages("server: [\n", &[])[0].contains("not valid YAML"));
    }

    #[test]
    fn every_own_setting_is_its_own() {
        for key in KEYS {
            if let Some(Verdict::Refused(reason)) = foreign::verdict(key.path) {
                assert_eq!(reason, "", "{} is refused too", key.path);
            }
        }
    }
}
