//! `topk`, `bottomk` and comparison filters on finished series.

use std::cmp::Ordering;

use traceql::ast::{ComparisonOp, SecondStage};

use super::{Label, LabelValue, SeriesSet};

/// Applies the stages left to right. A series left without samples disappears.
pub fn apply(set: &mut SeriesSet, stages: &[SecondStage]) {
    for stage in stages {
        match stage {
            SecondStage::TopK { limit, .. } => keep_extremes(set, *limit, Extreme::Largest),
            SecondStage::BottomK { limit, .. } => keep_extremes(set, *limit, Extreme::Smallest),
            SecondStage::Filter { op, value, .. } => {
                filter(set, *op, value.as_sample().unwrap_or(f64::NAN));
            }
        }
        set.series.retain(|series| series.values.has_sample());
    }
}

/// Which values a stage keeps.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Extreme {
    Largest,
    Smallest,
}

/// Keeps, at each timestamp by itself, the `limit` largest or smallest values.
///
/// With no more series than `limit` nothing changes, so zeros and ties need no thought there. Ties
/// go to the alphabetically earlier labels for the largest and to the later ones for the smallest.
fn keep_extremes(set: &mut SeriesSet, limit: i64, extreme: Extreme) {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    if set.series.len() <= limit {
        return;
    }
    let labels: Vec<_> = set.series.iter().map(|s| s.labels.as_slice()).collect();
    let rank_of = label_ranks(&labels);
    let intervals = set.series.first().map_or(0, |series| series.values.len());
    let series = set.series.iter_mut();
    let mut values: Vec<_> = series.map(|series| series.values.to_mut()).collect();
    let mut present: Vec<usize> = Vec::with_capacity(values.len());
    for interval in 0..intervals {
        let value = |series: usize| values[series][interval];
        present.clear();
        present.extend((0..values.len()).filter(|&series| !value(series).is_nan()));
        if present.len() <= limit {
            continue;
        }
        // Only which come first, not in what order: that is a sort less in each interval.
        present.select_nth_unstable_by(limit, |&a, &b| {
            // Neither is NaN, and zeros of either sign are equal.
            let by_value = value(a).partial_cmp(&value(b)).unwrap_or(Ordering::Equal);
            let ascending = by_value.then_with(|| rank_of[b].cmp(&rank_of[a]));
            match extreme {
                Extreme::Largest => ascending.reverse(),
                Extreme::Smallest => ascending,
            }
        });
        for &index in &present[limit..] {
            values[index][interval] = f64::NAN;
        }
    }
}

/// The place of each series in the [`tie_order`]; of equals the one that stands first is first.
fn label_ranks(series: &[&[Label]]) -> Vec<usize> {
    let mut ordered: Vec<usize> = (0..series.len()).collect();
    ordered.sort_by(|&lhs, &rhs| tie_order(series[lhs], series[rhs]));
    let mut ranks = vec![0; series.len()];
    for (rank, &index) in ordered.iter().enumerate() {
        ranks[index] = rank;
    }
    ranks
}

/// The order of labels that decides between equal values: position by position the values as text;
/// values that are no text compare as empty, then by type and bits. Where all values are the same, the
/// names of the labels decide.
pub(crate) fn tie_order(lhs: &[Label], rhs: &[Label]) -> Ordering {
    let values = lhs.iter().map(|label| tie_key(&label.value));
    let values = values.cmp(rhs.iter().map(|label| tie_key(&label.value)));
    let names = || lhs.iter().map(|label| &label.name);
    values.then_with(|| names().cmp(rhs.iter().map(|label| &label.name)))
}

fn tie_key(value: &LabelValue) -> (&str, u8, u64) {
    match value {
        LabelValue::Int(value) => ("", 0, value.cast_unsigned()),
        LabelValue::Float(value) => ("", 1, value.to_bits()),
        LabelValue::String(text) => (text, 2, 0),
        LabelValue::Bool(value) => ("", 3, u64::from(*value)),
    }
}

fn filter(set: &mut SeriesSet, op: ComparisonOp, threshold: f64) {
    for series in &mut set.series {
        let kept = |value| holds(value, op, threshold).then_some(value);
        series.values.map(|value| kept(value).unwrap_or(f64::NAN));
    }
}

/// Whether a value satisfies every filter among the stages.
pub(crate) fn satisfies_filters(value: f64, stages: &[SecondStage]) -> bool {
    stages.iter().all(|stage| match stage {
        SecondStage::Filter { op, value: of, .. } => {
            holds(value, *op, of.as_sample().unwrap_or(f64::NAN))
        }
        SecondStage::TopK { .. } | SecondStage::BottomK { .. } => true,
    })
}

/// Whether a sample satisfies a filter; a missing one satisfies none, not even `!=`.
#[expect(clippy::float_cmp, reason = "the language compares samples exactly")]
fn holds(value: f64, op: ComparisonOp, threshold: f64) -> bool {
    match op {
        ComparisonOp::Eq => value == threshold,
        ComparisonOp::NotEq => !value.is_nan() && value != threshold,
        ComparisonOp::Lt => value < threshold,
        ComparisonOp::LtEq => value <= threshold,
        ComparisonOp::Gt => value > threshold,
        ComparisonOp::GtEq => value >= threshold,
    }
}
