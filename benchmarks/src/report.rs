//! A run as a document.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::comparison::geometric_mean;
use crate::error::BenchError;
use crate::markdown::{Markdown, mib};
use crate::plot;
use crate::record::{Figure, Run, Spread, Timing, float};

#[derive(Debug, Args)]
pub(crate) struct ReportOptions {
    /// Measurements: a .json that `run` wrote
    run: PathBuf,
    /// Where to write the report, and with .svg the plot
    #[arg(long)]
    out: PathBuf,
}

pub(crate) fn run(options: &ReportOptions) -> Result<(), BenchError> {
    write(&Run::read(&options.run)?, &options.out)
}

/// Writes report and plot.
pub(crate) fn write(run: &Run, out: &Path) -> Result<(), BenchError> {
    let plot = out.with_extension("svg");
    let drawn = plot::draw(run)?;
    if let Some(svg) = &drawn {
        fs::write(&plot, svg).map_err(BenchError::file("write", &plot))?;
    }
    let picture = plot.file_name().filter(|_| drawn.is_some());
    let text = document(run, picture.and_then(|name| name.to_str()));
    fs::write(out, text.text().to_owned() + "\n").map_err(BenchError::file("write", out))
}

/// Suites in the order in which they were run.
fn suites(run: &Run) -> Vec<&str> {
    let mut suites = Vec::new();
    let timed = run.timings.iter().map(|timing| timing.suite.as_str());
    let counted = run.figures.iter().map(|figure| figure.suite.as_str());
    for suite in timed.chain(counted) {
        if !suites.contains(&suite) {
            suites.push(suite);
        }
    }
    suites
}

fn document(run: &Run, picture: Option<&str>) -> Markdown {
    let mut text = Markdown::titled("Results");
    let (machine, settings) = (&run.machine, &run.settings);
    text.paragraph(&format!(
        "{} × {}, {} of memory, load average {} before and {} after; commit `{}`. {} spans in {} large and {} small \
         blocks; {} threads each. {}. How it is measured: [README.md](README.md).",
        machine.cores,
        machine.processor,
        mib(machine.memory_bytes),
        machine.load_before,
        machine.load_after,
        machine.commit,
        settings.spans,
        settings.blocks,
        settings.small_blocks,
        settings.threads,
        run.engines.join(", "),
    ));
    text.paragraph(
        "Medians (least..most) in ms; the best of a row is bold. Ratios are other / Spandrel: above 1 Spandrel is \
         faster. Every answer of every round was compared with Spandrel's; a difference would stand here.",
    );
    for failure in &run.failures {
        text.paragraph(&format!("**Failed**: {failure}"));
    }
    if let Some(picture) = picture {
        text.paragraph(&format!("![Wall times of the queries, warm]({picture})"));
    }
    for suite in suites(run) {
        text.heading(suite);
        timings(&mut text, run, suite);
        figures(&mut text, run, suite);
        for note in run.notes.get(suite).into_iter().flatten() {
            text.paragraph(note);
        }
    }
    queries(&mut text, run);
    text
}

/// A table of wall times, and one of processor times: a row for each case, a column for each engine.
fn timings(text: &mut Markdown, run: &Run, suite: &str) {
    let of_suite: Vec<&Timing> = run.timings.iter().filter(|t| t.suite == suite).collect();
    let engines = distinct(of_suite.iter().map(|timing| timing.engine.as_str()));
    let cases = distinct(of_suite.iter().map(|timing| timing.case.as_str()));
    let Some((own, rivals)) = engines.split_first() else {
        return;
    };
    let find = |case: &str, engine: &str| {
        let mut timings = of_suite.iter();
        timings.find(|timing| timing.case == case && timing.engine == engine)
    };
    for (what, spread) in [
        ("wall, ms", Timing::wall as fn(&Timing) -> Spread),
        ("CPU, ms", Timing::cpu),
    ] {
        let mut head = vec![what.to_owned(), (*own).to_owned()];
        head.extend(rivals.iter().map(|&engine| engine.to_owned()));
        head.extend(rivals.iter().map(|engine| format!("{engine} / {own}")));
        let mut rows = Vec::new();
        let mut ratios = vec![Vec::new(); rivals.len()];
        for case in &cases {
            let spreads: Vec<Option<Spread>> = engines
                .iter()
                .map(|engine| find(case, engine).map(|timing| spread(timing)))
                .collect();
            let medians = spreads.iter().flatten().map(|spread| spread.median);
            let best = medians.fold(f64::INFINITY, f64::min);
            let mut row = vec![(*case).to_owned()];
            row.extend(spreads.iter().map(|spread| cell(*spread, best)));
            let ours = spreads.first().copied().flatten();
            for (theirs, ratios) in spreads.iter().skip(1).zip(&mut ratios) {
                let ratio = ours
                    .zip(*theirs)
                    .map(|(ours, theirs)| theirs.median / ours.median);
                ratios.extend(ratio);
                row.push(ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}")));
            }
            rows.push(row);
        }
        if !rivals.is_empty() {
            let mut means = vec!["geometric mean".to_owned()];
            means.resize(1 + engines.len(), String::new());
            let mean = |ratios: &Vec<f64>| format!("**{:.2}**", geometric_mean(ratios));
            means.extend(ratios.iter().map(mean));
            rows.push(means);
        }
        text.table(&head.iter().map(String::as_str).collect::<Vec<_>>(), &rows);
    }
}

fn cell(spread: Option<Spread>, best: f64) -> String {
    let Some(spread) = spread else {
        return String::new();
    };
    let digits = usize::from(spread.median < 100.0) + usize::from(spread.median < 1.0);
    let number = |value: f64| format!("{value:.digits$}");
    let median = if spread.median <= best {
        format!("**{}**", number(spread.median))
    } else {
        number(spread.median)
    };
    format!(
        "{median} ({}..{})",
        number(spread.least),
        number(spread.most)
    )
}

/// A table of single numbers: a row for each case, a column for each name.
fn figures(text: &mut Markdown, run: &Run, suite: &str) {
    let of_suite: Vec<&Figure> = run.figures.iter().filter(|f| f.suite == suite).collect();
    let names = distinct(of_suite.iter().map(|figure| figure.name.as_str()));
    let cases = distinct(of_suite.iter().map(|figure| figure.case.as_str()));
    if names.is_empty() {
        return;
    }
    let row = |case: &&str| {
        let mut row = vec![(*case).to_owned()];
        for name in &names {
            let mut figures = of_suite.iter();
            let figure = figures.find(|figure| figure.case == *case && figure.name == *name);
            row.push(figure.map_or_else(String::new, |figure| number(figure.value)));
        }
        row
    };
    let rows: Vec<Vec<String>> = cases.iter().map(row).collect();
    let mut head = vec![""];
    head.extend(&names);
    text.table(&head, &rows);
}

fn number(value: f64) -> String {
    if value.fract() == 0.0 || value >= 1000.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.2}")
    }
}

/// What each query is called and what it says, and its speed.
fn queries(text: &mut Markdown, run: &Run) {
    let Some(own) = run.engines.first() else {
        return;
    };
    let spans = float(run.settings.spans);
    let of_own = run.timings.iter().filter(|timing| timing.engine == *own);
    let mut rows = Vec::new();
    for timing in of_own.filter(|timing| timing.suite == "metrics warm") {
        let speed = spans / timing.cpu().median / 1e3;
        rows.push(vec![
            format!("`{}`", timing.text),
            timing.case.clone(),
            format!("{speed:.1}"),
        ]);
    }
    if rows.is_empty() {
        return;
    }
    text.heading("The queries");
    text.paragraph("Speeds are those of warm queries, in spans per second of processor time.");
    text.table(&["query", "name", "M spans/s per core"], &rows);
    let mut forms = Vec::new();
    for timing in run
        .timings
        .iter()
        .filter(|timing| timing.suite == "metrics warm")
    {
        if timing.engine != *own && timing.form != "SQL" {
            forms.push(format!(
                "{}: {} {}",
                timing.case, timing.engine, timing.form
            ));
        }
    }
    text.paragraph(&format!("The fastest form counts. {}.", forms.join("; ")));
}

fn distinct<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut found = Vec::new();
    for name in names {
        if !found.contains(&name) {
            found.push(name);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Settings;

    #[test]
    fn a_run_becomes_tables() {
        let mut run = Run::start(Settings::default());
        run.engines = vec!["Spandrel".to_owned(), "DuckDB 1".to_owned()];
        for (engine, wall) in [("Spandrel", 2.0), ("DuckDB 1", 6.0)] {
            let mut timing = Timing::new("metrics warm", "count", "{}", engine, "SQL");
            timing.wall_ms = vec![wall];
            timing.cpu_ms = vec![wall];
            run.timings.push(timing);
        }
        run.figure("size", "Parquet", "bytes per span", 27.5);
        let text = document(&run, Some("results.svg")).text().to_owned();
        assert!(
            text.contains("| count | **2.0** (2.0..2.0) | 6.0 (6.0..6.0) | 3.00 |"),
            "{text}"
        );
        assert!(
            text.contains("| geometric mean |  |  | **3.00** |"),
            "{text}"
        );
        assert!(text.contains("| Parquet | 27.50 |"), "{text}");
    }
}
