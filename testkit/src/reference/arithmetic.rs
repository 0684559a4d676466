//! Arithmetic on finished series.
//!
//! Series meet if their labels are equal, in whatever order; what has no partner is left out. The
//! name of the function, which a series without other labels has in their place, is no label here: a
//! count and a rate can be divided, and what comes out is neither. A series without labels, which is
//! the only one of its side, meets every series of the other.
//!
//! A point is there if it is on both sides. What is no number, such as zero divided by zero, is no
//! point; what is infinite is one.

use std::collections::BTreeMap;

use traceql::ast::{BinaryOp, MetricsExpr, MetricsQuery};

use super::error::EvalError;
use super::operators::float_arithmetic;
use super::second_stage::narrow;
use super::series::{Labels, RefSeries};

/// The series of an expression; `of_query` gives those of the queries in it.
///
/// # Errors
/// That of the first query that fails.
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

/// The series that are on both sides, with the labels in the order of the left side.
fn pairs(op: BinaryOp, mut lhs: Vec<RefSeries>, mut rhs: Vec<RefSeries>) -> Vec<RefSeries> {
    for series in lhs.iter_mut().chain(&mut rhs) {
        series.labels = without_name(std::mem::take(&mut series.labels));
    }
    let is_total = |side: &[RefSeries]| side.len() == 1 && side[0].labels.is_empty();
    // A total stands for one of each label set of the other side.
    let spread = |total: &RefSeries, over: &[RefSeries]| -> Vec<RefSeries> {
        over.iter()
            .map(|series| RefSeries {
                labels: series.labels.clone(),
                values: total.values.clone(),
            })
            .collect()
    };
    if is_total(&rhs) {
        rhs = spread(&rhs[0], &lhs);
    } else if is_total(&lhs) {
        lhs = spread(&lhs[0], &rhs);
    }
    let key = |labels: &Labels| -> BTreeMap<String, String> {
        labels
            .iter()
            .map(|(name, value)| (name.clone(), format!("{value:?}")))
            .collect()
    };
    let partners: BTreeMap<BTreeMap<String, String>, Vec<Option<f64>>> = rhs
        .into_iter()
        .map(|series| (key(&series.labels), series.values))
        .collect();
    let computed = lhs.into_iter().filter_map(|series| {
        let partner = partners.get(&key(&series.labels))?;
        let values = series
            .values
            .iter()
            .zip(partner)
            .map(|(lhs, rhs)| Some(float_arithmetic(op, (*lhs)?, (*rhs)?)))
            .collect();
        Some(RefSeries {
            labels: series.labels,
            values,
        })
    });
    with_points(computed)
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
