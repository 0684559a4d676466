//! Recorded traces that come with the program, and what one can do with them.

mod data;
mod folder;
mod grafana;

pub use data::{DATA_SETS, DataSet, load};
pub use folder::DemoFolder;
pub use grafana::provisioning;
