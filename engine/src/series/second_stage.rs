//! `topk`, `bottomk` and comparison filters on finished series.

use std::cmp::Ordering;

use traceql::ast::{ComparisonOp, SecondStage};

use super::{LabelValue, Series, SeriesSet};

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
        set.series
            .retain(|series| series.values.iter().any(|value| !value.is_nan()));
    }
}

#[derive(Clone, Copy)]
enum Extreme {
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
    let mut label_rank: Vec<usize> = (0..set.series.len()).collect();
    label_rank.sort_by(|&a, &b| compare_labels(&set.series[a], &set.series[b]));
    let mut rank_of = vec![0_usize; set.series.len()];
    for (rank, &index) in label_rank.iter().enumerate() {
        rank_of[index] = rank;
    }
    let intervals = set.series.first().map_or(0, |series| series.values.len());
    for interval in 0..intervals {
        let mut present: Vec<usize> = (0..set.series.len())
            .filter(|&i| !set.series[i].values[interval].is_nan())
            .collect();
        if present.len() <= limit {
            continue;
        }
        present.sort_by(|&a, &b| {
            let (x, y) = (
                set.series[a].values[interval],
                set.series[b].values[interval],
            );
            // Neither is NaN, and zeros of either sign are equal.
            let by_value = x.partial_cmp(&y).unwrap_or(Ordering::Equal);
            let ascending = by_value.then_with(|| rank_of[b].cmp(&rank_of[a]));
            match extreme {
                Extreme::Largest => ascending.reverse(),
                Extreme::Smallest => ascending,
            }
        });
        for &index in &present[limit..] {
            set.series[index].values[interval] = f64::NAN;
        }
    }
}

/// Label values position by position as text; values that are no text compare as empty, then by
/// type and bits. Series whose values are the same go by the names of their labels.
fn compare_labels(a: &Series, b: &Series) -> Ordering {
    let keys = |series: &Series| {
        series
            .labels
            .iter()
            .map(|label| tie_key(&label.value))
            .collect::<Vec<_>>()
    };
    let names = |series: &Series| -> Vec<String> {
        let labels = series.labels.iter();
        labels.map(|label| label.name.clone()).collect()
    };
    let by_value = keys(a).cmp(&keys(b));
    by_value.then_with(|| names(a).cmp(&names(b)))
}

fn tie_key(value: &LabelValue) -> (String, u8, u64) {
    match value {
        LabelValue::Int(value) => (String::new(), 0, value.cast_unsigned()),
        LabelValue::Float(value) => (String::new(), 1, value.to_bits()),
        LabelValue::String(text) => (text.clone(), 2, 0),
        LabelValue::Bool(value) => (String::new(), 3, u64::from(*value)),
    }
}

fn filter(set: &mut SeriesSet, op: ComparisonOp, threshold: f64) {
    for series in &mut set.series {
        for value in &mut series.values {
            if !holds(*value, op, threshold) {
                *value = f64::NAN;
            }
        }
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
