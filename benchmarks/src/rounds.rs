//! The suite, round by round, every engine in turn.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::answer::{Bounds, Cells, accuracy, difference};
use crate::contender::{Contender, DataFusion, DuckDb, Spandrel};
use crate::dataset::{Dataset, runtime};
use crate::error::BenchError;
use crate::report::{Report, cores, machine, millis, speed};
use crate::suite::{Measure, Question, suite};
use crate::usage::Spent;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Folder with prepared blocks
    #[arg(long)]
    dir: PathBuf,
    /// How often each engine answers each query
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Threads of each engine; by default one per core
    #[arg(long, default_value_t = cores())]
    threads: usize,
    /// Only this query: count, errors, p99, route or service
    #[arg(long)]
    only: Option<String>,
    /// The service that the last query selects
    #[arg(long, default_value = "edge-gateway")]
    service: String,
    /// A Python that has the package duckdb
    #[arg(long, default_value = "target/bench-venv/bin/python")]
    python: PathBuf,
    /// Append the report to this file
    #[arg(long)]
    out: Option<PathBuf>,
}

pub(crate) fn run(options: &Options) -> Result<(), BenchError> {
    let runtime = runtime()?;
    let dataset = Dataset::open(&options.dir, &runtime)?;
    let mut questions = suite(&dataset, &options.service)?;
    questions.retain(|question| {
        options
            .only
            .as_ref()
            .is_none_or(|only| only == question.name)
    });
    let threads = options.threads;
    let mut duckdb = DuckDb::start(&dataset, threads, &options.python)?;
    let mut bounds = Vec::new();
    for question in &questions {
        bounds.push(match question.measure {
            Measure::P99 => Some(duckdb.percentile_bounds(question)?),
            Measure::Count => None,
        });
    }
    let handle = runtime.handle();
    let mut contenders: Vec<Box<dyn Contender>> = vec![
        Box::new(Spandrel::new(&dataset, threads, handle.clone())?),
        Box::new(duckdb),
        Box::new(DataFusion::new(
            &dataset,
            &questions,
            threads,
            handle.clone(),
        )?),
    ];
    let mut results = Vec::new();
    for (question, bounds) in questions.iter().zip(&bounds) {
        eprintln!("{}", question.traceql);
        let mut race = Race::start(question, &mut contenders)?;
        race.check(bounds.as_ref())?;
        for _ in 0..options.rounds {
            race.round(&mut contenders)?;
        }
        results.push(race);
    }
    let names: Vec<String> = contenders
        .iter()
        .map(|contender| contender.name())
        .collect();
    report(&dataset, options, &names, &results).publish(options.out.as_deref())
}

/// One query, and how every engine did.
struct Race<'a> {
    question: &'a Question,
    runners: Vec<Runner>,
    /// What there is to say about the answers.
    note: Option<String>,
}

/// How one engine did.
struct Runner {
    name: String,
    /// Index and name of the fastest way to ask.
    form: (usize, &'static str),
    /// The answer of the first time.
    cells: Cells,
    rounds: Vec<Spent>,
}

impl<'a> Race<'a> {
    /// Warms up, and finds the fastest way to ask each engine.
    fn start(
        question: &'a Question,
        contenders: &mut [Box<dyn Contender>],
    ) -> Result<Self, BenchError> {
        const WARM_UPS: usize = 3;
        let mut runners = Vec::new();
        for contender in contenders {
            let mut best: Option<(Duration, Runner)> = None;
            for form in contender.forms(question).into_iter().enumerate() {
                let (mut fastest, mut cells) = (Duration::MAX, Cells::new());
                for _ in 0..WARM_UPS {
                    let (spent, answer) = contender.answer(question, form.0)?;
                    fastest = fastest.min(spent.wall);
                    cells = answer;
                }
                if best.as_ref().is_none_or(|(time, _)| fastest < *time) {
                    best = Some((
                        fastest,
                        Runner {
                            name: contender.name(),
                            form,
                            cells,
                            rounds: Vec::new(),
                        },
                    ));
                }
            }
            runners.extend(best.map(|(_, runner)| runner));
        }
        Ok(Self {
            question,
            runners,
            note: None,
        })
    }

    /// Compares the answers: the first engine's with all others', and with the exact percentiles.
    fn check(&mut self, bounds: Option<&Bounds>) -> Result<(), BenchError> {
        let mismatch = |difference| BenchError::Mismatch {
            query: self.question.traceql.clone(),
            difference,
        };
        let Some((first, others)) = self.runners.split_first() else {
            return Ok(());
        };
        for other in others {
            if let Some(difference) = difference(&first.cells, &other.cells, self.question.measure)
            {
                return Err(mismatch(format!(
                    "{} and {}: {difference}",
                    first.name, other.name
                )));
            }
        }
        let Some(bounds) = bounds else { return Ok(()) };
        let mut notes = Vec::new();
        for runner in &self.runners {
            let found = accuracy(&runner.cells, bounds);
            notes.push(format!(
                "{} ({}): {} of {} cells beyond 2 %, worst {:.1} %",
                runner.name,
                runner.form.1,
                found.outside,
                found.cells,
                found.worst * 100.0
            ));
            if runner.name == first.name && found.outside > 0 {
                return Err(mismatch(format!(
                    "percentiles beyond 2 % of the exact ones: {}",
                    notes.join("; ")
                )));
            }
        }
        self.note = Some(format!(
            "Distance from the exact percentiles: {}.",
            notes.join("; ")
        ));
        Ok(())
    }

    fn round(&mut self, contenders: &mut [Box<dyn Contender>]) -> Result<(), BenchError> {
        for (contender, runner) in contenders.iter_mut().zip(&mut self.runners) {
            let (spent, cells) = contender.answer(self.question, runner.form.0)?;
            if let Some(difference) = difference(&runner.cells, &cells, self.question.measure) {
                let difference = format!("{} and itself before: {difference}", runner.name);
                return Err(BenchError::Mismatch {
                    query: self.question.traceql.clone(),
                    difference,
                });
            }
            runner.rounds.push(spent);
        }
        Ok(())
    }
}

impl Runner {
    fn wall(&self) -> Spread {
        Spread::of(self.rounds.iter().map(|spent| spent.wall).collect())
    }

    fn cpu(&self) -> Spread {
        Spread::of(self.rounds.iter().map(|spent| spent.cpu).collect())
    }
}

/// Where measurements lie.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Spread {
    pub(crate) least: Duration,
    pub(crate) median: Duration,
    pub(crate) most: Duration,
}

impl Spread {
    pub(crate) fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        let at = |index: usize| times.get(index).copied().unwrap_or_default();
        Self {
            least: at(0),
            median: at(times.len() / 2),
            most: at(times.len().saturating_sub(1)),
        }
    }

    /// How many times as long as `other` this is: by medians, and in parentheses by the least.
    pub(crate) fn ratio_to(&self, other: &Self) -> String {
        let ratio =
            |own: Duration, other: Duration| own.as_secs_f64() / other.as_secs_f64().max(1e-9);
        format!(
            "{:.2} ({:.2})",
            ratio(self.median, other.median),
            ratio(self.least, other.least)
        )
    }

    pub(crate) fn text(&self) -> String {
        format!(
            "**{}** ({}..{})",
            millis(self.median),
            millis(self.least),
            millis(self.most)
        )
    }
}

fn report(dataset: &Dataset, options: &Options, names: &[String], results: &[Race<'_>]) -> Report {
    let mut report = Report::new("Queries");
    report.paragraph(&machine());
    report.paragraph(&format!(
        "{} spans in {} files; {} threads each; intervals of {} s. Medians (least..most) of {} interleaved rounds \
         after warm-up, from the text of the query to the finished values; ratios of medians, in parentheses of the \
         least; files in the page cache, their metadata \
         cached by every engine. Every engine gave the same counts for every label and interval.",
        dataset.spans(),
        dataset.files.len(),
        options.threads,
        dataset.step_s(),
        options.rounds,
    ));
    let tables = [
        ("wall, ms", Runner::wall as fn(&Runner) -> Spread),
        ("CPU, ms", Runner::cpu),
    ];
    for (what, spread) in tables {
        let mut head = vec![what.to_owned()];
        head.extend(names.iter().cloned());
        head.extend(
            names
                .iter()
                .skip(1)
                .map(|name| format!("{name} / Spandrel")),
        );
        let rows: Vec<Vec<String>> = results
            .iter()
            .map(|race| {
                let spreads: Vec<Spread> = race.runners.iter().map(spread).collect();
                let mut row = vec![format!("`{}`", race.question.traceql)];
                row.extend(spreads.iter().map(Spread::text));
                if let Some((own, others)) = spreads.split_first() {
                    row.extend(others.iter().map(|other| other.ratio_to(own)));
                }
                row
            })
            .collect();
        report.table(&head.iter().map(String::as_str).collect::<Vec<_>>(), &rows);
    }
    let mut head = vec!["spans/s per core".to_owned()];
    head.extend(names.iter().cloned());
    let speeds: Vec<Vec<String>> = results
        .iter()
        .map(|race| {
            let mut row = vec![format!("`{}`", race.question.traceql)];
            row.extend(
                race.runners
                    .iter()
                    .map(|runner| speed(dataset.spans(), runner.cpu().median)),
            );
            row
        })
        .collect();
    report.table(
        &head.iter().map(String::as_str).collect::<Vec<_>>(),
        &speeds,
    );
    for race in results {
        let forms = race
            .runners
            .iter()
            .map(|runner| format!("{}: {}", runner.name, runner.form.1));
        let forms = forms.collect::<Vec<_>>().join(", ");
        let note = race.note.as_deref().unwrap_or_default();
        report.paragraph(&format!(
            "`{}` — asked as {forms}. {note}",
            race.question.traceql
        ));
    }
    report
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_stands_in_the_middle() {
        let spread = Spread::of([5, 1, 9].map(Duration::from_millis).to_vec());
        assert_eq!(spread.text(), "**5.0** (1.0..9.0)");
    }
}
