//! The engines that answer the suite, all with as many threads, all on the same files.

mod datafusion;
mod duckdb;
mod spandrel;

use crate::answer::Cells;
use crate::error::BenchError;
use crate::suite::Question;
use crate::usage::Spent;

pub(crate) use self::datafusion::DataFusion;
pub(crate) use self::duckdb::DuckDb;
pub(crate) use self::spandrel::Spandrel;

/// An engine.
pub(crate) trait Contender {
    /// Name and version.
    fn name(&self) -> String;

    /// The ways in which it can be asked; the fastest counts. What each is called says how it differs.
    fn forms(&self, question: &Question) -> Vec<&'static str>;

    /// Answers from the text of the query to the finished values, and says what that took. Making
    /// cells of the values does not count.
    fn answer(&mut self, question: &Question, form: usize) -> Result<(Spent, Cells), BenchError>;
}
