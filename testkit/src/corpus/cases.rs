//! The queries of a corpus file and what they give.

use storage::ids::SpanId;

use super::text::{Cursor, id, nanoseconds};
use super::{Case, Expectation, LineError, is_blank, is_heading};
use crate::compare::Tolerance;
use crate::reference::{Grid, RefSeries};

pub(super) fn parse(lines: &[String]) -> Result<Vec<Case>, LineError> {
    let mut parser = Parser {
        lines,
        next: 0,
        grid: None,
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

struct Parser<'a> {
    lines: &'a [String],
    next: usize,
    grid: Option<Grid>,
    cases: Vec<Case>,
}

impl Parser<'_> {
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
        let expected = if let Some(spans) = self.take_line("spans ") {
            Expectation::Spans(spans_of(spans)?)
        } else if self.take_line("fails").is_some() {
            Expectation::Fails
        } else if let Some(rest) = self.take_line("series") {
            let none = rest.trim() == "none";
            match self.series()? {
                series if none && !series.is_empty() => {
                    return Err("`series none` with series".to_owned());
                }
                // The word alone waits to be completed.
                series if !none && series.is_empty() => Expectation::Missing,
                series => Expectation::Series(series),
            }
        } else {
            Expectation::Missing
        };
        let expected_lines = start..self.next;
        Ok(Case {
            line,
            query: query.to_owned(),
            grid: self.grid,
            expected,
            tolerance,
            expected_lines,
        })
    }

    fn take_line(&mut self, prefix: &str) -> Option<&str> {
        let rest = self.lines.get(self.next)?.strip_prefix(prefix)?;
        self.next += 1;
        Some(rest)
    }

    fn series(&mut self) -> Result<Vec<RefSeries>, String> {
        let mut series = Vec::new();
        while let Some(line) = self
            .lines
            .get(self.next)
            .filter(|line| line.starts_with(' ') && !is_blank(line))
        {
            self.next += 1;
            let grid = self
                .grid
                .ok_or("series need a `range` or `instant` above them")?;
            series.push(one_series(line.trim(), grid)?);
        }
        Ok(series)
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
    let mut spans: Vec<SpanId> = text
        .split_whitespace()
        .map(|hex| id(hex).map(SpanId))
        .collect::<Result<_, String>>()?;
    spans.sort();
    Ok(spans)
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
