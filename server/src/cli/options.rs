//! Options that several commands share.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use traceql::Dialect;

use crate::config::{Collector, Config, Settings, Warning};
use crate::failure::Mistake;
use crate::output;
use crate::telemetry::{self, LogFormat};
use crate::times::{self, TimeRange};

/// Which TraceQL a query is in.
#[derive(Debug, Clone, Copy, Args)]
pub struct DialectOption {
    /// Whose rules decide
    #[arg(long = "dialect", value_enum, default_value_t = DialectName::Spandrel)]
    name: DialectName,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum DialectName {
    /// Tempo's, and what Spandrel adds to them
    Spandrel,
    /// Tempo's, with all of its refusals
    Tempo,
}

impl DialectOption {
    /// The dialect that was asked for.
    #[must_use]
    pub const fn dialect(self) -> Dialect {
        match self.name {
            DialectName::Spandrel => Dialect::Spandrel,
            DialectName::Tempo => Dialect::Tempo,
        }
    }
}

/// Which version of what is stored.
#[derive(Debug, Clone, Copy, Default, Args)]
pub struct AsOf {
    /// Read what the catalog named at this version instead of now (needs --data-dir or --config)
    #[arg(long, value_name = "VERSION")]
    catalog_version: Option<u64>,
}

impl AsOf {
    /// The version, if not the newest.
    #[must_use]
    pub const fn version(self) -> Option<u64> {
        self.catalog_version
    }

    /// Refuses a version where a server is asked.
    ///
    /// # Errors
    /// If there is one.
    pub fn refuse(self) -> anyhow::Result<()> {
        match self.catalog_version {
            Some(_) => Err(Mistake::new(
                "--catalog-version reads a storage, not a server: name it with --data-dir or --config",
            )),
            None => Ok(()),
        }
    }
}

/// Where settings come from.
#[derive(Debug, Clone, Default, Args)]
pub struct ConfigOptions {
    /// Folder of the data
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// YAML file with settings
    #[arg(long, value_name = "FILE", env = "SPANDREL_CONFIG")]
    pub config: Option<PathBuf>,
    /// One setting, for example server.http_listen_port=3201; can be given often
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub sets: Vec<String>,
}

impl ConfigOptions {
    /// Whether any of these options was given.
    #[must_use]
    pub fn is_given(&self) -> bool {
        self.data_dir.is_some() || self.config.is_some() || !self.sets.is_empty()
    }

    /// The settings, and what was ignored.
    ///
    /// # Errors
    /// All mistakes in the file and the options at once.
    pub fn settings(&self) -> anyhow::Result<(Settings, Vec<Warning>)> {
        let mut collector = Collector::default();
        if let Some(path) = &self.config {
            let text = std::fs::read_to_string(path).map_err(|error| {
                Mistake::new(format!(
                    "cannot read the configuration {}: {error}",
                    path.display()
                ))
            })?;
            collector.file(&path.display().to_string(), &text);
        }
        self.sets.iter().for_each(|set| collector.assignment(set));
        if let Some(dir) = &self.data_dir {
            let text = dir
                .to_str()
                .context("the data folder's name is not UTF-8")?;
            collector.option("--data-dir", "data_dir", text);
        }
        collector
            .finish()
            .map_err(|error| Mistake::new(error.to_string()))
    }

    /// The settings as the parts of the program take them; logging is started.
    ///
    /// # Errors
    /// All mistakes at once, or settings that do not fit together.
    pub fn load(&self, logging: Logging) -> anyhow::Result<Config> {
        let (settings, warnings) = self.settings()?;
        let config =
            Config::try_from(&settings).map_err(|error| Mistake::new(error.to_string()))?;
        match logging {
            Logging::AsConfigured => {
                let format = if settings.text("server.log_format") == "json" {
                    LogFormat::Json
                } else {
                    LogFormat::Logfmt
                };
                telemetry::start(settings.text("server.log_level"), format);
                warnings
                    .iter()
                    .for_each(|warning| tracing::warn!("{warning}"));
            }
            Logging::OnlyProblems => {
                telemetry::start("warn", LogFormat::Logfmt);
                warnings
                    .iter()
                    .for_each(|warning| output::note(&format!("warning: {warning}")));
            }
        }
        Ok(config)
    }
}

/// How much a command logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Logging {
    /// A server: what the configuration says.
    AsConfigured,
    /// A command for people: warnings and errors.
    OnlyProblems,
}

/// Which time a query is about.
#[derive(Debug, Clone, Default, Args)]
pub struct TimeOptions {
    /// Start: RFC 3339, seconds since 1970, or relative to now (now-1h, -1h)
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub from: Option<String>,
    /// End; default: now, on a data folder the newest span
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub to: Option<String>,
    /// How long before the end to start, instead of --from
    #[arg(long, value_name = "DURATION", conflicts_with = "from")]
    pub since: Option<String>,
    /// Time between samples; default: about 60 samples
    #[arg(long, value_name = "DURATION")]
    pub step: Option<String>,
    /// One value over the whole range instead of one per step
    #[arg(long, conflicts_with = "step")]
    pub instant: bool,
}

impl TimeOptions {
    /// The range asked for; `default_range` is that of the data where it is known.
    ///
    /// # Errors
    /// A text that is no time or duration, or an end before the start.
    pub fn resolve(
        &self,
        now_ns: i64,
        default_range: Option<(i64, i64)>,
    ) -> anyhow::Result<TimeRange> {
        let time = |option: &str, text: &str| {
            times::parse(text, now_ns).map_err(|error| Mistake::new(format!("--{option}: {error}")))
        };
        let end = match (&self.to, default_range) {
            (Some(text), _) => time("to", text)?,
            (None, Some((_, end))) => end,
            (None, None) => now_ns,
        };
        let start = match (&self.from, &self.since, default_range) {
            (Some(text), _, _) => time("from", text)?,
            (None, Some(text), _) => end.saturating_sub(duration("since", text)?),
            (None, None, Some((start, _))) => start.min(end),
            (None, None, None) => end.saturating_sub(3600 * times::SECOND_NS),
        };
        if end < start {
            let (start, end) = (times::format(start), times::format(end));
            return Err(Mistake::new(format!(
                "the range ends before it starts: from {start} to {end}"
            )));
        }
        let step = match &self.step {
            Some(text) => duration("step", text)?,
            None => times::round_step_ns(end - start, 60),
        };
        if step <= 0 {
            return Err(Mistake::new("--step must be more than zero"));
        }
        Ok(TimeRange {
            start_ns: start,
            end_ns: end,
            step_ns: step,
        })
    }
}

fn duration(option: &str, text: &str) -> anyhow::Result<i64> {
    let parsed = crate::config::value::parse_duration(text).map(times::duration_ns);
    parsed.ok_or_else(|| {
        Mistake::new(format!(
            "--{option}: not a duration such as 15s, 5m or 1h30m: `{text}`"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::times::SECOND_NS;

    const NOW: i64 = 1_734_093_420 * SECOND_NS;

    fn options(
        from: Option<&str>,
        to: Option<&str>,
        since: Option<&str>,
        step: Option<&str>,
    ) -> TimeOptions {
        let own = |text: Option<&str>| text.map(str::to_owned);
        TimeOptions {
            from: own(from),
            to: own(to),
            since: own(since),
            step: own(step),
            instant: false,
        }
    }

    #[test]
    fn ranges_have_sensible_defaults() {
        let range = options(None, None, None, None)
            .resolve(NOW, None)
            .expect("valid");
        assert_eq!(
            range,
            TimeRange {
                start_ns: NOW - 3600 * SECOND_NS,
                end_ns: NOW,
                step_ns: 60 * SECOND_NS
            }
        );
        let range = options(None, None, None, None)
            .resolve(NOW, Some((5, 9)))
            .expect("valid");
        assert_eq!((range.start_ns, range.end_ns), (5, 9));
        let range = options(None, None, Some("2h"), Some("5m"))
            .resolve(NOW, None)
            .expect("valid");
        assert_eq!(
            range,
            TimeRange {
                start_ns: NOW - 7200 * SECOND_NS,
                end_ns: NOW,
                step_ns: 300 * SECOND_NS
            }
        );
    }

    #[test]
    fn mistakes_are_told() {
        let message = |options: TimeOptions| {
            options
                .resolve(NOW, None)
                .expect_err("a mistake")
                .to_string()
        };
        assert!(
            message(options(Some("now"), Some("-1h"), None, None))
                .contains("ends before it starts")
        );
        assert!(
            message(options(Some("tomorrow"), None, None, None))
                .starts_with("--from: not a time: `tomorrow`")
        );
        assert!(
            message(options(None, None, None, Some("fast"))).starts_with("--step: not a duration")
        );
        assert_eq!(
            message(options(None, None, None, Some("0s"))),
            "--step must be more than zero"
        );
    }
}
