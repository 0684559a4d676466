//! Comparing what an engine answers with what the reference answers.

mod exemplars;
mod search;
mod series;
mod tolerance;

pub use self::exemplars::{RefExemplar, check_exemplars};
pub use self::search::{compare_search, same_attributes};
pub use self::series::{compare_series, show_labels};
pub use self::tolerance::Tolerance;
