//! The `spandrel` binary: command line, configuration, wiring, shutdown.
//!
//! This is the only crate that knows all others. It puts them together and talks to people; it
//! decides nothing about spans or queries. What holds:
//!
//! - exit status 0 is success, 1 a failure while running, 2 a mistake in what was asked for;
//! - answers go to standard output, everything else to standard error;
//! - secrets are never printed.
//!
//! Reading order: [`cli`] is what one can ask for, [`config`] how it is set, [`serve`] how the parts
//! are put together, [`load`] how files become blocks, [`render`] how answers are drawn.

pub mod cli;
pub mod client;
pub mod config;
pub mod demo;
pub mod failure;
pub mod load;
pub mod local;
pub mod output;
pub mod render;
pub mod serve;
pub mod telemetry;
pub mod times;
