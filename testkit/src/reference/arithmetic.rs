//! Arithmetic on finished series.
//!
//! Series meet if their labels are equal, in whatever order; what has no partner is left out. The
//! name of the function, which a series without other labels has in their place, is no label here: a
//! count and a rate can be divided, and what comes out is neither. A series without labels, which is
//! the only one of its side, meets every series of the other.
//!
//! A point is there if it is on both sides. What is no number, such as zero divided by zero, is no
//! point; what is infinite is one.

use traceql::ast::{BinaryOp, MetricsExpr, MetricsQuery};

use super::error::EvalError;
use super::operators::float_arithmetic;
use super::second_stage::narrow;
use super::series::{Labels, RefSeries};

/// The series of an expression; `of_query` gives those of the queries in it.
///
/// # Errors
/// The error of the first query that fails.
pub fn evaluate(
    expr: &MetricsExpr,
    of_query: &dyn Fn(&MetricsQuery) -> Result<Vec<RefSeries>, EvalError>,
) -> Result<Vec<RefSeries>, EvalError> {
    match operand(expr, of_query)? {
        Operand::Series(series) => Ok(series),
        Operand::Number(_) => unreachable!("an expression has a query in it: {expr:?}"),
    }
}

enum Operand {
    Series(Vec<RefSeries>),
    Number(f64),
}

fn operand(
    expr: &MetricsExpr,
    of_query: &dyn Fn(&MetricsQuery) -> Result<Vec<RefSeries>, EvalError>,
) -> Result<Operand, EvalError> {
    Ok(match expr {
        MetricsExpr::Query { query, .. } => Operand::Series(of_query(query)?),
        MetricsExpr::Number { value, .. } => Operand::Number(
            value
                .as_sample()
                .unwrap_or_else(|| unreachable!("the grammar admits only numbers: {value:?}")),
        ),
        MetricsExpr::Negative { operand: of, .. } => match operand(of, of_query)? {
            Operand::Number(number) => Operand::Number(-number),
            Operand::Series(series) => Operand::Series(each(series, |value| -value)),
        },
        MetricsExpr::Binary { op, lhs, rhs, .. } => {
            match (operand(lhs, of_query)?, operand(rhs, of_query)?) {
                (Operand::Number(lhs), Operand::Number(rhs)) => {
                    Operand::Number(float_arithmetic(*op, lhs, rhs))
                }
                (Operand::Series(lhs), Operand::Number(rhs)) => {
                    Operand::Series(each(lhs, |lhs| float_arithmetic(*op, lhs, rhs)))
                }
                (Operand::Number(lhs), Operand::Series(rhs)) => {
                    Operand::Series(each(rhs, |rhs| float_arithmetic(*op, lhs, rhs)))
                }
                (Operand::Series(lhs), Operand::Series(rhs)) => {
                    Operand::Series(pairs(*op, lhs, rhs))
                }
            }
        }
        MetricsExpr::Narrowed {
            operand: of,
            stages,
            ..
        } => match operand(of, of_query)? {
            Operand::Series(series) => Operand::Series(
                stages
                    .iter()
                    .fold(series, |series, stage| narrow(stage, series)),
            ),
            Operand::Number(_) => unreachable!("the language does not narrow numbers: {expr:?}"),
        },
    })
}

/// The series with another value at each point.
fn each(series: Vec<RefSeries>, value: impl Fn(f64) -> f64) -> Vec<RefSeries> {
    let computed = series.into_iter().map(|series| RefSeries {
        labels: without_name(series.labels),
        values: series
            .values
            .into_iter()
            .map(|point| point.map(&value))
            .collect(),
    });
    with_points(computed)
}

/// Each series of one side with its partner on the other.
fn pairs(op: BinaryOp, lhs: Vec<RefSeries>, rhs: Vec<RefSeries>) -> Vec<RefSeries> {
    let labels_of = |series: &RefSeries| without_name(series.labels.clone());
    let mut computed = Vec::new();
    for lhs in &lhs {
        for rhs in &rhs {
            let (of_lhs, of_rhs) = (labels_of(lhs), labels_of(rhs));
            let meet = of_lhs.is_empty() || of_rhs.is_empty() || sorted(&of_lhs) == sorted(&of_rhs);
            if !meet {
                continue;
            }
            let points = lhs.values.iter().zip(&rhs.values);
            computed.push(RefSeries {
                labels: if of_lhs.is_empty() { of_rhs } else { of_lhs },
                values: points
                    .map(|(lhs, rhs)| Some(float_arithmetic(op, (*lhs)?, (*rhs)?)))
                    .collect(),
            });
        }
    }
    with_points(computed.into_iter())
}

fn sorted(labels: &Labels) -> Vec<(&str, String)> {
    let mut labels: Vec<(&str, String)> = labels
        .iter()
        .map(|(name, value)| (name.as_str(), format!("{value:?}")))
        .collect();
    labels.sort();
    labels
}

fn without_name(mut labels: Labels) -> Labels {
    labels.retain(|(name, _)| name != "__name__");
    labels
}

fn with_points(series: impl Iterator<Item = RefSeries>) -> Vec<RefSeries> {
    series
        .map(|mut series| {
            for point in &mut series.values {
                *point = point.filter(|value| !value.is_nan());
            }
            series
        })
        .filter(|series| series.values.iter().any(Option::is_some))
        .collect()
}
