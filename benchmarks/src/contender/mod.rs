//! The engines that answer the suites, all with as many threads, all on the same spans.

mod datafusion;
mod driver;
mod mergetree;
mod over_http;
mod process;
mod spandrel;

use crate::answer::Cells;
use crate::error::BenchError;
use crate::suite::{Question, Window};
use crate::usage::Spent;

pub(crate) use self::datafusion::DataFusion;
pub(crate) use self::over_http::{Exemplars, OverHttp};
pub(crate) use self::process::SqlProcess;
pub(crate) use self::spandrel::{Cache, Spandrel};

/// An engine.
pub(crate) trait Contender {
    /// Name and version.
    fn name(&self) -> String;

    /// The ways in which it can be asked; the fastest counts. None: it cannot be asked this.
    fn forms(&self, question: &Question, window: &Window) -> Vec<&'static str>;

    /// Answers from the text of the query to the finished values, and says what that took. Making
    /// cells of the values does not count.
    fn answer(
        &mut self,
        question: &Question,
        window: &Window,
        form: usize,
    ) -> Result<(Spent, Cells), BenchError>;

    /// Forgets what it has cached of files and answers, as if it had just started.
    fn forget(&mut self) -> Result<(), BenchError>;
}
