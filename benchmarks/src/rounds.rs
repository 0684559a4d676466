//! A question, round by round, every engine in turn.

use std::time::Duration;

use storage::{Clock as _, SystemClock};

use crate::answer::{Bounds, Cells, Values, accuracy, difference};
use crate::contender::Contender;
use crate::dataset::Dataset;
use crate::error::BenchError;
use crate::record::Timing;
use crate::suite::{Question, Value, Window};
use crate::usage::{Spent, drop_from_page_cache};

/// In which state of caches engines are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Files in the page cache, engines warmed up; nothing of the answer is kept.
    Warm,
    /// Files out of the page cache, engines as if just started.
    Cold,
    /// The window moves by a step every round, and engines may keep what they like.
    Refresh,
}

/// How often.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Effort {
    pub(crate) rounds: u32,
    /// Once this is spent, a question gets no more rounds than it takes for a median.
    pub(crate) budget: Duration,
}

/// The fewest rounds with a median that one outlier does not move.
const FEWEST_ROUNDS: u32 = 3;

impl Mode {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Warm => "warm",
            Self::Cold => "cold",
            Self::Refresh => "refresh",
        }
    }
}

/// What came of a question.
pub(crate) struct Outcome {
    pub(crate) timings: Vec<Timing>,
    /// What there is to say about the answers.
    pub(crate) note: Option<String>,
}

/// Asks every engine in turn, after warming up, and compares their answers in every round.
pub(crate) fn race(
    suite: &str,
    question: &Question,
    mode: Mode,
    effort: Effort,
    dataset: &Dataset,
    contenders: &mut [&mut dyn Contender],
    bounds: Option<&Bounds>,
) -> Result<Outcome, BenchError> {
    let window = |round: u32| match mode {
        Mode::Warm | Mode::Cold => Window::whole(dataset, question.cut),
        // The first rounds look at the oldest windows.
        Mode::Refresh => Window::trailing(dataset, question.cut, effort.rounds - round),
    };
    let mut runners = Vec::new();
    for contender in contenders.iter_mut() {
        let warm_up = warm_up(&mut **contender, question, mode, &window(0)?)?;
        runners.push(warm_up.map(|form| {
            let (form, form_name) = form;
            let name = contender.name();
            let suite = format!("{suite} {}", mode.name());
            (
                form,
                Timing::new(&suite, question.name, question.text, &name, form_name),
            )
        }));
    }
    let started = SystemClock.instant();
    let mut note = None;
    for round in 1..=effort.rounds {
        if round > FEWEST_ROUNDS && SystemClock.instant() - started > effort.budget {
            break;
        }
        let window = window(round)?;
        let mut answers: Vec<(String, String, Cells)> = Vec::new();
        for (contender, runner) in contenders.iter_mut().zip(&mut runners) {
            let Some((form, timing)) = runner else {
                continue;
            };
            if mode == Mode::Cold {
                contender.forget()?;
                drop_from_page_cache(&dataset.dir)?;
            }
            let (spent, cells) = contender.answer(question, &window, *form)?;
            timing.push(spent);
            answers.push((timing.engine.clone(), timing.form.clone(), cells));
        }
        check(question, &answers)?;
        if let Some(bounds) = bounds.filter(|_| round == 1 && mode != Mode::Refresh) {
            note = Some(judge(question, &answers, bounds)?);
        }
    }
    let timings = runners.into_iter().flatten().map(|(_, timing)| timing);
    Ok(Outcome {
        timings: timings.collect(),
        note,
    })
}

/// Finds the fastest way to ask an engine: its index and name.
fn warm_up(
    contender: &mut dyn Contender,
    question: &Question,
    mode: Mode,
    window: &Window,
) -> Result<Option<(usize, &'static str)>, BenchError> {
    let forms = contender.forms(question, window);
    if mode == Mode::Cold && forms.len() == 1 {
        return Ok(forms.into_iter().enumerate().next());
    }
    let mut best: Option<(Spent, (usize, &'static str))> = None;
    for (index, form) in forms.into_iter().enumerate() {
        let mut fastest = contender.answer(question, window, index)?.0;
        let (second, _) = contender.answer(question, window, index)?;
        if second.wall < fastest.wall {
            fastest = second;
        }
        if best.is_none_or(|(spent, _)| fastest.wall < spent.wall) {
            best = Some((fastest, (index, form)));
        }
    }
    Ok(best.map(|(_, form)| form))
}

/// Every answer must be that of the first engine.
fn check(question: &Question, answers: &[(String, String, Cells)]) -> Result<(), BenchError> {
    let Some(((first, our_form, ours), others)) = answers.split_first() else {
        return Ok(());
    };
    for (other, form, theirs) in others {
        // One kind of estimate has one outcome.
        let values = match question.value {
            Value::Quantile(_) if form != our_form => Values::Estimates,
            _ => Values::Same,
        };
        if let Some(difference) = difference(ours, theirs, values) {
            return Err(mismatch(
                question,
                format!("{first} and {other}: {difference}"),
            ));
        }
    }
    Ok(())
}

/// Compares estimated percentiles with the exact ones; the first engine has to keep to them.
fn judge(
    question: &Question,
    answers: &[(String, String, Cells)],
    bounds: &Bounds,
) -> Result<String, BenchError> {
    let mut notes = Vec::new();
    for (index, (name, form, cells)) in answers.iter().enumerate() {
        let found = accuracy(cells, bounds);
        notes.push(format!(
            "{name} ({form}) {} of {} cells beyond 2 %, worst {:.1} %",
            found.outside,
            found.cells,
            found.worst * 100.0
        ));
        if index == 0 && found.outside > 0 {
            let found = notes.join("; ");
            return Err(mismatch(
                question,
                format!("percentiles beyond 2 % of the exact ones: {found}"),
            ));
        }
    }
    Ok(format!("`{}`: {}.", question.name, notes.join("; ")))
}

fn mismatch(question: &Question, difference: String) -> BenchError {
    BenchError::Mismatch {
        query: question.text.to_owned(),
        difference,
    }
}

/// Whether exact percentiles are worth computing.
pub(crate) fn has_bounds(question: &Question) -> bool {
    matches!(question.value, Value::Quantile(_))
}
