//! Settings of the query path. Where Tempo has the same setting, it has Tempo's key.

use serde::{Deserialize, Serialize};

use crate::duration::GoDuration;

const MIB: u64 = 1 << 20;

/// Settings of the query path.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct FrontendConfig {
    /// Put in front of every `/api/…` path; not of `/prom`, `/ready`, `/metrics` and `/status`.
    pub http_api_prefix: String,
    /// Whether requests must name their tenant in `X-Scope-OrgID`. Without it all spans belong to
    /// one tenant and the header is ignored.
    pub multitenancy_enabled: bool,
    /// Planning and limits.
    pub query_frontend: QueryFrontendConfig,
    /// Execution.
    pub querier: QuerierConfig,
    /// The Prometheus API.
    pub prom: PromConfig,
    /// What one query may use.
    pub query: QueryConfig,
    /// Limits that in Tempo can differ by tenant.
    pub overrides: OverridesConfig,
}

/// Planning and limits of queries.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QueryFrontendConfig {
    /// How often a job that failed because storage was unavailable is run again as a whole.
    pub max_retries: u32,
    /// Longest time that a request may take, 0 for no limit beyond `querier.search.query_timeout`.
    pub api_timeout: GoDuration,
    /// Queries of one tenant that may wait for their turn; the next one is refused with 429.
    pub max_outstanding_per_tenant: usize,
    /// Whether `a|b` in `X-Scope-OrgID` queries several tenants at once.
    pub multi_tenant_queries_enabled: bool,
    /// Longest query text.
    pub max_query_expression_size_bytes: usize,
    /// The newest part of the time range that Tempo-API queries leave out. 0, because a span is
    /// queryable as soon as it is acknowledged.
    pub query_end_cutoff: GoDuration,
    /// Metrics queries.
    pub metrics: MetricsConfig,
    /// Searches.
    pub search: SearchConfig,
    /// What is kept of metrics queries for the next ones.
    pub cache: CacheConfig,
}

/// What is kept of metrics queries for the next ones.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CacheConfig {
    /// Most bytes of partial states that are kept, the least recently used dropped first; 0 keeps
    /// none, and has every query run all of its jobs itself.
    pub max_bytes: u64,
}

/// Planning and limits of metrics queries.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MetricsConfig {
    /// Longest time range of a query, 0 for no limit. 0 by default: a long range costs no more than
    /// the spans in it, which may be years old and few; work is bounded by time, memory and the
    /// number of intervals instead.
    pub max_duration: GoDuration,
    /// Most intervals of a Tempo-API range query.
    pub max_intervals: u64,
    /// Most series in an answer, 0 for no limit; a longer answer is cut and says so.
    pub max_response_series: usize,
    /// Jobs in flight at once, over all queries, 0 for four per core. More hides the latency of an
    /// object store, and costs memory.
    pub concurrent_jobs: usize,
    /// Bytes that one job should read; a query that reads little is split finer, so that all cores
    /// share it.
    pub target_bytes_per_job: u64,
    /// Longest time that the spans of one job should cover, 0 for no limit. Row groups are never
    /// cut, so one that covers more is a job of its own.
    pub interval: GoDuration,
}

/// Limits of searches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SearchConfig {
    /// Traces in an answer, unless the request says.
    pub default_result_limit: usize,
    /// Most traces that a request may ask for, 0 for no limit.
    pub max_result_limit: usize,
    /// Spans of each spanset in an answer, unless the request says.
    pub default_spans_per_span_set: usize,
    /// Most spans of each spanset that a request may ask for, 0 for no limit.
    pub max_spans_per_span_set: usize,
    /// Longest time range of a search, 0 for no limit. 0 by default for the reason given at
    /// [`MetricsConfig::max_duration`].
    pub max_duration: GoDuration,
}

/// Execution of queries.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QuerierConfig {
    /// Queries that run at once; further ones wait.
    pub max_concurrent_queries: usize,
    /// Execution of searches and metrics.
    pub search: QuerierSearchConfig,
    /// Columns of stored blocks in memory.
    pub column_cache: ColumnCacheConfig,
}

/// Columns of stored blocks that are kept in memory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ColumnCacheConfig {
    /// Most bytes that they take; 0 keeps none, and has every query fetch and decompress its own.
    pub max_bytes: u64,
}

/// Execution of searches and metrics queries.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QuerierSearchConfig {
    /// Longest time that a query may take, waiting included.
    pub query_timeout: GoDuration,
}

/// The Prometheus API.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PromConfig {
    /// Window of an instant query, which in Prometheus names only its end.
    pub instant_lookback: GoDuration,
    /// How label names are written, unless the request says.
    pub label_names: LabelNames,
}

/// How label names are written for Prometheus clients.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LabelNames {
    /// As TraceQL writes them: `resource.service.name`.
    #[default]
    Utf8,
    /// With `_` for everything but letters, digits and `_`: `resource_service_name`.
    Underscore,
}

/// What one query may use.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QueryConfig {
    /// Most bytes of aggregation state that one query may hold.
    pub max_memory_bytes: u64,
    /// Most bytes of one answer before compression.
    pub max_response_bytes: usize,
}

/// Limits that in Tempo can differ by tenant; here they hold for every tenant.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OverridesConfig {
    /// The limits of every tenant.
    pub defaults: TenantLimits,
}

/// Limits of one tenant.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TenantLimits {
    /// Limits of traces.
    pub global: GlobalLimits,
    /// Limits and shape of what is read.
    pub read: ReadLimits,
}

/// Limits of traces.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GlobalLimits {
    /// Most bytes of OTLP of one trace in an answer, 0 for no limit.
    pub max_bytes_per_trace: u64,
}

/// Limits and shape of what is read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReadLimits {
    /// Most bytes of names or values in an answer about attributes, 0 for no limit; more are left
    /// out.
    pub max_bytes_per_tag_values_query: usize,
    /// Whether trace ids in the answers of searches have their leading zeros.
    pub left_pad_trace_ids: bool,
}

impl Default for QueryFrontendConfig {
    fn default() -> Self {
        Self {
            max_retries: 2,
            api_timeout: GoDuration::ZERO,
            max_outstanding_per_tenant: 2000,
            multi_tenant_queries_enabled: true,
            max_query_expression_size_bytes: 128 << 10,
            query_end_cutoff: GoDuration::ZERO,
            metrics: MetricsConfig::default(),
            search: SearchConfig::default(),
            cache: CacheConfig::default(),
        }
    }
}

impl Default for CacheConfig {
    fn default() -> Self {
        Self {
            max_bytes: 256 * MIB,
        }
    }
}

impl Default for SearchConfig {
    fn default() -> Self {
        Self {
            default_result_limit: 20,
            max_result_limit: 262_144,
            default_spans_per_span_set: 3,
            max_spans_per_span_set: 100,
            max_duration: GoDuration::ZERO,
        }
    }
}

impl Default for GlobalLimits {
    fn default() -> Self {
        Self {
            max_bytes_per_trace: 5_000_000,
        }
    }
}

impl Default for ReadLimits {
    fn default() -> Self {
        Self {
            max_bytes_per_tag_values_query: 1_000_000,
            left_pad_trace_ids: false,
        }
    }
}

impl Default for MetricsConfig {
    fn default() -> Self {
        Self {
            max_duration: GoDuration::ZERO,
            max_intervals: 10_000,
            max_response_series: 0,
            concurrent_jobs: 0,
            target_bytes_per_job: 32 * MIB,
            interval: GoDuration::from_secs(5 * 60),
        }
    }
}

impl Default for QuerierConfig {
    fn default() -> Self {
        Self {
            max_concurrent_queries: 20,
            search: QuerierSearchConfig::default(),
            column_cache: ColumnCacheConfig::default(),
        }
    }
}

impl Default for ColumnCacheConfig {
    fn default() -> Self {
        Self {
            max_bytes: 256 << 20,
        }
    }
}

impl Default for QuerierSearchConfig {
    fn default() -> Self {
        Self {
            query_timeout: GoDuration::from_secs(60),
        }
    }
}

impl Default for PromConfig {
    fn default() -> Self {
        Self {
            instant_lookback: GoDuration::from_secs(5 * 60),
            label_names: LabelNames::Utf8,
        }
    }
}

impl Default for QueryConfig {
    fn default() -> Self {
        Self {
            max_memory_bytes: 256 * MIB,
            max_response_bytes: 64 << 20,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_and_typos_refused() {
        let config: FrontendConfig = serde_json::from_str(
            r#"{"query_frontend":{"metrics":{"max_duration":"1h30m","max_intervals":5}},
                "prom":{"label_names":"underscore"}}"#,
        )
        .unwrap();
        assert_eq!(
            config.query_frontend.metrics.max_duration,
            GoDuration::from_secs(5400)
        );
        assert_eq!(config.query_frontend.metrics.max_intervals, 5);
        assert_eq!(config.prom.label_names, LabelNames::Underscore);
        assert_eq!(config.querier, QuerierConfig::default());

        let typo = serde_json::from_str::<FrontendConfig>(r#"{"querier":{"serch":{}}}"#);
        assert!(typo.unwrap_err().to_string().contains("serch"));
    }

    #[test]
    fn durations_print_as_they_are_read() {
        let json = serde_json::to_value(FrontendConfig::default()).unwrap();
        assert_eq!(json["querier"]["search"]["query_timeout"], "1m0s");
        assert_eq!(json["query_frontend"]["metrics"]["interval"], "5m0s");
    }
}
