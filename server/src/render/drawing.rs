//! The answer of a metrics query as all renderers take it.

/// The answer of a metrics query, whichever way it came.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Drawing {
    /// Time of the first sample, ns since the epoch.
    pub start_ns: i64,
    /// Time of the last sample.
    pub end_ns: i64,
    /// Whether there is one sample per series, over the whole range.
    pub is_instant: bool,
    /// The series.
    pub lines: Vec<Line>,
}

/// One series.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Line {
    /// Its labels.
    pub labels: Vec<(String, String)>,
    /// Its samples: time in ns since the epoch, value. Ascending in time; without NaN.
    pub points: Vec<(i64, f64)>,
}

impl Line {
    /// The labels as one text: the value alone where one label tells series apart, and then the
    /// quantile or bucket.
    #[must_use]
    pub fn name(&self) -> String {
        let is_detail = |name: &str| matches!(name, "p" | "__bucket" | "le");
        let (detail, own): (Vec<_>, Vec<_>) =
            self.labels.iter().partition(|(name, _)| is_detail(name));
        let mut parts: Vec<String> = match own.as_slice() {
            [(_, value)] => vec![value.clone()],
            own => own
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect(),
        };
        parts.extend(detail.iter().map(|(name, value)| format!("{name}={value}")));
        if parts.is_empty() {
            "{}".to_owned()
        } else {
            parts.join(" ")
        }
    }

    /// The value of a label; empty if the series lacks it.
    #[must_use]
    pub fn label(&self, name: &str) -> &str {
        self.labels
            .iter()
            .find(|(own, _)| own == name)
            .map_or("", |(_, value)| value)
    }

    /// Last, least, greatest and mean value; `None` without samples.
    #[must_use]
    pub fn summary(&self) -> Option<Summary> {
        let (_, last) = *self.points.last()?;
        let values = || self.points.iter().map(|(_, value)| *value);
        #[expect(clippy::cast_precision_loss, reason = "nobody sees 2^53 samples")]
        let count = self.points.len() as f64;
        Some(Summary {
            last,
            min: values().fold(f64::INFINITY, f64::min),
            max: values().fold(f64::NEG_INFINITY, f64::max),
            mean: values().sum::<f64>() / count,
        })
    }
}

/// A series in four numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Summary {
    /// The newest value.
    pub last: f64,
    /// The least value.
    pub min: f64,
    /// The greatest value.
    pub max: f64,
    /// The mean of the values.
    pub mean: f64,
}

/// All label names, in order of first appearance.
pub(super) fn label_names(lines: &[Line]) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for (name, _) in lines.iter().flat_map(|line| &line.labels) {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    names
}

#[cfg(test)]
pub(crate) mod samples {
    use super::{Drawing, Line};
    use crate::times::SECOND_NS;

    pub(crate) const START: i64 = 1_734_093_420 * SECOND_NS;

    /// Two series over ten minutes: a ramp, and a wave with a hole.
    pub(crate) fn two_lines() -> Drawing {
        let at = |index: i64| START + index * 60 * SECOND_NS;
        let label = |value: &str| vec![("resource.service.name".to_owned(), value.to_owned())];
        let ramp = (0..=10)
            .map(|index| {
                (
                    at(index),
                    f64::from(i32::try_from(index).unwrap_or(0)) * 10.0,
                )
            })
            .collect();
        let wave = [0, 1, 2, 3, 7, 8, 9, 10]
            .map(|index| (at(index), if index % 2 == 0 { 20.0 } else { 80.0 }))
            .to_vec();
        Drawing {
            start_ns: START,
            end_ns: at(10),
            is_instant: false,
            lines: vec![
                Line {
                    labels: label("cart"),
                    points: ramp,
                },
                Line {
                    labels: label("frontend"),
                    points: wave,
                },
            ],
        }
    }
}
