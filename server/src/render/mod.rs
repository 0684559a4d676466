//! Answers as tables, CSV, JSON, charts and trees.

mod csv;
mod drawing;
mod json;
pub mod number;
mod plot;
mod table;
mod trace;

pub use self::csv::csv;
pub use self::drawing::{Drawing, Line, Summary};
pub use self::json::json;
pub use self::plot::{MAX_DRAWN, plot};
pub use self::table::table;
pub use self::trace::trace;
