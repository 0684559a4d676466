//! Stages that narrow the series of a metrics query.

use std::cmp::Reverse;

use traceql::ast::{ComparisonOp, Literal, SecondStage};

use super::series::{RefSeries, tie_order};

/// Applies one stage; series that it leaves without points disappear.
#[must_use]
pub fn narrow(stage: &SecondStage, mut series: Vec<RefSeries>) -> Vec<RefSeries> {
    match stage {
        SecondStage::TopK { limit, .. } => keep(*limit, Keep::Largest, &mut series),
        SecondStage::BottomK { limit, .. } => keep(*limit, Keep::Smallest, &mut series),
        SecondStage::Filter { op, value, .. } => {
            let threshold = threshold(value);
            for value in series.iter_mut().flat_map(|it| &mut it.values) {
                *value = value.filter(|value| satisfies(*op, *value, threshold));
            }
        }
    }
    series.retain(|it| it.values.iter().any(Option::is_some));
    series
}

#[derive(Clone, Copy, PartialEq)]
enum Keep {
    Largest,
    Smallest,
}

/// Keeps, per interval, the points of `limit` series.
fn keep(limit: i64, which: Keep, series: &mut [RefSeries]) {
    let limit = usize::try_from(limit).unwrap_or(0);
    if series.len() <= limit {
        return;
    }
    // In order of preference among equals: topk takes the alphabetically earlier, bottomk the later.
    series.sort_by(|lhs, rhs| tie_order(&lhs.labels, &rhs.labels));
    if which == Keep::Smallest {
        series.reverse();
    }
    let intervals = series.first().map_or(0, |it| it.values.len());
    for interval in 0..intervals {
        let mut points: Vec<(usize, f64)> = series
            .iter()
            .enumerate()
            .filter_map(|(index, it)| Some((index, it.values[interval]?)))
            .collect();
        // Stable, so that equals stay in order of preference.
        match which {
            Keep::Largest => points.sort_by_key(|&(_, value)| Reverse(Ordered(value))),
            Keep::Smallest => points.sort_by_key(|&(_, value)| Ordered(value)),
        }
        for &(index, _) in points.iter().skip(limit) {
            series[index].values[interval] = None;
        }
    }
}

/// A float ordered by value; 0 and −0 are equal.
#[derive(PartialEq)]
struct Ordered(f64);

impl Eq for Ordered {}

impl PartialOrd for Ordered {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Ordered {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0
            .partial_cmp(&other.0)
            .unwrap_or_else(|| self.0.total_cmp(&other.0))
    }
}

/// The number a filter compares with; a Duration means seconds.
pub(crate) fn threshold(value: &Literal) -> f64 {
    match value {
        Literal::Int(number) => *number as f64,
        Literal::Float(number) => *number,
        Literal::Duration(ns) => *ns as f64 / 1e9,
        other => unreachable!("the grammar admits only numbers: {other:?}"),
    }
}

pub(crate) fn satisfies(op: ComparisonOp, value: f64, threshold: f64) -> bool {
    match op {
        ComparisonOp::Eq => value == threshold,
        ComparisonOp::NotEq => value != threshold,
        ComparisonOp::Lt => value < threshold,
        ComparisonOp::LtEq => value <= threshold,
        ComparisonOp::Gt => value > threshold,
        ComparisonOp::GtEq => value >= threshold,
    }
}
