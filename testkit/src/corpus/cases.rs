//! The queries of a corpus file and what they give.

use storage::ids::SpanId;
use traceql::Dialect;

use super::case::{Case, Expectation, SearchForm};
use super::cursor::Cursor;
use super::line::{LineError, is_blank, is_heading};
use super::searches;
use super::text::nanoseconds;
use crate::compare::Tolerance;
use crate::reference::{Grid, RefSeries, SearchWindow};

pub(super) fn parse(lines: &[String]) -> Result<Vec<Case>, LineError> {
    let mut parser = CaseParser {
        lines,
        next: 0,
        grid: None,
        window: None,
        dialect: Dialect::default(),
        cases: Vec::new(),
    };
    while parser.next < lines.len() {
        let index = parser.next;
        parser
            .heading()
            .map_err(|reason| (index.max(parser.next.saturating_sub(1)), reason))?;
    }
    Ok(parser.cases)
}

struct CaseParser<'a> {
    lines: &'a [String],
    next: usize,
    grid: Option<Grid>,
    window: Option<SearchWindow>,
    dialect: Dialect,
    cases: Vec<Case>,
}

impl CaseParser<'_> {
    fn heading(&mut self) -> Result<(), String> {
        let line = self.lines[self.next].as_str();
        self.next += 1;
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            _ if is_blank(line) => {}
            "trace" => {
                while self
                    .lines
                    .get(self.next)
                    .is_some_and(|line| !is_heading(line))
                {
                    self.next += 1;
                }
            }
            "range" => self.grid = Some(range(rest)?),
            "instant" => self.grid = Some(instant(rest)?),
            "window" => self.window = window(rest)?,
            "dialect" => {
                let known = Dialect::from_name(rest.trim());
                self.dialect = known.ok_or_else(|| format!("no dialect is called `{rest}`"))?;
            }
            "query" => {
                let case = self.case(rest.trim())?;
                self.cases.push(case);
            }
            _ => return Err(format!("unexpected `{line}`")),
        }
        Ok(())
    }

    /// What follows `query`, up to the end of the expectation.
    fn case(&mut self, query: &str) -> Result<Case, String> {
        let line = self.next;
        let mut tolerance = Tolerance::ROUNDING;
        if let Some(percent) = self.take_line("tolerance ") {
            let percent = percent
                .strip_suffix('%')
                .and_then(|number| number.parse::<f64>().ok());
            let relative = percent.ok_or("a tolerance is a number of percent")? / 100.0;
            // A little above, for the rounding of what was rounded.
            tolerance = Tolerance {
                relative: relative + 1e-6,
            };
        }
        let start = self.next;
        let expected = self.expectation()?;
        let expected_lines = start..self.next;
        Ok(Case {
            line,
            query: query.to_owned(),
            grid: self.grid,
            window: self.window,
            dialect: self.dialect,
            expected,
            tolerance,
            expected_lines,
        })
    }

    fn expectation(&mut self) -> Result<Expectation, String> {
        if let Some(spans) = self.take_line("spans ") {
            return spans_of(spans).map(Expectation::Spans);
        }
        if self.take_line("fails").is_some() {
            return Ok(Expectation::Fails);
        }
        for (word, form) in [
            ("series", SearchForm::Spans),
            ("spansets", SearchForm::Spansets),
            ("search", SearchForm::Search),
        ] {
            let Some(rest) = self.take_line(word) else {
                continue;
            };
            let none = rest.trim() == "none";
            let lines = self.take_indented();
            if none && !lines.is_empty() {
                return Err(format!("`{word} none` with lines below it"));
            }
            // The word alone waits to be completed.
            if !none && lines.is_empty() {
                return Ok(Expectation::Missing(form));
            }
            return match word {
                "series" => self.series(&lines).map(Expectation::Series),
                "spansets" => searches::spansets(&lines).map(Expectation::Spansets),
                _ => searches::traces(&lines).map(Expectation::Search),
            };
        }
        Ok(Expectation::Missing(SearchForm::Spans))
    }

    fn take_line(&mut self, prefix: &str) -> Option<&str> {
        let rest = self.lines.get(self.next)?.strip_prefix(prefix)?;
        self.next += 1;
        Some(rest)
    }

    /// The lines that continue the one before, without those that say nothing.
    fn take_indented(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        while let Some(line) = self
            .lines
            .get(self.next)
            .filter(|line| line.starts_with(' ') && !is_blank(line))
        {
            self.next += 1;
            lines.push(line.trim().to_owned());
        }
        lines
    }

    fn series(&self, lines: &[String]) -> Result<Vec<RefSeries>, String> {
        let grid = || {
            self.grid
                .ok_or("series need a `range` or `instant` above them")
        };
        lines.iter().map(|line| one_series(line, grid()?)).collect()
    }
}

/// `{labels} t:value …`, or `{labels} value` for an instant query.
fn one_series(line: &str, grid: Grid) -> Result<RefSeries, String> {
    let mut cursor = Cursor::new(line);
    let labels = cursor.labels()?;
    let mut values = vec![None; grid.intervals];
    loop {
        cursor.skip_space();
        if cursor.is_at_end() {
            return Ok(RefSeries { labels, values });
        }
        let point = cursor.until(&[' ']);
        let (interval, value) = match point.split_once(':') {
            None => (0, point),
            Some((time, value)) => {
                let time_ns = nanoseconds(time)?;
                let interval =
                    (0..grid.intervals).find(|&interval| grid.sample_time_ns(interval) == time_ns);
                (
                    interval.ok_or_else(|| format!("no sample at {time}"))?,
                    value,
                )
            }
        };
        values[interval] = Some(
            value
                .parse()
                .map_err(|_| format!("not a number: `{value}`"))?,
        );
    }
}

fn spans_of(text: &str) -> Result<Vec<SpanId>, String> {
    if text.trim() == "none" {
        return Ok(Vec::new());
    }
    searches::span_ids(text)
}

/// `START END step STEP`
fn range(text: &str) -> Result<Grid, String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let [start, end, "step", step] = words[..] else {
        return Err("expected `range START END step STEP`".to_owned());
    };
    let step_ns = nanoseconds(step)?;
    if step_ns <= 0 {
        return Err("a step is positive".to_owned());
    }
    Ok(Grid::range(nanoseconds(start)?, nanoseconds(end)?, step_ns))
}

/// `START END`
fn instant(text: &str) -> Result<Grid, String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let [start, end] = words[..] else {
        return Err("expected `instant START END`".to_owned());
    };
    let grid = Grid::instant(nanoseconds(start)?, nanoseconds(end)?);
    if grid.step_ns <= 0 {
        Err("the end is not after the start".to_owned())
    } else {
        Ok(grid)
    }
}

/// `START END`, or `none`.
fn window(text: &str) -> Result<Option<SearchWindow>, String> {
    match text.split_whitespace().collect::<Vec<_>>()[..] {
        ["none"] => Ok(None),
        [start, end] => Ok(Some(SearchWindow {
            start_ns: nanoseconds(start)?,
            end_ns: nanoseconds(end)?,
        })),
        _ => Err("expected `window START END` or `window none`".to_owned()),
    }
}
