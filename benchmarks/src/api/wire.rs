//! The JSON of the two APIs, as their clients read it.

use std::collections::BTreeMap;

use engine::{Grid, Label, LabelValue, Series, SeriesSet};
use serde::{Deserialize, Deserializer, de};

const MILLISECOND_NS: i64 = 1_000_000;

/// An answer of the Tempo API.
#[derive(Debug, Deserialize)]
pub(crate) struct TempoAnswer {
    pub(crate) series: Vec<TempoSeries>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct TempoSeries {
    labels: Vec<KeyValue>,
    samples: Vec<Sample>,
    #[serde(default)]
    exemplars: Vec<Exemplar>,
}

#[derive(Debug, Deserialize)]
struct KeyValue {
    key: String,
    value: AnyValue,
}

#[derive(Debug, Deserialize)]
enum AnyValue {
    #[serde(rename = "stringValue")]
    String(String),
    #[serde(rename = "intValue", deserialize_with = "wide")]
    Int(i64),
    #[serde(rename = "doubleValue")]
    Float(f64),
    #[serde(rename = "boolValue")]
    Bool(bool),
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sample {
    #[serde(deserialize_with = "wide")]
    timestamp_ms: i64,
    value: f64,
}

#[derive(Debug, Deserialize)]
struct Exemplar {
    labels: Vec<KeyValue>,
    #[expect(dead_code, reason = "clients read it")]
    value: f64,
}

impl TempoAnswer {
    /// How many exemplars lead to a trace.
    pub(crate) fn exemplars(&self) -> usize {
        let exemplars = self.series.iter().flat_map(|series| &series.exemplars);
        let named = exemplars.filter(|exemplar| {
            let mut labels = exemplar.labels.iter();
            labels.any(|label| label.key == "trace:id")
        });
        named.count()
    }

    /// The series, of which only the samples in a grid are kept.
    pub(crate) fn into_set(self, grid: Grid) -> SeriesSet {
        let series = self.series.into_iter().map(|series| {
            let mut values = vec![f64::NAN; usize::try_from(grid.intervals).unwrap_or(0)];
            for sample in &series.samples {
                let interval = grid.interval_of(sample.timestamp_ms * MILLISECOND_NS);
                let interval = interval.and_then(|interval| usize::try_from(interval).ok());
                if let Some(value) = interval.and_then(|interval| values.get_mut(interval)) {
                    *value = sample.value;
                }
            }
            Series {
                labels: series.labels.into_iter().map(Label::from).collect(),
                values: values.into(),
            }
        });
        SeriesSet {
            grid,
            series: series.collect(),
        }
    }
}

impl From<KeyValue> for Label {
    fn from(label: KeyValue) -> Self {
        Self {
            name: label.key.into(),
            value: match label.value {
                AnyValue::String(text) => LabelValue::String(text.into()),
                AnyValue::Int(value) => LabelValue::Int(value),
                AnyValue::Float(value) => LabelValue::Float(value),
                AnyValue::Bool(value) => LabelValue::Bool(value),
            },
        }
    }
}

/// A 64-bit integer, which is written as text.
fn wide<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(de::Error::custom)
}

/// An answer of the Prometheus API.
#[derive(Debug, Deserialize)]
pub(crate) struct PrometheusAnswer {
    pub(crate) data: Matrix,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Matrix {
    pub(crate) result: Vec<PrometheusSeries>,
}

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "clients read it")]
pub(crate) struct PrometheusSeries {
    metric: BTreeMap<String, String>,
    values: Vec<(f64, String)>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_the_tempo_api_become_series() {
        let json = r#"{"series":[{
            "labels":[{"key":"code","value":{"intValue":"500"}}],
            "samples":[{"timestampMs":"10000","value":2},{"timestampMs":"30000","value":0.5}],
            "exemplars":[{"labels":[{"key":"trace:id","value":{"stringValue":"2a"}}],"value":2,"timestampMs":"9000"}]
        }],"metrics":{"inspectedSpans":"3"}}"#;
        let answer: TempoAnswer = serde_json::from_str(json).unwrap();
        assert_eq!(answer.exemplars(), 1);
        let second = 1_000_000_000;
        let grid = Grid::of_samples(20 * second, 30 * second, 10 * second).unwrap();
        let set = answer.into_set(grid);
        assert_eq!(set.series[0].labels[0].value, LabelValue::Int(500));
        let samples: Vec<_> = set.series[0].values.samples().collect();
        assert_eq!(samples, [(1, 0.5)]);
    }
}
