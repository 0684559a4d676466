//! Tempo's settings that have no effect here, each with the reason.
//!
//! A configuration that works with Tempo should start here too, and say what it loses on the way.
//! What would be unsafe to ignore is refused instead.

/// What happens to a setting of Tempo's that is not one of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It has no meaning here; the text says why.
    Meaningless(&'static str),
    /// It will have one later; the text says what happens until then.
    Later(&'static str),
    /// Starting without it would surprise; the text says what to do.
    Refused(&'static str),
}

/// The verdict on a path of Tempo's configuration; `None` if Tempo has no such setting.
#[must_use]
pub fn verdict(path: &str) -> Option<Verdict> {
    let parts: Vec<&str> = path.split('.').collect();
    let matches = |pattern: &str| {
        let pattern: Vec<&str> = pattern.split('.').collect();
        pattern.len() <= parts.len()
            && pattern
                .iter()
                .zip(&parts)
                .all(|(want, part)| *want == "*" || want == part)
    };
    TABLE
        .iter()
        .find(|(pattern, _)| matches(pattern))
        .map(|(_, verdict)| *verdict)
}

/// The path that a setting of an earlier version of Tempo has now, if it means the same.
#[must_use]
pub fn renamed(path: &str) -> Option<String> {
    let rest = path.strip_prefix("compactor.compaction.")?;
    Some(format!("backend_worker.compaction.{rest}"))
}

use Verdict::{Later, Meaningless, Refused};

const ONE_PROCESS: Verdict =
    Meaningless("one process plays all roles, so nothing has to find or feed other processes");
const NO_KAFKA: Verdict =
    Meaningless("spans go to a write-ahead log on local disk, not through Kafka");
const SELF_TUNED: Verdict = Meaningless("this is decided from the data, without a setting");
const COMPACTION: Verdict = Meaningless(
    "windows, sizes and the order of jobs are decided from the blocks; see backend_worker.compaction.block_retention and backend_worker.compaction.max_block_bytes",
);
const GENERATOR: Verdict =
    Later("the metrics generator is not there yet: no series are written from spans");
const OVERRIDES: Verdict =
    Later("limits that differ between tenants are not there yet; every tenant has the same ones");
const TLS: Verdict = Refused(
    "TLS is not there yet, and without it the port would be open in clear text: remove the setting and put a TLS proxy in front",
);
const STORE_TUNING: Verdict = Meaningless(
    "the object store client has one built-in policy for retries, hedging and part sizes",
);
const CACHES: Verdict = Meaningless("blocks need no external cache");
const LOGGING: Verdict = Meaningless("single spans are never logged; query them instead");

/// Patterns of paths, first match counts; `*` stands for any one part, and a pattern covers
/// everything below it.
static TABLE: &[(&str, Verdict)] = &[
    ("target", Meaningless("there is one target, `all`")),
    ("auth_enabled", Refused("it is called multitenancy_enabled")),
    (
        "stream_over_http_enabled",
        Later("gRPC queries are not there yet"),
    ),
    ("internal_server", Meaningless("/ready is on the main port")),
    ("memberlist", ONE_PROCESS),
    (
        "usage_report",
        Meaningless("no usage is reported to anyone"),
    ),
    ("ring", ONE_PROCESS),
    ("usage", Meaningless("there is no cost attribution")),
    // server
    ("server.http_tls_config", TLS),
    ("server.grpc_tls_config", TLS),
    (
        "server.grpc_listen_port",
        Later(
            "gRPC queries are not there yet; OTLP over gRPC has its own port, distributor.receivers.otlp.protocols.grpc.endpoint",
        ),
    ),
    (
        "server.grpc_listen_address",
        Later(
            "gRPC queries are not there yet; OTLP over gRPC has its own address, distributor.receivers.otlp.protocols.grpc.endpoint",
        ),
    ),
    (
        "server.grpc_server_max_recv_msg_size",
        Meaningless("the size of a request is limited by ingest.max_request_bytes"),
    ),
    (
        "server.grpc_server_max_send_msg_size",
        Later("gRPC queries are not there yet"),
    ),
    (
        "server.grpc_server_max_concurrent_streams",
        Meaningless("it is called receivers.max_streams_per_connection"),
    ),
    (
        "server.http_server_read_timeout",
        Meaningless(
            "a client has server.http_server_idle_timeout for the head of a request, and half a minute for a form",
        ),
    ),
    (
        "server.http_server_write_timeout",
        Meaningless("the time of an answer is limited by querier.search.query_timeout"),
    ),
    // distributor
    ("distributor.receivers.otlp.protocols.*.tls", TLS),
    (
        "distributor.receivers.otlp.protocols.*.max_recv_msg_size_mib",
        Meaningless(
            "the size of a request is limited by ingest.max_request_bytes, over both protocols",
        ),
    ),
    (
        "distributor.receivers.otlp.protocols.*.max_request_body_size",
        Meaningless(
            "the size of a request is limited by ingest.max_request_bytes, over both protocols",
        ),
    ),
    (
        "distributor.receivers.otlp.protocols.*",
        Meaningless("the receiver has its own connection handling; see the keys below receivers"),
    ),
    (
        "distributor.receivers.jaeger",
        Later("only OTLP is received; send spans through an OpenTelemetry Collector"),
    ),
    (
        "distributor.receivers.zipkin",
        Later("only OTLP is received; send spans through an OpenTelemetry Collector"),
    ),
    (
        "distributor.receivers.opencensus",
        Later("only OTLP is received; send spans through an OpenTelemetry Collector"),
    ),
    ("distributor.receivers.kafka", NO_KAFKA),
    (
        "distributor.retry_after_on_resource_exhausted",
        Meaningless("every refusal says by itself when to try again"),
    ),
    (
        "distributor.max_attribute_bytes",
        Refused("it is called ingest.max_attribute_bytes"),
    ),
    (
        "distributor.artificial_delay",
        Meaningless("there is no use for it"),
    ),
    ("distributor.log_received_spans", LOGGING),
    ("distributor.log_received_traces", LOGGING),
    ("distributor.log_discarded_spans", LOGGING),
    (
        "distributor.metric_received_spans",
        Meaningless("received spans are always counted on /metrics"),
    ),
    (
        "distributor.forwarders",
        Meaningless("spans are not forwarded"),
    ),
    (
        "distributor.usage",
        Meaningless("there is no cost attribution"),
    ),
    ("distributor.ring", ONE_PROCESS),
    ("distributor.kafka_config", NO_KAFKA),
    ("distributor.kafka_write_path_enabled", NO_KAFKA),
    // query frontend and querier
    (
        "query_frontend.mcp_server.enabled",
        Refused("there is no MCP server"),
    ),
    (
        "query_frontend.mcp_server",
        Meaningless("there is no MCP server"),
    ),
    ("query_frontend.max_batch_size", ONE_PROCESS),
    ("query_frontend.response_consumers", ONE_PROCESS),
    ("query_frontend.weights", ONE_PROCESS),
    (
        "query_frontend.url_deny_list",
        Later("it has no effect yet"),
    ),
    (
        "query_frontend.allowed_headers",
        Meaningless("unknown headers are ignored"),
    ),
    (
        "query_frontend.log_query_request_headers",
        Meaningless("headers are not logged"),
    ),
    (
        "query_frontend.max_grpc_streaming_packet_size",
        Later("gRPC queries are not there yet"),
    ),
    (
        "query_frontend.skip_ast_transformations",
        Meaningless("there is nothing to skip"),
    ),
    (
        "query_frontend.search.query_backend_after",
        Meaningless("recent and stored spans are one answer; there is no border between them"),
    ),
    ("query_frontend.search", SELF_TUNED),
    ("query_frontend.trace_by_id", SELF_TUNED),
    (
        "query_frontend.metrics.max_exemplars",
        Meaningless("an answer has at most 100; requests and hints ask for fewer"),
    ),
    (
        "query_frontend.metrics.query_backend_after",
        Meaningless("recent and stored spans are one answer; there is no border between them"),
    ),
    (
        "query_frontend.metrics.streaming_shards",
        Later("gRPC queries are not there yet"),
    ),
    (
        "query_frontend.metrics.duration_slo",
        Meaningless("latencies are on /metrics as histograms"),
    ),
    (
        "query_frontend.metrics.throughput_bytes_slo",
        Meaningless("latencies are on /metrics as histograms"),
    ),
    (
        "querier.trace_by_id.query_timeout",
        Meaningless("the time of every query is limited by querier.search.query_timeout"),
    ),
    ("querier.trace_by_id", SELF_TUNED),
    ("querier.frontend_worker", ONE_PROCESS),
    ("querier.partition_ring", ONE_PROCESS),
    ("querier.query_relevant_ingesters", ONE_PROCESS),
    ("querier.metrics", SELF_TUNED),
    ("querier.search", SELF_TUNED),
    ("querier.shuffle_sharding_ingesters_enabled", ONE_PROCESS),
    // writing
    (
        "live_store.max_trace_live",
        Meaningless(
            "a block is cut by live_store.max_block_duration, whole, and traces are joined when read",
        ),
    ),
    (
        "live_store.max_live_traces_bytes",
        Meaningless(
            "it is called live_store.max_unflushed_bytes, and holds for all tenants together",
        ),
    ),
    (
        "live_store.complete_block_timeout",
        Meaningless("a block is dropped from memory as soon as it is stored"),
    ),
    ("live_store.flush_check_period", SELF_TUNED),
    ("live_store.fail_on_high_lag", NO_KAFKA),
    ("live_store.readiness_target_lag", NO_KAFKA),
    ("live_store.readiness_max_wait", NO_KAFKA),
    (
        "live_store.shutdown_marker_dir",
        Meaningless("a shutdown needs no marker"),
    ),
    (
        "live_store.wal",
        Meaningless("it is called storage.trace.wal.path"),
    ),
    ("live_store.ring", ONE_PROCESS),
    ("live_store.partition_ring", ONE_PROCESS),
    ("live_store.ingest", NO_KAFKA),
    ("live_store_client", ONE_PROCESS),
    ("block_builder", NO_KAFKA),
    ("ingest.kafka", NO_KAFKA),
    ("ingest.enabled", NO_KAFKA),
    ("backend_scheduler.provider.compaction", COMPACTION),
    ("backend_scheduler", ONE_PROCESS),
    ("backend_scheduler_client", ONE_PROCESS),
    ("backend_worker.compaction", COMPACTION),
    ("backend_worker", ONE_PROCESS),
    // removed in Tempo 3
    (
        "ingester",
        Refused(
            "the ingester is gone since Tempo 3: see live_store.max_block_bytes, live_store.max_block_duration and live_store.max_trace_idle",
        ),
    ),
    (
        "ingester_client",
        Meaningless("the ingester is gone since Tempo 3"),
    ),
    (
        "compactor",
        Meaningless(
            "one process plays all roles, and there is no compactor that others would have to find",
        ),
    ),
    (
        "metrics_generator_client",
        Refused("it is gone since Tempo 3: remove the section"),
    ),
    (
        "metrics_generator.processor.local_blocks",
        Meaningless("metrics queries read spans directly, as in Tempo 3"),
    ),
    ("search_enabled", Meaningless("it is gone since Tempo 2")),
    ("metrics_generator_enabled", GENERATOR),
    // storage
    (
        "storage.trace.block",
        Meaningless("a block chooses its columns and encodings by itself"),
    ),
    (
        "storage.trace.blocklist_poll",
        Meaningless("one small catalog object says which blocks exist; the bucket is never listed"),
    ),
    ("storage.trace.s3.tls_cert_path", TLS),
    (
        "storage.trace.s3.tls_insecure_skip_verify",
        Refused("certificates are always verified"),
    ),
    (
        "storage.trace.s3.sse",
        Later("encryption is left to the bucket's default"),
    ),
    ("storage.trace.s3", STORE_TUNING),
    ("storage.trace.gcs", STORE_TUNING),
    ("storage.trace.azure", STORE_TUNING),
    ("storage.trace.cache", CACHES),
    ("storage.trace.memcached", CACHES),
    ("storage.trace.redis", CACHES),
    ("storage.trace.background_cache", CACHES),
    ("storage.trace.pool", SELF_TUNED),
    ("storage.trace.search", SELF_TUNED),
    ("storage.trace.wal", SELF_TUNED),
    (
        "storage.trace.blocklist_poll_concurrency",
        Meaningless("the bucket is never listed"),
    ),
    (
        "storage.trace.blocklist_poll_fallback",
        Meaningless("the bucket is never listed"),
    ),
    (
        "storage.trace.blocklist_poll_tenant_index_builders",
        Meaningless("the bucket is never listed"),
    ),
    (
        "storage.trace.blocklist_poll_stale_tenant_index",
        Meaningless("the bucket is never listed"),
    ),
    (
        "storage.trace.blocklist_poll_jitter_ms",
        Meaningless("the bucket is never listed"),
    ),
    ("storage.trace.empty_tenant_deletion_enabled", COMPACTION),
    ("storage.trace.empty_tenant_deletion_age", COMPACTION),
    ("cache", CACHES),
    // generator and overrides
    ("metrics_generator", GENERATOR),
    (
        "overrides.user_configurable_overrides",
        Refused("limits cannot be set over the API: remove the section"),
    ),
    ("overrides", OVERRIDES),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_special_pattern_counts() {
        assert!(matches!(
            verdict("distributor.receivers.otlp.protocols.grpc.tls.cert_file"),
            Some(Refused(_))
        ));
        assert!(matches!(
            verdict("distributor.receivers.otlp.protocols.grpc.keepalive"),
            Some(Meaningless(_))
        ));
        assert!(matches!(
            verdict("ingester.max_block_duration"),
            Some(Refused(_))
        ));
        assert!(matches!(
            verdict("metrics_generator.processor.local_blocks"),
            Some(Meaningless(_))
        ));
        assert!(matches!(
            verdict("metrics_generator.storage.path"),
            Some(Later(_))
        ));
        assert_eq!(verdict("server.http_listen_prt"), None);
    }

    #[test]
    fn no_pattern_is_hidden_by_an_earlier_one() {
        for (index, (pattern, _)) in TABLE.iter().enumerate() {
            let hidden = TABLE[..index].iter().find(|(earlier, _)| {
                pattern.starts_with(&format!("{earlier}.")) || earlier == pattern
            });
            assert!(hidden.is_none(), "{pattern} is hidden by {hidden:?}");
        }
    }
}
