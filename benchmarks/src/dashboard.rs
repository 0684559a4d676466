//! The panels of a dashboard, all together, with everything kept from the refresh before and with
//! nothing kept.

use std::rc::Rc;

use tokio::runtime::Handle;

use crate::contender::{Cache, Spandrel};
use crate::dataset::Dataset;
use crate::error::BenchError;
use crate::record::{Run, Timing};
use crate::suite::{DASHBOARD, METRICS, Question, Window};

pub(crate) const SUITE: &str = "dashboard";

/// Measures `rounds` refreshes, each a step later than the one before.
pub(crate) fn run(
    run: &mut Run,
    dataset: &Rc<Dataset>,
    rounds: u32,
    threads: usize,
    runtime: &Handle,
) -> Result<(), BenchError> {
    eprintln!("dashboard");
    let spandrel = |cache| Spandrel::new(dataset, threads, cache, runtime.clone());
    let (mut plain, mut caching) = (spandrel(Cache::Off)?, spandrel(Cache::On)?);
    let panels: Vec<&Question> = METRICS
        .iter()
        .filter(|question| DASHBOARD.contains(&question.name))
        .collect();
    let case = format!("{} panels", panels.len());
    let mut fresh = Timing::new(SUITE, &case, "", "nothing kept", "");
    let mut refreshed = Timing::new(SUITE, &case, "", "refresh", "");
    for round in 0..=rounds {
        let window = |question: &&Question| {
            let window = Window::trailing(dataset, question.cut, rounds - round)?;
            Ok((question.text, window.grid))
        };
        let queries = panels.iter().map(window);
        let queries = queries.collect::<Result<Vec<_>, BenchError>>()?;
        let spent = (plain.ask_all(&queries)?, caching.ask_all(&queries)?);
        // The first opens the dashboard.
        if round > 0 {
            fresh.push(spent.0);
            refreshed.push(spent.1);
        }
    }
    run.timings.extend([fresh, refreshed]);
    Ok(())
}
