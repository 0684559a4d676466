//! Answers as cells of a table, and whether two are the same.

use std::collections::BTreeMap;

/// One value per label and interval; intervals are numbered from the epoch by their end.
pub(crate) type Cells = BTreeMap<(String, i64), f64>;

/// How an absent label is written.
pub(crate) const NO_LABEL: &str = "nil";
/// How far an estimated percentile may be from the exact one.
const TOLERANCE: f64 = 0.02;
/// Sums of floats depend on their order a little, and so do rates times their step.
const ROUNDING: f64 = 1e-9;

/// Bounds of the exact percentile of each cell, in ns.
pub(crate) type Bounds = BTreeMap<(String, i64), (f64, f64)>;

/// How the values of two answers compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Values {
    /// They are the same.
    Same,
    /// They are estimates of different kinds, and for [`accuracy`] to judge.
    Estimates,
}

/// The first difference between answers, if there is one: a cell of one only, or other values.
pub(crate) fn difference(ours: &Cells, theirs: &Cells, values: Values) -> Option<String> {
    for ((label, bin), &a) in ours {
        match theirs.get(&(label.clone(), *bin)) {
            None => {
                return Some(format!(
                    "`{label}` in interval {bin} has {a} against nothing"
                ));
            }
            Some(&b)
                if values == Values::Same && (a - b).abs() > ROUNDING * a.abs().max(b.abs()) =>
            {
                return Some(format!("`{label}` in interval {bin} has {a} against {b}"));
            }
            Some(_) => {}
        }
    }
    let extra = theirs.iter().find(|(key, _)| !ours.contains_key(*key));
    extra.map(|((label, bin), b)| format!("`{label}` in interval {bin} has nothing against {b}"))
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
        assert_eq!(difference(&ours, &ours, Values::Same), None);
        for theirs in [
            cells(&[("a", 1, 2.0)]),
            cells(&[("a", 1, 2.0), ("b", 1, 3.0), ("c", 1, 1.0)]),
            cells(&[("a", 1, 3.0), ("b", 1, 2.0)]),
            cells(&[("a", 2, 2.0), ("b", 1, 3.0)]),
        ] {
            let found = difference(&ours, &theirs, Values::Same);
            assert!(found.is_some(), "{theirs:?}");
        }
        let estimates = cells(&[("a", 1, 9.0), ("b", 1, 9.0)]);
        assert_eq!(difference(&ours, &estimates, Values::Estimates), None);
    }

    #[test]
    fn percentiles_may_be_off_by_a_little() {
        let bounds = Bounds::from([(("a".to_owned(), 1), (100.0, 110.0))]);
        assert_eq!(accuracy(&cells(&[("a", 1, 99.0)]), &bounds).outside, 0);
        assert_eq!(accuracy(&cells(&[("a", 1, 120.0)]), &bounds).outside, 1);
        assert_eq!(accuracy(&cells(&[]), &bounds).outside, 1);
    }
}
