//! What is known about a data set, computed by other software than ours.
//!
//! Only the parts that tests compare with are read: totals, services, spans per minute, and queries
//! with the numbers of spans and traces they select. `definitions` in each file says what every
//! number means.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::reference::is_span_local;

/// Facts about one data set.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Facts {
    /// Counts over the whole data set.
    pub totals: Totals,
    /// Counts and durations by service; `(none)` stands for spans without a service.
    pub services: BTreeMap<String, ServiceFacts>,
    /// Durations of all spans.
    pub duration_ns_all: DurationFacts,
    /// Spans by the minute in which they start.
    pub per_minute: PerMinute,
    /// Queries with what they select.
    pub queries: Vec<QueryFact>,
    /// The traces with the most spans.
    pub largest_traces: Vec<TraceFacts>,
    /// How many spans have a key with a value of a type: by scope, key and type.
    pub attribute_counts: BTreeMap<String, BTreeMap<String, BTreeMap<String, u64>>>,
    /// How many spans have a value: by attribute, type and value; the commonest values only.
    pub attribute_values: BTreeMap<String, BTreeMap<String, BTreeMap<String, u64>>>,
}

/// What is known about one trace.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct TraceFacts {
    /// Its id, 32 hex digits.
    pub trace_id: String,
    /// Its spans.
    pub spans: u64,
    /// Last end minus first start.
    #[serde(deserialize_with = "decimal")]
    pub trace_duration_ns: i64,
    /// The services it passes.
    pub services: u64,
    /// Its spans with status error.
    pub errors: u64,
    /// Earliest start, epoch ns.
    #[serde(deserialize_with = "decimal")]
    pub start_unix_nano: i64,
    /// The service of its root span, if it has one.
    pub root_service: Option<String>,
    /// The name of its root span, if it has one.
    pub root_name: Option<String>,
}

/// Counts over a whole data set.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Totals {
    /// Spans.
    pub spans: u64,
    /// Distinct trace ids.
    pub traces: u64,
    /// Distinct service names.
    pub services: u64,
    /// Spans without a parent id.
    pub root_spans: u64,
    /// Spans with a parent id that no span of their trace has.
    pub missing_parent_spans: u64,
    /// Spans with status error.
    pub error_spans: u64,
    /// Events of all spans.
    pub events: u64,
    /// Links of all spans.
    pub links: u64,
    /// Earliest start, epoch ns, of the spans that have one.
    #[serde(deserialize_with = "decimal")]
    pub min_start_unix_nano: i64,
    /// Latest end, epoch ns.
    #[serde(deserialize_with = "decimal")]
    pub max_end_unix_nano: i64,
    /// Sum of all durations.
    #[serde(deserialize_with = "decimal")]
    pub sum_duration_ns: i64,
}

/// What is known about one service.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct ServiceFacts {
    /// Its spans.
    pub spans: u64,
    /// Its spans with status error.
    pub errors: u64,
    /// The traces it appears in.
    pub traces: u64,
    /// Its root spans.
    pub root_spans: u64,
    /// Their durations.
    pub duration_ns: DurationFacts,
}

/// Durations in ns; the percentiles are those of nearest rank.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct DurationFacts {
    /// Shortest.
    #[serde(deserialize_with = "decimal")]
    pub min: i64,
    /// Longest.
    #[serde(deserialize_with = "decimal")]
    pub max: i64,
    /// All together.
    #[serde(deserialize_with = "decimal")]
    pub sum: i64,
    /// Median.
    #[serde(rename = "p50_nearest_rank", deserialize_with = "decimal")]
    pub p50: i64,
    /// 90th percentile.
    #[serde(rename = "p90_nearest_rank", deserialize_with = "decimal")]
    pub p90: i64,
    /// 99th percentile.
    #[serde(rename = "p99_nearest_rank", deserialize_with = "decimal")]
    pub p99: i64,
}

/// Counts by minute (RFC 3339, UTC); minutes without a span are left out.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct PerMinute {
    /// All spans.
    pub all: BTreeMap<String, u64>,
    /// The service that the other two are about.
    pub service: Option<String>,
    /// Its spans.
    #[serde(default)]
    pub service_spans: BTreeMap<String, u64>,
    /// Its spans with status error.
    #[serde(default)]
    pub service_errors: BTreeMap<String, u64>,
}

/// A query and how much it selects.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct QueryFact {
    /// The query.
    pub traceql: String,
    /// Spans it selects.
    pub spans: u64,
    /// Distinct trace ids among them.
    pub traces: u64,
}

/// Why facts cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum FactsError {
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
    Io {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file has another form.
    #[error("unexpected form of {}", path.display())]
    Form {
        /// Which one.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

/// The file that describes all large data sets, loaded together.
#[derive(Deserialize)]
struct Collection {
    all_files_together: Facts,
}

impl Facts {
    /// The facts about one data set.
    ///
    /// # Errors
    /// The file cannot be read or has another form.
    pub fn load(path: &Path) -> Result<Self, FactsError> {
        read(path)
    }

    /// The facts about all large data sets loaded together, from their `facts.json`.
    ///
    /// # Errors
    /// The file cannot be read or has another form.
    pub fn load_collection(path: &Path) -> Result<Self, FactsError> {
        read::<Collection>(path).map(|collection| collection.all_files_together)
    }

    /// The queries with their syntax trees.
    ///
    /// # Errors
    /// A query does not compile.
    pub fn compiled_queries(&self) -> Result<Vec<(&QueryFact, traceql::Query)>, traceql::Error> {
        self.queries
            .iter()
            .map(|fact| Ok((fact, traceql::compile(&fact.traceql)?)))
            .collect()
    }

    /// The queries that are made of filters, with their syntax trees.
    pub fn span_local_queries(&self) -> impl Iterator<Item = (&QueryFact, traceql::Query)> {
        self.queries
            .iter()
            .filter_map(|fact| Some((fact, traceql::compile(&fact.traceql).ok()?)))
            .filter(|(_, query)| is_span_local(query))
    }
}

fn read<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<T, FactsError> {
    let text = std::fs::read(path).map_err(|source| FactsError::Io {
        path: path.to_path_buf(),
        source,
    })?;
    serde_json::from_slice(&text).map_err(|source| FactsError::Form {
        path: path.to_path_buf(),
        source,
    })
}

/// An integer, as such or as a decimal string, which the files use where 64 bits may be needed.
fn decimal<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        Number(i64),
        Text(String),
    }
    match Either::deserialize(deserializer)? {
        Either::Number(number) => Ok(number),
        Either::Text(text) => text.parse().map_err(serde::de::Error::custom),
    }
}
