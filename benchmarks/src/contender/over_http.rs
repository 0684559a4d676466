//! Spandrel behind the Tempo API, asked over HTTP.

use super::Contender;
use super::spandrel::{Spandrel, cells};
use crate::answer::Cells;
use crate::api::Server;
use crate::error::BenchError;
use crate::suite::{Question, Window};
use crate::usage::Spent;

/// Whether answers have exemplars.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exemplars {
    /// As many as there may be: nothing is said about them, as Grafana says nothing.
    Unsaid,
    /// None: a hint of the query says so.
    Off,
}

/// Spandrel with its Tempo API, and how it is asked.
pub(crate) struct OverHttp {
    spandrel: Spandrel,
    server: Server,
    exemplars: Exemplars,
}

impl OverHttp {
    pub(crate) fn start(spandrel: Spandrel, exemplars: Exemplars) -> Result<Self, BenchError> {
        Ok(Self {
            server: spandrel.serve()?,
            spandrel,
            exemplars,
        })
    }
}

impl Contender for OverHttp {
    fn name(&self) -> String {
        match self.exemplars {
            Exemplars::Unsaid => "as Grafana asks",
            Exemplars::Off => "bare",
        }
        .to_owned()
    }

    fn forms(&self, _: &Question, _: &Window) -> Vec<&'static str> {
        vec!["TraceQL"]
    }

    /// An answer that lacks exemplars where it should have them, or has them where it should not, is an
    /// error: it would be fast for the wrong reason.
    fn answer(
        &mut self,
        question: &Question,
        window: &Window,
        _form: usize,
    ) -> Result<(Spent, Cells), BenchError> {
        let (spent, answer) = match self.exemplars {
            Exemplars::Unsaid => self.server.ask(question.text, window.grid)?,
            Exemplars::Off => {
                let bare = without_exemplars(question.text);
                self.server.ask(&bare, window.grid)?
            }
        };
        let shown = answer.exemplars();
        let wrong = match self.exemplars {
            Exemplars::Unsaid => {
                shown == 0 && !answer.series.is_empty() && question.is_plain_aggregate()
            }
            Exemplars::Off => shown > 0,
        };
        if wrong {
            return Err(BenchError::Mismatch {
                query: question.text.to_owned(),
                difference: format!("{} has {shown} exemplars", self.name()),
            });
        }
        Ok((
            spent,
            cells(&answer.into_set(window.grid), question, window),
        ))
    }

    fn forget(&mut self) -> Result<(), BenchError> {
        self.spandrel.forget()?;
        self.server = self.spandrel.serve()?;
        Ok(())
    }
}

/// The query with the hint that there shall be no exemplars.
fn without_exemplars(traceql: &str) -> String {
    match traceql.split_once("with(") {
        Some((before, hints)) => format!("{before}with(exemplars=false, {hints}"),
        None => format!("{traceql} with(exemplars=false)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::{Values, difference};
    use crate::counters::small;
    use crate::dataset::runtime;
    use crate::suite::METRICS;

    #[test]
    fn every_query_takes_the_hint() {
        for question in METRICS {
            let bare = without_exemplars(question.text);
            let dialect = traceql::Dialect::default();
            let query = traceql::compile_with(&bare, &dialect.into()).unwrap();
            let plan = engine::SeriesPlan::analyse(&query).unwrap();
            if let Some(plan) = plan.exemplified() {
                assert_eq!(plan.exemplars, Some(0), "{bare}");
            }
            assert!(plan.exemplified().is_some() || !question.is_plain_aggregate());
        }
    }

    #[test]
    fn answers_over_http_are_those_of_the_engine() {
        let runtime = runtime().unwrap();
        let (mut direct, grid) = small(&runtime).unwrap();
        let window = Window {
            grid,
            bounds_s: None,
        };
        for exemplars in [Exemplars::Unsaid, Exemplars::Off] {
            let mut over_http = OverHttp::start(small(&runtime).unwrap().0, exemplars).unwrap();
            for question in METRICS {
                let (_, expected) = direct.answer(question, &window, 0).unwrap();
                let (_, found) = over_http.answer(question, &window, 0).unwrap();
                let difference = difference(&expected, &found, Values::Same);
                assert_eq!(difference, None, "{}", question.text);
            }
        }
    }
}
