//! Configuration: a YAML file, `--set key=value`, and defaults, in rising order of modesty.
//!
//! [`keys`] is the list of settings, [`foreign`] what becomes of Tempo's others, [`Settings`] the
//! values in force, and [`Config`] the same values as the parts of the program take them.

pub mod env;
pub mod foreign;
pub mod keys;
pub mod print;
mod settings;
pub mod tree;
pub mod typed;
pub mod value;

pub use settings::{Collector, ConfigError, Problem, Settings, Warning};
pub use typed::Config;
