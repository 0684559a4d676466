//! Whether two answers to a metrics query are the same.

use std::collections::HashMap;

use super::tolerance::Tolerance;
use crate::reference::series::{Labels, RefSeries};

/// Whether two answers have the same series, points and values, in any order of the series.
///
/// # Errors
/// A description of the first difference.
pub fn compare_series(
    expected: &[RefSeries],
    actual: &[RefSeries],
    tolerance: Tolerance,
) -> Result<(), String> {
    let mut found: HashMap<&Labels, &RefSeries> = HashMap::new();
    for series in actual {
        if found.insert(&series.labels, series).is_some() {
            return Err(format!(
                "series {} is there twice",
                show_labels(&series.labels)
            ));
        }
    }
    for series in expected {
        let name = show_labels(&series.labels);
        let actual = found
            .remove(&series.labels)
            .ok_or_else(|| format!("series {name} is missing"))?;
        if actual.values.len() != series.values.len() {
            let (expected, actual) = (series.values.len(), actual.values.len());
            return Err(format!(
                "series {name} has {actual} intervals instead of {expected}"
            ));
        }
        for (interval, (expected, actual)) in series.values.iter().zip(&actual.values).enumerate() {
            let same = match (expected, actual) {
                (Some(expected), Some(actual)) => tolerance.accepts(*expected, *actual),
                (expected, actual) => expected == actual,
            };
            if !same {
                return Err(format!(
                    "series {name}, interval {interval}: {actual:?} instead of {expected:?}"
                ));
            }
        }
    }
    match found.keys().map(|labels| show_labels(labels)).min() {
        Some(name) => Err(format!("series {name} should not be there")),
        None => Ok(()),
    }
}

/// Labels as text, for messages.
#[must_use]
pub fn show_labels(labels: &Labels) -> String {
    let shown: Vec<String> = labels
        .iter()
        .map(|(name, value)| format!("{name}={}", value.order_text()))
        .collect();
    format!("{{{}}}", shown.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::LabelValue;

    fn series(label: i64, values: &[Option<f64>]) -> RefSeries {
        RefSeries {
            labels: vec![("a".to_owned(), LabelValue::Int(label))],
            values: values.to_vec(),
        }
    }

    #[test]
    fn order_of_series_does_not_matter() {
        let (one, two) = (series(1, &[Some(1.0), None]), series(2, &[Some(2.0), None]));
        let answer = [two.clone(), one.clone()];
        assert_eq!(
            compare_series(&[one, two], &answer, Tolerance::ROUNDING),
            Ok(())
        );
    }

    #[test]
    fn differences_are_named() {
        let expected = [series(1, &[Some(1.0), None])];
        let difference = |actual: &[RefSeries]| {
            compare_series(&expected, actual, Tolerance::ROUNDING).expect_err("they differ")
        };
        assert_eq!(difference(&[]), "series {a=int:1} is missing");
        assert_eq!(
            difference(&[series(1, &[Some(1.0), Some(0.0)])]),
            "series {a=int:1}, interval 1: Some(0.0) instead of None"
        );
        assert_eq!(
            difference(&[series(1, &[Some(1.0), None]), series(2, &[None, None])]),
            "series {a=int:2} should not be there"
        );
        assert!(Tolerance::SKETCH.accepts(1.0, 1.01));
        assert!(!Tolerance::SKETCH.accepts(1.0, 1.02));
    }
}
