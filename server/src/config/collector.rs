//! From a file, options and defaults to settings.

use super::env;
use super::foreign::{self, Verdict};
use super::keys::{self, Key};
use super::problem::{ConfigError, Problem, Warning};
use super::settings::Settings;
use super::suggest::{near_sibling, suggest};
use super::tree::{self, LeafValue};
use super::value::Kind;

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
        let current = foreign::renamed(path);
        let path = current.as_deref().unwrap_or(path);
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
                let shown = if key.kind == Kind::Secret {
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

#[cfg(test)]
mod tests {
    use super::super::keys::KEYS;
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
