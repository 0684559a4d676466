//! Configuration: a YAML file, `--set key=value`, and defaults, in rising order of modesty.
//!
//! [`keys`] is the list of settings, [`foreign`] what becomes of Tempo's others. [`Collector`] puts
//! together what was given, [`Settings`] are the values in force, and [`Config`] the same values as
//! the parts of the program take them.

mod collector;
pub mod env;
pub mod foreign;
pub mod keys;
mod maintenance;
mod misfit;
pub mod print;
mod problem;
mod server;
mod settings;
mod storage;
mod suggest;
pub mod tree;
mod typed;
pub mod value;

pub use collector::Collector;
pub use maintenance::MaintenanceConfig;
pub use misfit::MisfitError;
pub use problem::{ConfigError, Problem, Warning};
pub use server::ServerConfig;
pub use settings::Settings;
pub use storage::StorageConfig;
pub use typed::Config;
