//! The `spandrel` binary: command line, configuration, wiring, shutdown.
//!
//! This is the only crate that knows all others. It puts them together and talks to people; it
//! decides nothing about spans or queries. What holds:
//!
//! - exit status 0 is success, 1 a failure while running, 2 a mistake in what was asked for;
//! - answers go to standard output, everything else to standard error;
//! - secrets are never printed.
//!
//! From the ground up, each floor knows those below it only:
//!
//! - words: [`failure`], [`output`], and [`config`], how the program is set;
//! - [`times`] as people write them, and [`telemetry`], the process log;
//! - [`render`], how answers are drawn;
//! - access to spans: [`local`], the storage of a configuration, [`client`], a server's API, and
//!   [`load`], how files become blocks;
//! - whole processes: [`serve`], how the parts are put together, and [`demo`];
//! - [`cli`], what one can ask for.

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
