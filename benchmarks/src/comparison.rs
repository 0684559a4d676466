//! Two runs side by side.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;

use crate::error::BenchError;
use crate::markdown::Markdown;
use crate::record::{Run, Timing};

#[derive(Debug, Args)]
pub(crate) struct CompareOptions {
    /// Measurements of the run before: a .json that `run` wrote
    before: PathBuf,
    /// Measurements of the run after
    after: PathBuf,
    /// Of every engine, not only of Spandrel
    #[arg(long)]
    all: bool,
}

pub(crate) fn run(options: &CompareOptions) -> Result<(), BenchError> {
    let (before, after) = (Run::read(&options.before)?, Run::read(&options.after)?);
    println!("{}", compare(&before, &after, options.all).text());
    Ok(())
}

type Key<'a> = (&'a str, &'a str, &'a str);

fn timings(run: &Run) -> BTreeMap<Key<'_>, &Timing> {
    run.timings
        .iter()
        .map(|timing| {
            let key = (
                timing.suite.as_str(),
                timing.case.as_str(),
                timing.engine.as_str(),
            );
            (key, timing)
        })
        .collect()
}

/// Medians before and after, and how many times as long the second took.
fn compare(before: &Run, after: &Run, all: bool) -> Markdown {
    let mut text = Markdown::new(&format!(
        "{} against {}",
        after.machine.commit, before.machine.commit
    ));
    if before.settings.spans != after.settings.spans {
        text.paragraph(&format!(
            "**The runs are of different data**: {} spans before, {} after.",
            before.settings.spans, after.settings.spans
        ));
    }
    let old = timings(before);
    let rivals: Vec<&str> = after.engines.iter().skip(1).map(String::as_str).collect();
    let mut rows = Vec::new();
    let (mut walls, mut cpus) = (Vec::new(), Vec::new());
    for (key @ (suite, case, engine), new) in timings(after) {
        if !all && rivals.contains(&engine) {
            continue;
        }
        let Some(old) = old.get(&key) else { continue };
        let (wall, cpu) = (
            new.wall().median / old.wall().median,
            new.cpu().median / old.cpu().median,
        );
        walls.push(wall);
        cpus.push(cpu);
        rows.push(vec![
            format!("{suite}: {case} ({engine})"),
            format!("{:.1}", old.wall().median),
            format!("{:.1}", new.wall().median),
            format!("{wall:.2}"),
            format!("{:.1}", old.cpu().median),
            format!("{:.1}", new.cpu().median),
            format!("{cpu:.2}"),
        ]);
    }
    text.paragraph(&format!(
        "Medians. Geometric means of {} ratios after / before: wall {:.2}, CPU {:.2}.",
        rows.len(),
        geometric_mean(&walls),
        geometric_mean(&cpus),
    ));
    let head = [
        "",
        "wall before, ms",
        "after",
        "ratio",
        "CPU before, ms",
        "after",
        "ratio",
    ];
    text.table(&head, &rows);
    let mut rows = Vec::new();
    for new in &after.figures {
        let same = |old: &&crate::record::Figure| {
            (&old.suite, &old.case, &old.name) == (&new.suite, &new.case, &new.name)
        };
        if let Some(old) = before.figures.iter().find(same) {
            rows.push(vec![
                format!("{}: {}: {}", new.suite, new.case, new.name),
                format!("{:.2}", old.value),
                format!("{:.2}", new.value),
                format!("{:.2}", new.value / old.value),
            ]);
        }
    }
    text.table(&["", "before", "after", "ratio"], &rows);
    text
}

/// The mean of ratios; of what is not a ratio there is none.
pub(crate) fn geometric_mean(ratios: &[f64]) -> f64 {
    let logs: Vec<f64> = ratios
        .iter()
        .filter(|ratio| ratio.is_finite() && **ratio > 0.0)
        .map(|ratio| ratio.ln())
        .collect();
    (logs.iter().sum::<f64>() / crate::record::float(logs.len() as u64)).exp()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Settings;

    #[test]
    fn ratios_average_in_logarithms() {
        assert!((geometric_mean(&[0.5, 2.0, f64::NAN]) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn what_both_have_is_compared() {
        let run = |wall: f64| {
            let mut run = Run::start(Settings::default());
            let mut timing = Timing::new("metrics warm", "count", "", "Spandrel", "");
            timing.wall_ms = vec![wall];
            timing.cpu_ms = vec![wall];
            run.timings.push(timing);
            run
        };
        let text = compare(&run(10.0), &run(5.0), false).text().to_owned();
        assert!(text.contains("| 10.0 | 5.0 | 0.50 |"), "{text}");
    }
}
