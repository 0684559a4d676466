//! Answers as cells of a table, and whether two are the same.

use std::collections::BTreeMap;

use crate::suite::Measure;

/// One value per label and interval; intervals are numbered from the epoch by their end.
pub(crate) type Cells = BTreeMap<(String, i64), f64>;

/// How an absent label is written.
pub(crate) const NO_LABEL: &str = "nil";
/// How far an estimated percentile may be from the exact one.
const TOLERANCE: f64 = 0.02;

/// Bounds of the exact percentile of each cell, in ns.
pub(crate) type Bounds = BTreeMap<(String, i64), (f64, f64)>;

/// The first difference between counts, if there is one: total, totals per label, then every cell.
pub(crate) fn difference(ours: &Cells, theirs: &Cells, measure: Measure) -> Option<String> {
    if measure == Measure::P99 {
        let missing = ours.keys().find(|key| !theirs.contains_key(*key));
        let extra = theirs.keys().find(|key| !ours.contains_key(*key));
        return missing
            .or(extra)
            .map(|(label, bin)| format!("{label} in interval {bin} is in one answer only"));
    }
    let (left, right) = (totals(ours), totals(theirs));
    let all = |totals: &BTreeMap<&str, f64>| totals.values().sum::<f64>();
    if !same(all(&left), all(&right)) {
        return Some(format!(
            "{} spans in all against {}",
            all(&left),
            all(&right)
        ));
    }
    for label in left.keys().chain(right.keys()) {
        let (a, b) = (
            left.get(label).copied().unwrap_or(0.0),
            right.get(label).copied().unwrap_or(0.0),
        );
        if !same(a, b) {
            return Some(format!("{a} spans of {label} against {b}"));
        }
    }
    for key in ours.keys().chain(theirs.keys()) {
        let (a, b) = (
            ours.get(key).copied().unwrap_or(0.0),
            theirs.get(key).copied().unwrap_or(0.0),
        );
        if !same(a, b) {
            return Some(format!(
                "{a} spans of {} in interval {} against {b}",
                key.0, key.1
            ));
        }
    }
    None
}

/// Counts are whole; a rate times its step may be off by rounding.
fn same(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-3
}

fn totals(cells: &Cells) -> BTreeMap<&str, f64> {
    let mut totals = BTreeMap::new();
    for ((label, _), value) in cells {
        *totals.entry(label.as_str()).or_default() += value;
    }
    totals
}

/// How well percentiles keep to the exact ones.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Accuracy {
    pub(crate) cells: usize,
    /// Cells farther from the exact percentile than the tolerance.
    pub(crate) outside: usize,
    /// Largest relative distance from the bounds.
    pub(crate) worst: f64,
}

pub(crate) fn accuracy(cells: &Cells, bounds: &Bounds) -> Accuracy {
    let mut accuracy = Accuracy {
        cells: bounds.len(),
        ..Accuracy::default()
    };
    for (key, &(low, high)) in bounds {
        let off = match cells.get(key) {
            Some(&value) if value < low => (low - value) / low.max(1.0),
            Some(&value) => ((value - high) / high.max(1.0)).max(0.0),
            None => f64::INFINITY,
        };
        accuracy.outside += usize::from(off > TOLERANCE);
        accuracy.worst = accuracy.worst.max(off);
    }
    accuracy
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(of: &[(&str, i64, f64)]) -> Cells {
        of.iter()
            .map(|&(label, bin, value)| ((label.to_owned(), bin), value))
            .collect()
    }

    #[test]
    fn finds_what_differs() {
        let ours = cells(&[("a", 1, 2.0), ("b", 1, 3.0)]);
        assert_eq!(difference(&ours, &ours, Measure::Count), None);
        for theirs in [
            cells(&[("a", 1, 2.0)]),
            cells(&[("a", 1, 3.0), ("b", 1, 2.0)]),
            cells(&[("a", 2, 2.0), ("b", 1, 3.0)]),
        ] {
            assert!(
                difference(&ours, &theirs, Measure::Count).is_some(),
                "{theirs:?}"
            );
        }
        assert_eq!(
            difference(&ours, &cells(&[("a", 1, 9.0), ("b", 1, 9.0)]), Measure::P99),
            None
        );
    }

    #[test]
    fn percentiles_may_be_off_by_a_little() {
        let bounds = Bounds::from([(("a".to_owned(), 1), (100.0, 110.0))]);
        assert_eq!(accuracy(&cells(&[("a", 1, 99.0)]), &bounds).outside, 0);
        assert_eq!(accuracy(&cells(&[("a", 1, 120.0)]), &bounds).outside, 1);
        assert_eq!(accuracy(&cells(&[]), &bounds).outside, 1);
    }
}
