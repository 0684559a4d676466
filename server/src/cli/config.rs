//! `spandrel config`: is a configuration right, and what could it say?

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;

use super::options::ConfigOptions;
use crate::config::{Config, print};
use crate::failure::Mistake;
use crate::output;

#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Check settings and print the values in force
    #[command(
        after_help = "Examples:\n  spandrel config check spandrel.yaml\n  spandrel config check tempo.yaml --set storage.trace.backend=local"
    )]
    Check {
        /// YAML file with settings
        file: Option<PathBuf>,
        /// One setting, for example server.http_listen_port=3201; can be given often
        #[arg(long = "set", value_name = "KEY=VALUE")]
        sets: Vec<String>,
        /// Say nothing if all is well
        #[arg(long)]
        quiet: bool,
    },
    /// Print all settings with their defaults and what they mean
    #[command(
        after_help = "Examples:\n  spandrel config defaults > spandrel.yaml\n  spandrel config defaults --markdown"
    )]
    Defaults {
        /// As a Markdown table
        #[arg(long)]
        markdown: bool,
    },
}

pub(super) fn run(command: &ConfigCommand) -> anyhow::Result<ExitCode> {
    match command {
        ConfigCommand::Defaults { markdown: false } => output::write(&print::defaults())?,
        ConfigCommand::Defaults { markdown: true } => output::write(&print::markdown())?,
        ConfigCommand::Check { file, sets, quiet } => {
            let options = ConfigOptions {
                data_dir: None,
                config: file.clone(),
                sets: sets.clone(),
            };
            let (settings, warnings) = options.settings()?;
            Config::try_from(&settings).map_err(|error| Mistake::new(error.to_string()))?;
            warnings
                .iter()
                .for_each(|warning| output::note(&format!("warning: {warning}")));
            if !quiet {
                output::write(&print::effective(&settings))?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}
