//! Series of the engine as Prometheus clients know them.

use std::collections::BTreeMap;

use engine::{LabelValue, Series, SeriesSet};

use super::envelope::ApiError;
use super::sample::format_value;
use super::wire::{WireSeries, WireValues};
use crate::api::params::Params;
use crate::config::LabelNames;

/// How histograms are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Histograms {
    /// As TraceQL has them: `__bucket`, each bucket by itself.
    Buckets,
    /// As Prometheus has them: `le`, cumulative, with `+Inf`.
    Cumulative,
}

/// How series are shown. Grafana appends a data source's custom parameters to every request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RenderOptions {
    pub(super) label_names: LabelNames,
    pub(super) histograms: Histograms,
}

/// Series to send, and what to know about them.
#[derive(Debug, PartialEq)]
pub(super) struct Rendered {
    pub(super) series: Vec<WireSeries>,
    pub(super) warnings: Vec<String>,
}

impl RenderOptions {
    pub(super) fn parse(params: &Params, default: LabelNames) -> Result<Self, ApiError> {
        let label_names = match params.get("label_names") {
            None => default,
            Some("utf8") => LabelNames::Utf8,
            Some("underscore") => LabelNames::Underscore,
            Some(_) => return Err(ApiError::parameter("label_names", "use utf8 or underscore")),
        };
        let histograms = match params.get("histogram") {
            None | Some("traceql") => Histograms::Buckets,
            Some("prometheus") => Histograms::Cumulative,
            Some(_) => {
                return Err(ApiError::parameter(
                    "histogram",
                    "use traceql or prometheus",
                ));
            }
        };
        Ok(Self {
            label_names,
            histograms,
        })
    }
}

pub(super) fn render(set: SeriesSet, options: RenderOptions) -> Rendered {
    let series = match options.histograms {
        Histograms::Buckets => set
            .series
            .into_iter()
            .map(|series| plain(series, options))
            .collect(),
        Histograms::Cumulative => cumulative(set, options),
    };
    let warnings = duplicates(&series).into_iter().collect();
    Rendered { series, warnings }
}

fn plain(series: Series, options: RenderOptions) -> WireSeries {
    let labels = series
        .labels
        .into_iter()
        .map(|label| (label.name.to_string(), text(&label.value)));
    WireSeries {
        metric: metric(labels, options),
        values: WireValues::Sparse(series.values),
    }
}

/// Buckets of one histogram, by their upper bound.
type Buckets = Vec<(f64, engine::Values)>;

/// Adds the buckets of each histogram up. Series that are no buckets stay as they are.
fn cumulative(set: SeriesSet, options: RenderOptions) -> Vec<WireSeries> {
    let mut histograms: BTreeMap<Vec<(String, String)>, Buckets> = BTreeMap::new();
    let mut rendered = Vec::new();
    for mut series in set.series {
        let bucket = series
            .labels
            .iter()
            .position(|label| &*label.name == "__bucket");
        match bucket.map(|index| (index, &series.labels[index].value)) {
            Some((index, &LabelValue::Float(bound))) => {
                series.labels.remove(index);
                let WireSeries { metric, .. } = plain(
                    Series {
                        labels: series.labels,
                        values: Vec::new().into(),
                    },
                    options,
                );
                histograms
                    .entry(metric)
                    .or_default()
                    .push((bound, series.values));
            }
            _ => rendered.push(plain(series, options)),
        }
    }
    for (labels, mut buckets) in histograms {
        buckets.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        let points = buckets.first().map_or(0, |(_, counts)| counts.len());
        let mut sums = vec![0.0; points];
        for (bound, counts) in buckets {
            for (sum, count) in sums.iter_mut().zip(counts.iter()) {
                // An interval that has none of the bucket adds nothing to it.
                *sum += if count.is_nan() { 0.0 } else { count };
            }
            rendered.push(bucket(&labels, format_value(bound), sums.clone()));
        }
        rendered.push(bucket(&labels, "+Inf".to_owned(), sums));
    }
    rendered
}

fn bucket(labels: &[(String, String)], bound: String, counts: Vec<f64>) -> WireSeries {
    let mut metric = labels.to_vec();
    metric.push(("le".to_owned(), bound));
    metric.sort();
    WireSeries {
        metric,
        values: WireValues::Sparse(counts.into()),
    }
}

/// Labels ordered by name, and each name once.
fn metric(
    labels: impl Iterator<Item = (String, String)>,
    options: RenderOptions,
) -> Vec<(String, String)> {
    let mut metric: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in labels {
        let mut name = match options.label_names {
            LabelNames::Utf8 => name,
            LabelNames::Underscore => underscored(&name),
        };
        while metric.contains_key(&name) {
            name.push('_');
        }
        metric.insert(name, value);
    }
    metric.into_iter().collect()
}

fn underscored(name: &str) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let name: String = name
        .chars()
        .map(|c| if allowed(c) { c } else { '_' })
        .collect();
    if name.starts_with(|c: char| c.is_ascii_digit()) {
        format!("_{name}")
    } else {
        name
    }
}

fn text(value: &LabelValue) -> String {
    match value {
        LabelValue::Float(value) => format_value(*value),
        LabelValue::String(_) | LabelValue::Int(_) | LabelValue::Bool(_) => value.to_text(),
    }
}

/// TraceQL tells the number 5 from the text "5", Prometheus does not.
fn duplicates(series: &[WireSeries]) -> Option<String> {
    let mut metrics: Vec<&[(String, String)]> = series
        .iter()
        .map(|series| series.metric.as_slice())
        .collect();
    metrics.sort_unstable();
    let twice = metrics.windows(2).find(|pair| pair[0] == pair[1])?;
    let labels: Vec<String> = twice[0]
        .iter()
        .map(|(name, value)| format!("{name}={value:?}"))
        .collect();
    Some(format!(
        "some series have the same labels, because in Prometheus label values have no types: {{{}}}",
        labels.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use engine::{Grid, Label};

    use super::*;

    const PLAIN: RenderOptions = RenderOptions {
        label_names: LabelNames::Utf8,
        histograms: Histograms::Buckets,
    };

    type Labelled<'a> = (Vec<(&'a str, LabelValue)>, Vec<f64>);

    fn set(series: Vec<Labelled<'_>>) -> SeriesSet {
        let series = series.into_iter().map(|(labels, values)| Series {
            labels: labels
                .into_iter()
                .map(|(name, value)| Label {
                    name: name.into(),
                    value,
                })
                .collect(),
            values: values.into(),
        });
        let grid = Grid {
            start_ns: 0,
            step_ns: 1,
            intervals: 2,
        };
        SeriesSet {
            grid,
            series: series.collect(),
        }
    }

    fn labels(rendered: &Rendered) -> Vec<Vec<(&str, &str)>> {
        rendered
            .series
            .iter()
            .map(|series| {
                series
                    .metric
                    .iter()
                    .map(|(name, value)| (name.as_str(), value.as_str()))
                    .collect()
            })
            .collect()
    }

    #[test]
    fn labels_are_texts() {
        let rendered = render(
            set(vec![(
                vec![
                    ("span.b", LabelValue::Bool(true)),
                    ("span.a", LabelValue::Int(200)),
                    ("p", LabelValue::Float(1.0)),
                ],
                vec![1.0, 2.0],
            )]),
            PLAIN,
        );
        assert_eq!(
            labels(&rendered),
            [[("p", "1"), ("span.a", "200"), ("span.b", "true")]]
        );
        assert!(rendered.warnings.is_empty());
    }

    #[test]
    fn underscores_collide_visibly() {
        let options = RenderOptions {
            label_names: LabelNames::Underscore,
            ..PLAIN
        };
        let value = || LabelValue::Int(1);
        let labelled = vec![("span.a-b", value()), ("span.a.b", value()), ("0", value())];
        let rendered = render(set(vec![(labelled, vec![1.0])]), options);
        assert_eq!(
            labels(&rendered),
            [[("_0", "1"), ("span_a_b", "1"), ("span_a_b_", "1")]]
        );
    }

    #[test]
    fn series_that_differ_by_type_only_are_told() {
        let rendered = render(
            set(vec![
                (vec![("span.a", LabelValue::Int(5))], vec![1.0]),
                (vec![("span.a", LabelValue::String("5".into()))], vec![1.0]),
            ]),
            PLAIN,
        );
        assert_eq!(rendered.series.len(), 2);
        assert!(
            rendered.warnings[0].contains("{span.a=\"5\"}"),
            "{:?}",
            rendered.warnings
        );
    }

    #[test]
    fn histograms_add_up() {
        let buckets = set(vec![
            (
                vec![("__bucket", LabelValue::Float(0.5))],
                vec![2.0, f64::NAN],
            ),
            (vec![("__bucket", LabelValue::Float(0.25))], vec![1.0, 4.0]),
        ]);
        let options = RenderOptions {
            histograms: Histograms::Cumulative,
            ..PLAIN
        };
        let rendered = render(buckets, options);
        assert_eq!(
            labels(&rendered),
            [[("le", "0.25")], [("le", "0.5")], [("le", "+Inf")]]
        );
        let values: Vec<&WireValues> = rendered
            .series
            .iter()
            .map(|series| &series.values)
            .collect();
        assert_eq!(
            values,
            [
                &WireValues::Sparse(vec![1.0, 4.0].into()),
                &WireValues::Sparse(vec![3.0, 4.0].into()),
                &WireValues::Sparse(vec![3.0, 4.0].into())
            ]
        );
    }
}
