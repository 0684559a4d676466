//! Arithmetic on finished series: `({…} | rate()) / ({…} | rate())`.
//!
//! Series of two operands are combined where their labels are equal, whatever their order; the name
//! of the function they come from, `__name__`, is no label of theirs here. An operand whose one
//! series has no labels, because it groups by nothing, is combined with every series of the other.
//! What has no partner is left out, and so is a point that either side lacks.
//!
//! A result that is no number, such as 0 / 0, is a missing point; 1 / 0 is infinite.

use std::borrow::Cow;
use std::collections::HashMap;

use traceql::ast::BinaryOp;

use super::{Label, Series, SeriesSet, Values, apply_second_stages};
use crate::error::{EngineError, EvaluationError};
use crate::functions::arithmetic::float_operation;
use crate::grid::Grid;
use crate::plan::{SeriesExpr, SeriesPlan};

/// The label that says which function made a series.
const NAME: &str = "__name__";

/// What an expression comes to.
enum Computed {
    Number(f64),
    Series(Vec<Series>),
}

impl SeriesPlan {
    /// The series of the whole query, of those of its operands over one grid, in their order.
    ///
    /// # Errors
    /// [`EvaluationError::DuplicateSeries`] if an operand has several series of the same labels.
    pub fn combine(&self, grid: Grid, operands: Vec<SeriesSet>) -> Result<SeriesSet, EngineError> {
        let series = match evaluate(&self.expr, grid, &mut operands.into_iter())? {
            Computed::Series(series) => series,
            Computed::Number(number) => vec![Series {
                labels: Vec::new(),
                values: Values::new(
                    usize::try_from(grid.intervals).unwrap_or(usize::MAX),
                    number,
                    std::iter::empty(),
                ),
            }],
        };
        let mut set = SeriesSet { grid, series };
        set.sort();
        Ok(set)
    }
}

fn evaluate(
    expr: &SeriesExpr,
    grid: Grid,
    operands: &mut impl Iterator<Item = SeriesSet>,
) -> Result<Computed, EngineError> {
    Ok(match expr {
        SeriesExpr::Operand => {
            Computed::Series(operands.next().map_or_else(Vec::new, |set| set.series))
        }
        SeriesExpr::Number(number) => Computed::Number(*number),
        SeriesExpr::Negative(operand) => match evaluate(operand, grid, operands)? {
            Computed::Number(number) => Computed::Number(-number),
            Computed::Series(series) => Computed::Series(each(series, |value| -value)),
        },
        SeriesExpr::Binary { op, lhs, rhs } => {
            let lhs = evaluate(lhs, grid, operands)?;
            let rhs = evaluate(rhs, grid, operands)?;
            binary(*op, lhs, rhs)?
        }
        SeriesExpr::Narrowed { operand, stages } => match evaluate(operand, grid, operands)? {
            // Compilation admits no stage on a number.
            Computed::Number(number) => Computed::Number(number),
            Computed::Series(series) => {
                let mut set = SeriesSet { grid, series };
                apply_second_stages(&mut set, stages);
                Computed::Series(set.series)
            }
        },
    })
}

fn binary(op: BinaryOp, lhs: Computed, rhs: Computed) -> Result<Computed, EngineError> {
    let series = match (lhs, rhs) {
        (Computed::Number(lhs), Computed::Number(rhs)) => {
            return Ok(Computed::Number(float_operation(op, lhs, rhs)));
        }
        (Computed::Series(lhs), Computed::Number(rhs)) => each(lhs, |value| point(op, value, rhs)),
        (Computed::Number(lhs), Computed::Series(rhs)) => each(rhs, |value| point(op, lhs, value)),
        (Computed::Series(lhs), Computed::Series(rhs)) => join(op, unnamed(lhs), unnamed(rhs))?,
    };
    Ok(Computed::Series(
        series
            .into_iter()
            .filter(|series| series.values.has_sample())
            .collect(),
    ))
}

/// A missing point is NaN, which a power could turn into a number.
fn point(op: BinaryOp, lhs: f64, rhs: f64) -> f64 {
    if lhs.is_nan() || rhs.is_nan() {
        f64::NAN
    } else {
        float_operation(op, lhs, rhs)
    }
}

fn each(series: Vec<Series>, operation: impl Fn(f64) -> f64) -> Vec<Series> {
    let mut series = unnamed(series);
    for series in &mut series {
        series.values.map(&operation);
    }
    series
}

fn unnamed(mut series: Vec<Series>) -> Vec<Series> {
    for series in &mut series {
        series.labels.retain(|label| *label.name != *NAME);
    }
    series
}

fn join(
    op: BinaryOp,
    mut lhs: Vec<Series>,
    mut rhs: Vec<Series>,
) -> Result<Vec<Series>, EngineError> {
    if let Some(all) = of_everything(&rhs) {
        for series in &mut lhs {
            combine(&mut series.values, &all.values, |lhs, rhs| {
                point(op, lhs, rhs)
            });
        }
        return Ok(lhs);
    }
    if let Some(all) = of_everything(&lhs) {
        for series in &mut rhs {
            combine(&mut series.values, &all.values, |rhs, lhs| {
                point(op, lhs, rhs)
            });
        }
        return Ok(rhs);
    }
    let partners = by_labels(&rhs)?;
    by_labels(&lhs)?;
    lhs.retain_mut(|series| {
        let partner = partners.get(&key(&series.labels));
        if let Some(partner) = partner {
            combine(&mut series.values, &partner.values, |lhs, rhs| {
                point(op, lhs, rhs)
            });
        }
        partner.is_some()
    });
    Ok(lhs)
}

/// The series of an operand that groups by nothing.
fn of_everything(series: &[Series]) -> Option<&Series> {
    match series {
        [only] if only.labels.is_empty() => Some(only),
        _ => None,
    }
}

fn combine(values: &mut Values, others: &Values, operation: impl Fn(f64, f64) -> f64) {
    for (value, other) in values.to_mut().iter_mut().zip(others.iter()) {
        *value = operation(*value, other);
    }
}

/// Labels in an order of their own; values differ by type, too.
type LabelKey<'a> = Vec<(&'a str, (&'static str, Cow<'a, str>))>;

fn key(labels: &[Label]) -> LabelKey<'_> {
    let mut key: LabelKey<'_> = labels
        .iter()
        .map(|label| (&*label.name, label.value.sort_key()))
        .collect();
    key.sort_unstable();
    key
}

fn by_labels(series: &[Series]) -> Result<HashMap<LabelKey<'_>, &Series>, EngineError> {
    let mut found = HashMap::with_capacity(series.len());
    for series in series {
        if found.insert(key(&series.labels), series).is_some() {
            let labels: Vec<String> = series
                .labels
                .iter()
                .map(|label| format!("{}={:?}", label.name, label.value.to_text()))
                .collect();
            let labels = labels.join(", ");
            let error = EvaluationError::DuplicateSeries { labels };
            return Err(EngineError::Evaluation(error));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
