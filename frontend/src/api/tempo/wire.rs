//! The JSON of the metrics endpoints: the proto3 JSON mapping of Tempo's messages.
//!
//! Grafana reads it with a strict decoder: one unknown key fails the whole panel.

use engine::{Exemplar, Label, LabelValue, Series};
use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};

use super::numbers::{Double, Wide};
use crate::answer::Answer;
use crate::stats::QueryStats;

/// The answer of `/api/metrics/query_range`.
pub(super) struct RangeResponse(pub(super) Answer);

/// The answer of `/api/metrics/query`: one value per series.
pub(super) struct InstantResponse(pub(super) Answer);

impl Serialize for RangeResponse {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let grid = self.0.series.grid;
        let times_ms: Vec<i64> = (0..grid.intervals)
            .map(|index| grid.sample_ns(index).div_euclid(1_000_000))
            .collect();
        let series = Sequence(|| {
            let series = self.0.series.series.iter().enumerate();
            let sampled = series.filter(|(_, series)| series.values.has_sample());
            sampled.map(|(index, series)| RangeSeries {
                series,
                exemplars: self.0.exemplars.get(index).map_or(&[], Vec::as_slice),
                times_ms: &times_ms,
            })
        });
        serialize_answer(&self.0, &series, serializer)
    }
}

impl Serialize for InstantResponse {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let series = Sequence(|| {
            self.0.series.series.iter().filter_map(|series| {
                let value = series.values.get(0).filter(|value| !value.is_nan())?;
                Some(InstantSeries { series, value })
            })
        });
        serialize_answer(&self.0, &series, serializer)
    }
}

fn serialize_answer<S: Serializer>(
    answer: &Answer,
    series: &impl Serialize,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(None)?;
    map.serialize_entry("series", series)?;
    map.serialize_entry("metrics", &WireStats(&answer.stats))?;
    if let Some(reason) = &answer.partial {
        map.serialize_entry("status", "PARTIAL")?;
        map.serialize_entry("message", &reason.to_string())?;
    }
    map.end()
}

struct RangeSeries<'a> {
    series: &'a Series,
    exemplars: &'a [Exemplar],
    times_ms: &'a [i64],
}

impl Serialize for RangeSeries<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let samples = Sequence(|| {
            let samples = self.series.values.samples();
            samples.filter_map(|(interval, value)| {
                let time_ms = *self.times_ms.get(interval)?;
                Some(WireSample { time_ms, value })
            })
        });
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("labels", &Labels(&self.series.labels))?;
        map.serialize_entry("samples", &samples)?;
        if !self.exemplars.is_empty() {
            let exemplars = Sequence(|| self.exemplars.iter().map(WireExemplar));
            map.serialize_entry("exemplars", &exemplars)?;
        }
        map.end()
    }
}

struct WireExemplar<'a>(&'a Exemplar);

impl Serialize for WireExemplar<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let exemplar = self.0;
        let id = |name: &str, id: String| Label {
            name: name.into(),
            value: LabelValue::String(id.into()),
        };
        let trace_id = exemplar.trace_id.to_string();
        let mut labels = vec![
            // As TraceQL and search have it.
            id("trace:id", trace_id.trim_start_matches('0').to_owned()),
            id("span:id", exemplar.span_id.to_string()),
        ];
        labels.extend(exemplar.attributes.iter().cloned());
        let mut map = serializer.serialize_map(Some(3))?;
        map.serialize_entry("labels", &Labels(&labels))?;
        map.serialize_entry("value", &Double(exemplar.value))?;
        map.serialize_entry(
            "timestampMs",
            &Wide(exemplar.start_ns.div_euclid(1_000_000)),
        )?;
        map.end()
    }
}

struct InstantSeries<'a> {
    series: &'a Series,
    value: f64,
}

impl Serialize for InstantSeries<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("labels", &Labels(&self.series.labels))?;
        map.serialize_entry("value", &Double(self.value))?;
        map.end()
    }
}

struct WireSample {
    time_ms: i64,
    value: f64,
}

impl Serialize for WireSample {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("timestampMs", &Wide(self.time_ms))?;
        map.serialize_entry("value", &Double(self.value))?;
        map.end()
    }
}

struct Labels<'a>(&'a [Label]);

impl Serialize for Labels<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut labels = serializer.serialize_seq(Some(self.0.len()))?;
        for label in self.0 {
            labels.serialize_element(&KeyValue(label))?;
        }
        labels.end()
    }
}

struct KeyValue<'a>(&'a Label);

impl Serialize for KeyValue<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("key", &self.0.name)?;
        map.serialize_entry("value", &AnyValue(&self.0.value))?;
        map.end()
    }
}

struct AnyValue<'a>(&'a LabelValue);

impl Serialize for AnyValue<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        match self.0 {
            LabelValue::String(value) => map.serialize_entry("stringValue", value.as_str())?,
            LabelValue::Int(value) => map.serialize_entry("intValue", &Wide(*value))?,
            LabelValue::Float(value) => map.serialize_entry("doubleValue", &Double(*value))?,
            LabelValue::Bool(value) => map.serialize_entry("boolValue", value)?,
        }
        map.end()
    }
}

/// Counters; those at zero are left out. 64-bit ones are texts, 32-bit ones numbers.
struct WireStats<'a>(&'a QueryStats);

impl Serialize for WireStats<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let narrow = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
        let stats = self.0;
        let mut map = serializer.serialize_map(None)?;
        for (key, count) in [
            ("inspectedBytes", stats.inspected_bytes),
            ("totalBlockBytes", stats.block_bytes),
            ("inspectedSpans", stats.inspected_spans),
        ] {
            if count > 0 {
                map.serialize_entry(key, &Wide(count))?;
            }
        }
        for (key, count) in [
            ("totalBlocks", stats.blocks_kept()),
            ("totalJobs", stats.jobs_total),
            ("completedJobs", stats.jobs_completed),
        ] {
            if count > 0 {
                map.serialize_entry(key, &narrow(count))?;
            }
        }
        map.end()
    }
}

/// A JSON array made while it is written.
struct Sequence<F>(F);

impl<F, I> Serialize for Sequence<F>
where
    F: Fn() -> I,
    I: Iterator<Item: Serialize>,
{
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq((self.0)())
    }
}

#[cfg(test)]
mod tests {
    use engine::{Grid, SeriesSet};

    use super::*;
    use crate::answer::PartialReason;

    fn label(name: &str, value: LabelValue) -> Label {
        Label {
            name: name.into(),
            value,
        }
    }

    fn answer(labels: Vec<Label>, values: Vec<f64>, partial: Option<PartialReason>) -> Answer {
        let intervals = u32::try_from(values.len()).unwrap();
        let grid = Grid {
            start_ns: 0,
            step_ns: 1_500_000_000,
            intervals,
        };
        let series = SeriesSet {
            grid,
            series: vec![Series {
                labels,
                values: values.into(),
            }],
        };
        let stats = QueryStats {
            jobs_total: 2,
            jobs_completed: 2,
            inspected_spans: 9,
            ..QueryStats::default()
        };
        Answer {
            series,
            exemplars: Vec::new(),
            stats,
            partial,
            notices: Vec::new(),
        }
    }

    #[test]
    fn range_answers() {
        let labels = vec![
            label("resource.service.name", LabelValue::String("cart".into())),
            label("span.code", LabelValue::Int(200)),
            label("span.ok", LabelValue::Bool(true)),
            label("p", LabelValue::Float(0.9)),
        ];
        let values = vec![0.0, f64::NAN, 0.300_000_000_000_000_04, 2.0];
        let response = RangeResponse(answer(labels, values, None));
        assert_eq!(
            serde_json::to_string(&response).unwrap(),
            concat!(
                r#"{"series":[{"labels":["#,
                r#"{"key":"resource.service.name","value":{"stringValue":"cart"}},"#,
                r#"{"key":"span.code","value":{"intValue":"200"}},"#,
                r#"{"key":"span.ok","value":{"boolValue":true}},"#,
                r#"{"key":"p","value":{"doubleValue":0.9}}],"#,
                r#""samples":[{"timestampMs":"1500","value":0},"#,
                r#"{"timestampMs":"4500","value":0.30000000000000004},"#,
                r#"{"timestampMs":"6000","value":2}]}],"#,
                r#""metrics":{"inspectedSpans":"9","totalJobs":2,"completedJobs":2}}"#,
            )
        );
    }

    #[test]
    fn instant_and_partial_answers() {
        let labels = vec![label("__name__", LabelValue::String("rate".into()))];
        let partial = Some(PartialReason::SeriesLimit { limit: 1 });
        let response = InstantResponse(answer(labels, vec![f64::INFINITY], partial));
        let json = serde_json::to_string(&response).unwrap();
        assert!(
            json.contains(r#""value":"Infinity"}],"metrics":"#),
            "{json}"
        );
        assert!(
            json.contains(r#""status":"PARTIAL","message":"the limit of 1 series"#),
            "{json}"
        );
    }

    #[test]
    fn series_without_samples_are_left_out() {
        let empty = answer(Vec::new(), vec![f64::NAN], None);
        let range = serde_json::to_value(RangeResponse(empty.clone())).unwrap();
        assert_eq!(range["series"], serde_json::json!([]));
        let instant = serde_json::to_value(InstantResponse(empty)).unwrap();
        assert_eq!(instant["series"], serde_json::json!([]));
    }
}
