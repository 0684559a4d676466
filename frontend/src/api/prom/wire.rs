//! The JSON of query results.

use engine::Grid;
use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};

use super::sample::{Sample, Seconds};

/// `data` of a query answer.
#[derive(Debug)]
pub(super) struct QueryData {
    pub(super) result: QueryResult,
    pub(super) stats: Option<Stats>,
}

/// The result of a query, by its type.
#[derive(Debug)]
pub(super) enum QueryResult {
    Scalar {
        time_ns: i64,
        value: f64,
    },
    Text {
        time_ns: i64,
        value: String,
    },
    Vector {
        time_ns: i64,
        series: Vec<WireSeries>,
    },
    Matrix {
        grid: Grid,
        series: Vec<WireSeries>,
    },
}

/// One series: its labels, ordered by name, and its values, `None` where it has no sample.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct WireSeries {
    pub(super) metric: Vec<(String, String)>,
    pub(super) values: WireValues,
}

/// Values, one per point in time.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum WireValues {
    /// NaN means that there is no sample.
    Sparse(engine::Values),
    /// NaN is a value like any other.
    Full(Vec<f64>),
}

impl WireValues {
    /// Position and value of each sample.
    pub(super) fn samples(&self) -> impl Iterator<Item = (usize, f64)> {
        let (sparse, full) = match self {
            Self::Sparse(values) => (Some(values), None),
            Self::Full(values) => (None, Some(values)),
        };
        let full = full.into_iter().flatten().copied().enumerate();
        let sparse = sparse.into_iter().flat_map(engine::Values::samples);
        full.chain(sparse)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.samples().next().is_none()
    }
}

/// What a query took, in Prometheus' terms: spans are the samples that are read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stats {
    pub(super) seconds: f64,
    pub(super) samples_read: u64,
    pub(super) samples_made: u64,
}

impl Serialize for QueryData {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Grafana reads the answer as a stream and must know the type before the result.
        let mut map = serializer.serialize_map(None)?;
        match &self.result {
            QueryResult::Scalar { time_ns, value } => {
                map.serialize_entry("resultType", "scalar")?;
                map.serialize_entry(
                    "result",
                    &Sample {
                        time_ns: *time_ns,
                        value: *value,
                    },
                )?;
            }
            QueryResult::Text { time_ns, value } => {
                map.serialize_entry("resultType", "string")?;
                map.serialize_entry("result", &(Seconds(*time_ns), value))?;
            }
            QueryResult::Vector { time_ns, series } => {
                map.serialize_entry("resultType", "vector")?;
                map.serialize_entry(
                    "result",
                    &Vector {
                        time_ns: *time_ns,
                        series,
                    },
                )?;
            }
            QueryResult::Matrix { grid, series } => {
                map.serialize_entry("resultType", "matrix")?;
                map.serialize_entry(
                    "result",
                    &Matrix {
                        grid: *grid,
                        series,
                    },
                )?;
            }
        }
        if let Some(stats) = &self.stats {
            map.serialize_entry("stats", stats)?;
        }
        map.end()
    }
}

struct Vector<'a> {
    time_ns: i64,
    series: &'a [WireSeries],
}

impl Serialize for Vector<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.series.iter().filter_map(|series| {
            let (_, value) = series.values.samples().next()?;
            let value = Sample {
                time_ns: self.time_ns,
                value,
            };
            Some(OneSeries {
                metric: &series.metric,
                key: "value",
                samples: value,
            })
        }))
    }
}

struct Matrix<'a> {
    grid: Grid,
    series: &'a [WireSeries],
}

impl Serialize for Matrix<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let sampled = self
            .series
            .iter()
            .filter(|series| !series.values.is_empty());
        serializer.collect_seq(sampled.map(|series| {
            let samples = Samples {
                grid: self.grid,
                values: &series.values,
            };
            OneSeries {
                metric: &series.metric,
                key: "values",
                samples,
            }
        }))
    }
}

struct OneSeries<'a, T> {
    metric: &'a [(String, String)],
    key: &'static str,
    samples: T,
}

impl<T: Serialize> Serialize for OneSeries<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("metric", &Metric(self.metric))?;
        map.serialize_entry(self.key, &self.samples)?;
        map.end()
    }
}

pub(super) struct Metric<'a>(pub(super) &'a [(String, String)]);

impl Serialize for Metric<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

struct Samples<'a> {
    grid: Grid,
    values: &'a WireValues,
}

impl Serialize for Samples<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut samples = serializer.serialize_seq(None)?;
        for (index, value) in self.values.samples() {
            // A grid has no more than 2^32 points, so every position has its time.
            let Ok(index) = u32::try_from(index) else {
                continue;
            };
            samples.serialize_element(&Sample {
                time_ns: self.grid.sample_ns(index),
                value,
            })?;
        }
        samples.end()
    }
}

impl Serialize for Stats {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let timings = serde_json::json!({
            "evalTotalTime": self.seconds,
            "resultSortTime": 0,
            "queryPreparationTime": 0,
            "innerEvalTime": self.seconds,
            "execQueueTime": 0,
            "execTotalTime": self.seconds,
        });
        let samples = serde_json::json!({
            "totalQueryableSamples": self.samples_read,
            "samplesRead": self.samples_read,
            "peakSamples": self.samples_made,
        });
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("timings", &timings)?;
        map.serialize_entry("samples", &samples)?;
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(result: QueryResult) -> String {
        serde_json::to_string(&QueryData {
            result,
            stats: None,
        })
        .unwrap()
    }

    fn series(values: WireValues) -> Vec<WireSeries> {
        vec![WireSeries {
            metric: vec![("a.b".to_owned(), "c".to_owned())],
            values,
        }]
    }

    #[test]
    fn results() {
        assert_eq!(
            json(QueryResult::Scalar {
                time_ns: 4_000_000_000,
                value: 2.0
            }),
            r#"{"resultType":"scalar","result":[4,"2"]}"#
        );
        assert_eq!(
            json(QueryResult::Text {
                time_ns: 1_435_781_451_781_000_000,
                value: "foo".to_owned()
            }),
            r#"{"resultType":"string","result":[1435781451.781,"foo"]}"#
        );
        assert_eq!(
            json(QueryResult::Vector {
                time_ns: 0,
                series: series(WireValues::Sparse(vec![1.5].into()))
            }),
            r#"{"resultType":"vector","result":[{"metric":{"a.b":"c"},"value":[0,"1.5"]}]}"#
        );
        let grid = Grid::of_samples(1_000_000_000, 2_000_000_000, 500_000_000).unwrap();
        let values = vec![1.0, f64::NAN, 2.0];
        assert_eq!(
            json(QueryResult::Matrix {
                grid,
                series: series(WireValues::Sparse(values.clone().into()))
            }),
            r#"{"resultType":"matrix","result":[{"metric":{"a.b":"c"},"values":[[1,"1"],[2,"2"]]}]}"#
        );
        assert!(
            json(QueryResult::Matrix {
                grid,
                series: series(WireValues::Full(values))
            })
            .contains(r#"[1.5,"NaN"]"#)
        );
        let none = series(WireValues::Sparse(vec![f64::NAN].into()));
        let empty = r#"{"resultType":"matrix","result":[]}"#;
        assert_eq!(json(QueryResult::Matrix { grid, series: none }), empty);
    }
}
