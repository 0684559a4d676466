//! Readers of answers that refuse what they do not know, as Grafana's do.

#![expect(dead_code, reason = "fields are there to be read")]

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};

/// Reads an answer, or says what is wrong with it.
pub(crate) fn read<T: DeserializeOwned>(text: &str) -> T {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// A 64-bit number, which is a text.
fn wide<'de, D: Deserializer<'de>>(input: D) -> Result<u64, D::Error> {
    let text = String::deserialize(input)?;
    text.parse().map_err(serde::de::Error::custom)
}

fn signed<'de, D: Deserializer<'de>>(input: D) -> Result<i64, D::Error> {
    let text = String::deserialize(input)?;
    text.parse().map_err(serde::de::Error::custom)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Search {
    pub(crate) traces: Vec<Trace>,
    pub(crate) metrics: Metrics,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub(crate) struct Trace {
    #[serde(rename = "traceID")]
    pub(crate) trace_id: String,
    pub(crate) root_service_name: String,
    pub(crate) root_trace_name: String,
    #[serde(deserialize_with = "wide")]
    pub(crate) start_time_unix_nano: u64,
    pub(crate) duration_ms: u32,
    pub(crate) span_set: SpanSet,
    pub(crate) span_sets: Vec<SpanSet>,
    pub(crate) service_stats: BTreeMap<String, ServiceStats>,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub(crate) struct SpanSet {
    pub(crate) spans: Vec<Span>,
    pub(crate) matched: u32,
    pub(crate) attributes: Vec<KeyValue>,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub(crate) struct Span {
    #[serde(rename = "spanID")]
    pub(crate) span_id: String,
    pub(crate) name: String,
    #[serde(deserialize_with = "wide")]
    pub(crate) start_time_unix_nano: u64,
    #[serde(deserialize_with = "wide")]
    pub(crate) duration_nanos: u64,
    pub(crate) attributes: Vec<KeyValue>,
}

#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub(crate) struct ServiceStats {
    pub(crate) span_count: u32,
    pub(crate) error_count: u32,
}

/// `SearchMetrics`, and what of it `MetadataMetrics` has.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub(crate) struct Metrics {
    inspected_traces: u32,
    #[serde(deserialize_with = "wide")]
    inspected_bytes: u64,
    pub(crate) total_blocks: u32,
    completed_jobs: u32,
    pub(crate) total_jobs: u32,
    #[serde(deserialize_with = "wide")]
    total_block_bytes: u64,
    #[serde(deserialize_with = "wide")]
    inspected_spans: u64,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeyValue {
    pub(crate) key: String,
    pub(crate) value: AnyValue,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(
    clippy::enum_variant_names,
    reason = "the names are those of the JSON's fields"
)]
pub(crate) enum AnyValue {
    StringValue(String),
    #[serde(deserialize_with = "signed")]
    IntValue(i64),
    DoubleValue(f64),
    BoolValue(bool),
    ArrayValue(Array),
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Array {
    #[serde(default)]
    pub(crate) values: Vec<AnyValue>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tags {
    pub(crate) scopes: Vec<TagsOfScope>,
    metrics: Metrics,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TagsOfScope {
    pub(crate) name: String,
    pub(crate) tags: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct TagValues {
    pub(crate) tag_values: Vec<TagValue>,
    metrics: Metrics,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TagValue {
    #[serde(rename = "type")]
    pub(crate) value_type: String,
    pub(crate) value: String,
}

/// An instant metrics query.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Instant {
    pub(crate) series: Vec<InstantSeries>,
    metrics: Metrics,
    #[serde(default)]
    status: String,
    #[serde(default)]
    message: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct InstantSeries {
    labels: Vec<KeyValue>,
    #[serde(default)]
    value: f64,
}
