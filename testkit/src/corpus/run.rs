//! Running the cases of a corpus file.

use storage::model::SpanGroup;
use traceql::Query;
use traceql::ast::Body;

use super::case::{Case, Expectation, SearchForm};
use super::file::CorpusFile;
use super::print::lines;
use super::searches::{in_form, same_spansets};
use crate::compare::{compare_search, compare_series};
use crate::reference::{EvalError, Grid, RefSeries, SearchWindow, TraceResult, metrics, search};

/// Runs the metrics cases of a file.
///
/// # Errors
/// All cases whose answer is not the expected one, a line for each.
pub fn run_metrics(
    file: &CorpusFile,
    mut engine: impl FnMut(&[SpanGroup], &Query, Grid) -> Result<Vec<RefSeries>, String>,
) -> Result<(), String> {
    run(file, is_metrics, |case| {
        engine(&file.groups, &case.compile()?, grid_of(case)?).map(Expectation::Series)
    })
}

/// Runs the cases of a file that are searches.
///
/// # Errors
/// All cases whose answer is not the expected one, a line for each.
pub fn run_searches(
    file: &CorpusFile,
    mut engine: impl FnMut(
        &[SpanGroup],
        &Query,
        Option<SearchWindow>,
    ) -> Result<Vec<TraceResult>, String>,
) -> Result<(), String> {
    let is_search = |case: &Case| !is_metrics(case);
    run(file, is_search, |case| {
        let traces = engine(&file.groups, &case.compile()?, case.window)?;
        Ok(in_form(case.expected.form(), traces))
    })
}

/// The text of the file with the expectations that the reference evaluator does not meet replaced
/// by what it gives.
///
/// # Errors
/// A query does not compile.
pub fn complete(file: &CorpusFile) -> Result<String, String> {
    let mut text = file.lines.clone();
    // From the end, so that the lines above keep their numbers.
    for case in file.cases.iter().rev() {
        let answer =
            answer_of_reference(file, case).map_err(|reason| describe(file, case, &reason))?;
        if check(case, &answer).is_err() {
            text.splice(case.expected_lines.clone(), lines(&answer, case.grid));
        }
    }
    Ok(text.join("\n") + "\n")
}

fn answer_of_reference(file: &CorpusFile, case: &Case) -> Result<Expectation, String> {
    let query = case.compile()?;
    let answer = if is_metrics(case) {
        metrics(&query, &file.groups, grid_of(case)?).map(Expectation::Series)
    } else {
        search(&query, &file.groups, case.window)
            .map(|traces| in_form(case.expected.form(), traces))
    };
    match answer {
        Err(EvalError::Runtime(_)) => Ok(Expectation::Fails),
        other => other.map_err(|error| error.to_string()),
    }
}

fn grid_of(case: &Case) -> Result<Grid, &'static str> {
    case.grid.ok_or("there is no `range` or `instant` above it")
}

impl Expectation {
    /// How much of a search it speaks of.
    fn form(&self) -> SearchForm {
        match self {
            Self::Spans(_) | Self::Series(_) | Self::Fails => SearchForm::Spans,
            Self::Spansets(_) => SearchForm::Spansets,
            Self::Search(_) => SearchForm::Search,
            Self::Missing(form) => *form,
        }
    }
}

/// Decided by the query, not by what is written below it.
fn is_metrics(case: &Case) -> bool {
    case.compile()
        .is_ok_and(|query| matches!(query.body, Body::Metrics(_) | Body::MetricsExpr(_)))
}

fn run(
    file: &CorpusFile,
    applies: impl Fn(&Case) -> bool,
    mut answer: impl FnMut(&Case) -> Result<Expectation, String>,
) -> Result<(), String> {
    let mut failures = Vec::new();
    for case in file.cases.iter().filter(|case| applies(case)) {
        let checked = match answer(case) {
            Ok(answer) => check(case, &answer),
            Err(_) if case.expected == Expectation::Fails => Ok(()),
            Err(reason) => Err(reason),
        };
        failures.extend(checked.err().map(|reason| describe(file, case, &reason)));
    }
    if failures.is_empty() {
        Ok(())
    } else {
        Err(failures.join("\n"))
    }
}

fn check(case: &Case, answer: &Expectation) -> Result<(), String> {
    match (&case.expected, answer) {
        (Expectation::Missing(_), _) => Err("what it gives is not written down".to_owned()),
        (Expectation::Series(expected), Expectation::Series(actual)) => {
            compare_series(expected, actual, case.tolerance)
        }
        (Expectation::Spansets(expected), Expectation::Spansets(actual))
            if same_spansets(expected, actual, case.tolerance) =>
        {
            Ok(())
        }
        (Expectation::Search(expected), Expectation::Search(actual)) => {
            compare_search(expected, actual, case.tolerance, None)
        }
        (expected, actual) if expected == actual => Ok(()),
        (expected, actual) => {
            let text = |expectation| lines(expectation, case.grid).join("\n    ");
            Err(format!(
                "gives\n    {}\n    instead of\n    {}",
                text(actual),
                text(expected)
            ))
        }
    }
}

fn describe(file: &CorpusFile, case: &Case, reason: &str) -> String {
    format!(
        "{}:{}: {}\n    {reason}",
        file.path.display(),
        case.line,
        case.query
    )
}
