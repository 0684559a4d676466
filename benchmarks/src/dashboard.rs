//! The panels of dashboards, all together, with everything kept from the refresh before and with
//! nothing kept: in this process, and over HTTP as Grafana asks.

use std::rc::Rc;
use std::time::Duration;

use engine::Grid;
use tokio::runtime::Handle;

use crate::api::{Api, Server};
use crate::contender::{Cache, Spandrel};
use crate::dataset::Dataset;
use crate::error::BenchError;
use crate::record::{Run, Spread, Timing, millis};
use crate::suite::{DASHBOARD, METRICS, Question, Window};
use crate::usage::Spent;

pub(crate) const SUITE: &str = "dashboard";

/// Dashboards that are open at once, and the panels of each.
const DASHBOARDS: usize = 8;
const PANELS: usize = 6;

/// Measures `rounds` refreshes, each a step later than the one before.
pub(crate) fn run(
    run: &mut Run,
    dataset: &Rc<Dataset>,
    rounds: u32,
    threads: usize,
    runtime: &Handle,
) -> Result<(), BenchError> {
    let panels: Vec<&Question> = METRICS
        .iter()
        .filter(|question| DASHBOARD.contains(&question.name))
        .collect();
    // Each shows others of the panels.
    let dashboards = (0..DASHBOARDS).flat_map(|first| {
        let from_first = panels.iter().cycle().skip(first);
        from_first.take(PANELS).copied()
    });
    let dashboards: Vec<&Question> = dashboards.collect();
    for api in [None, Some(Api::Tempo), Some(Api::Prometheus)] {
        let open = |cache| {
            let spandrel = Spandrel::new(dataset, threads, cache, runtime.clone())?;
            Ok::<_, BenchError>(match api {
                None => Asked::Directly(spandrel),
                Some(api) => Asked::OverHttp(api, spandrel.serve()?),
            })
        };
        let mut asked = [
            ("nothing kept", open(Cache::Off)?),
            ("refresh", open(Cache::On)?),
        ];
        let mut measure = |case: &str, panels: &[&Question]| {
            let case = match api {
                None => case.to_owned(),
                Some(api) => format!("{case}, {} over HTTP", api.name()),
            };
            eprintln!("{SUITE}: {case}");
            refresh(run, dataset, rounds, &case, panels, &mut asked)
        };
        measure(&format!("{} panels", panels.len()), &panels)?;
        if api.is_some() {
            let case = format!("{DASHBOARDS} dashboards of {PANELS} panels");
            measure(&case, &dashboards)?;
        }
    }
    Ok(())
}

/// Who answers.
enum Asked {
    Directly(Spandrel),
    OverHttp(Api, Server),
}

impl Asked {
    /// Asks everything at once: what that took, and how long each request over HTTP waited.
    fn all(&mut self, queries: &[(&str, Grid)]) -> Result<(Spent, Vec<Duration>), BenchError> {
        match self {
            Self::Directly(spandrel) => Ok((spandrel.ask_all(queries)?, Vec::new())),
            Self::OverHttp(api, server) => server.ask_all(*api, queries),
        }
    }
}

/// Refreshes panels, all at once, and everyone who is asked in turns.
fn refresh(
    run: &mut Run,
    dataset: &Dataset,
    rounds: u32,
    case: &str,
    panels: &[&Question],
    asked: &mut [(&str, Asked)],
) -> Result<(), BenchError> {
    let names = asked.iter().map(|(name, _)| *name);
    let mut measured: Vec<(Timing, Vec<f64>)> = names
        .map(|name| (Timing::new(SUITE, case, "", name, ""), Vec::new()))
        .collect();
    for round in 0..=rounds {
        let window = |question: &&Question| {
            let window = Window::trailing(dataset, question.cut, rounds - round)?;
            Ok((question.text, window.grid))
        };
        let queries = panels.iter().map(window);
        let queries = queries.collect::<Result<Vec<_>, BenchError>>()?;
        for ((_, asked), (timing, waits)) in asked.iter_mut().zip(&mut measured) {
            let (spent, waited) = asked.all(&queries)?;
            // The first opens the dashboard.
            if round > 0 {
                timing.push(spent);
                waits.extend(waited.into_iter().map(millis));
            }
        }
    }
    for (timing, waits) in measured {
        if !waits.is_empty() {
            let name = format!("p50 of the requests, {}, ms", timing.engine);
            run.figure(SUITE, case, &name, Spread::of(&waits).median);
        }
        run.timings.push(timing);
    }
    Ok(())
}
