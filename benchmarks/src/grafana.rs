//! The queries of the suite `metrics` as Grafana's Tempo data source asks them, which gets it exemplars, beside
//! the same without.

use std::rc::Rc;

use tokio::runtime::Handle;

use crate::contender::{Cache, Exemplars, OverHttp, Spandrel};
use crate::dataset::Dataset;
use crate::error::BenchError;
use crate::record::Run;
use crate::rounds::{Effort, Mode, race};
use crate::suite::{METRICS, Question};

pub(crate) const SUITE: &str = "grafana";

/// Answers of a hundred thousand series are longer than an API may answer.
const TOO_LONG: &str = "all users";

/// Measures both in turns: with nothing of answers kept, and refreshed.
pub(crate) fn run(
    run: &mut Run,
    dataset: &Rc<Dataset>,
    effort: Effort,
    threads: usize,
    runtime: &Handle,
    wanted: impl Fn(&Question) -> bool,
) -> Result<(), BenchError> {
    for (mode, cache) in [(Mode::Warm, Cache::Off), (Mode::Refresh, Cache::On)] {
        // One each: neither finds what the other keeps.
        let start = |exemplars| {
            let spandrel = Spandrel::new(dataset, threads, cache, runtime.clone())?;
            OverHttp::start(spandrel, exemplars)
        };
        let (mut bare, mut asked) = (start(Exemplars::Off)?, start(Exemplars::Unsaid)?);
        let questions = METRICS.iter().filter(|question| wanted(question));
        for question in questions.filter(|question| !question.name.ends_with(TOO_LONG)) {
            eprintln!("{SUITE} {}: {}", mode.name(), question.name);
            let outcome = race(
                SUITE,
                question,
                mode,
                effort,
                dataset,
                &mut [&mut bare, &mut asked],
                None,
            );
            let kept = outcome.map(|outcome| run.timings.extend(outcome.timings));
            run.keep_failure(SUITE, question.name, kept);
        }
    }
    Ok(())
}
