//! Every setting: its path, its default, and what one gives up by changing it.
//!
//! The printed defaults, the checks of files, `--set` and `docs/configuration.md` all come from this
//! table. Where Tempo has the same setting, it has the same name.

use super::value::Kind;

/// One setting.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// The path, its parts joined by dots.
    pub path: &'static str,
    /// What its value looks like.
    pub kind: Kind,
    /// The default, as one would write it.
    pub default: &'static str,
    /// What it does, and the trade-off.
    pub doc: &'static str,
}

/// The setting of this path.
#[must_use]
pub fn find(path: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.path == path)
}

/// Whether some setting lies below this path.
#[must_use]
pub fn is_section(path: &str) -> bool {
    KEYS.iter().any(|key| {
        key.path
            .strip_prefix(path)
            .is_some_and(|rest| rest.starts_with('.'))
    })
}

const fn key(path: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Key {
    Key {
        path,
        kind,
        default,
        doc,
    }
}

/// All settings, in the order they are printed.
pub static KEYS: &[Key] = &[
    key(
        "data_dir",
        Kind::Text,
        "./spandrel-data",
        "Folder of the write-ahead log and, with backend `local`, of the blocks. Also --data-dir.",
    ),
    key(
        "http_api_prefix",
        Kind::Text,
        "",
        "Prefix of every path of the query API, for example /tempo.",
    ),
    key(
        "multitenancy_enabled",
        Kind::Bool,
        "false",
        "Read the tenant from X-Scope-OrgID, and refuse requests without it. Off: everything belongs to one tenant.",
    ),
    key(
        "shutdown_delay",
        Kind::Duration,
        "0s",
        "How long /ready says no before the ports close at shutdown, so that load balancers notice.",
    ),
    // server
    key(
        "server.http_listen_address",
        Kind::Text,
        "",
        "Address of the query port; empty: every address of the machine.",
    ),
    key(
        "server.http_listen_port",
        Kind::Int,
        "3200",
        "The query port: Prometheus API below /prom, Tempo API, /metrics, /ready. 0: any free port.",
    ),
    key(
        "server.http_server_idle_timeout",
        Kind::Duration,
        "2m",
        "Time that a client has for the head of its next request, and in which it must take some of an answer. A silent HTTP/2 connection is checked this often, and closed if nobody answers.",
    ),
    key(
        "server.max_connections",
        Kind::Int,
        "4096",
        "Connections to the query port at the same time; more wait to be accepted.",
    ),
    key(
        "server.graceful_shutdown_timeout",
        Kind::Duration,
        "25s",
        "Time that requests under way get to finish at shutdown.",
    ),
    key(
        "server.log_level",
        Kind::Choice(&["error", "warn", "info", "debug", "trace"]),
        "info",
        "Least severe message that is logged. The variable RUST_LOG wins over it.",
    ),
    key(
        "server.log_format",
        Kind::Choice(&["logfmt", "json"]),
        "logfmt",
        "Shape of a log line.",
    ),
    key(
        "server.ports_file",
        Kind::Text,
        "",
        "File that gets the addresses in use as JSON once all ports are open; for scripts that ask for port 0.",
    ),
    // receivers
    key(
        "distributor.receivers.otlp.protocols.grpc.endpoint",
        Kind::Text,
        "0.0.0.0:4317",
        "Address for OTLP over gRPC; port 0: any free port.",
    ),
    key(
        "distributor.receivers.otlp.protocols.http.endpoint",
        Kind::Text,
        "0.0.0.0:4318",
        "Address for OTLP over HTTP, protobuf and JSON; port 0: any free port.",
    ),
    key(
        "receivers.max_connections",
        Kind::Int,
        "4096",
        "Connections to the OTLP ports at the same time; more wait to be accepted.",
    ),
    key(
        "receivers.max_streams_per_connection",
        Kind::Int,
        "100",
        "HTTP/2 streams at the same time in one connection.",
    ),
    key(
        "receivers.body_timeout",
        Kind::Duration,
        "30s",
        "Time without a byte after which the body of a request is given up.",
    ),
    key(
        "receivers.idle_timeout",
        Kind::Duration,
        "2m",
        "Time that a sender has for the head of its next request. A silent HTTP/2 connection is checked this often, and closed if nobody answers.",
    ),
    // limits of what is received
    key(
        "ingest.max_request_bytes",
        Kind::Bytes,
        "64MiB",
        "Bytes of one request, both as sent and decompressed. A larger one is refused for good (413).",
    ),
    key(
        "ingest.max_spans_per_request",
        Kind::Int,
        "100000",
        "Spans of one request.",
    ),
    key(
        "ingest.max_messages_per_request",
        Kind::Int,
        "1000000",
        "Resources, scopes, spans, events, links, attributes and values of one request.",
    ),
    key(
        "ingest.max_value_depth",
        Kind::Int,
        "16",
        "Levels of arrays and maps inside an attribute value; a span with more is rejected, its neighbours are not.",
    ),
    key(
        "ingest.max_attribute_bytes",
        Kind::Bytes,
        "16KiB",
        "Bytes of one attribute value; longer text is cut and the sender told.",
    ),
    key(
        "ingest.max_attribute_key_bytes",
        Kind::Bytes,
        "1KiB",
        "Bytes of one attribute key; longer keys are cut.",
    ),
    key(
        "ingest.max_span_attributes",
        Kind::Int,
        "1024",
        "Attributes of one span; more are dropped and counted as dropped.",
    ),
    key(
        "ingest.max_resource_attributes",
        Kind::Int,
        "512",
        "Attributes of one resource or instrumentation scope.",
    ),
    key(
        "ingest.max_event_attributes",
        Kind::Int,
        "256",
        "Attributes of one event or link.",
    ),
    key(
        "ingest.max_span_events",
        Kind::Int,
        "2048",
        "Events of one span.",
    ),
    key(
        "ingest.max_span_links",
        Kind::Int,
        "1024",
        "Links of one span.",
    ),
    key(
        "ingest.max_span_bytes",
        Kind::Bytes,
        "1MiB",
        "Bytes of one span; a larger one is rejected, its neighbours are not.",
    ),
    key(
        "ingest.max_future",
        Kind::Duration,
        "10m",
        "How far in the future a span may start. The past has no limit.",
    ),
    key(
        "ingest.max_decode_memory_bytes",
        Kind::Bytes,
        "512MiB",
        "Memory for requests being received and decoded, over all connections; beyond it requests are refused for the moment (503).",
    ),
    key(
        "ingest.retry_window_requests",
        Kind::Int,
        "100000",
        "Requests remembered, so that one sent again is not stored again.",
    ),
    key(
        "ingest.retry_window",
        Kind::Duration,
        "10m",
        "How long a request is remembered.",
    ),
    key(
        "overrides.defaults.ingestion.rate_limit_bytes",
        Kind::Bytes,
        "0",
        "Bytes that one tenant may send a second, decompressed; 0: no limit. Beyond it requests are refused for the moment (429).",
    ),
    key(
        "overrides.defaults.ingestion.burst_size_bytes",
        Kind::Bytes,
        "64MiB",
        "Bytes that one tenant may send at once; a larger request is refused for good (413).",
    ),
    key(
        "overrides.defaults.ingestion.rate_limit_spans",
        Kind::Int,
        "0",
        "Spans that one tenant may send a second; 0: no limit. Beyond it requests are refused for the moment (429).",
    ),
    key(
        "overrides.defaults.ingestion.burst_size_spans",
        Kind::Int,
        "100000",
        "Spans that one tenant may send at once; a larger request is refused for good (413).",
    ),
    key(
        "overrides.defaults.compaction.compaction_disabled",
        Kind::Bool,
        "false",
        "Leave blocks as ingest cuts them: nothing is merged, nothing that is old is deleted. `spandrel compact` and another process on the same store still do.",
    ),
    key(
        "overrides.defaults.global.max_bytes_per_trace",
        Kind::Bytes,
        "5MB",
        "Bytes of OTLP of one trace in an answer; a larger trace is shown in part. 0: no limit. Traces of any size are stored.",
    ),
    key(
        "overrides.defaults.read.max_bytes_per_tag_values_query",
        Kind::Bytes,
        "1MB",
        "Bytes of attribute names or values in an answer; more are left out. 0: no limit.",
    ),
    key(
        "overrides.defaults.read.left_pad_trace_ids",
        Kind::Bool,
        "false",
        "Write trace ids in search results with their leading zeros, as 32 digits.",
    ),
    // the way to blocks
    key(
        "live_store.max_block_bytes",
        Kind::Bytes,
        "50MiB",
        "A block is cut once it holds this many bytes of OTLP. Larger: fewer and better compressed blocks, more memory.",
    ),
    key(
        "live_store.max_block_duration",
        Kind::Duration,
        "1m",
        "A block is cut this long after its first span.",
    ),
    key(
        "live_store.max_trace_idle",
        Kind::Duration,
        "10s",
        "A block is cut once no span of its tenant has come for this long.",
    ),
    key(
        "live_store.max_unflushed_bytes",
        Kind::Bytes,
        "150MiB",
        "Bytes of OTLP waiting to become blocks, over all tenants, beyond which senders wait for a second and are then refused for the moment (503).",
    ),
    key(
        "live_store.flush_concurrency",
        Kind::Int,
        "2",
        "Blocks written at the same time.",
    ),
    key(
        "wal.low_water_bytes",
        Kind::Bytes,
        "512MiB",
        "Requests are refused (503) while the log's disk has less free space than this.",
    ),
    // storage
    key(
        "storage.trace.backend",
        Kind::Choice(&["local", "s3", "gcs", "azure"]),
        "local",
        "Where blocks are kept.",
    ),
    key(
        "storage.trace.local.path",
        Kind::Text,
        "",
        "Folder of the blocks with backend `local`; empty: `store` in the data folder.",
    ),
    key(
        "storage.trace.local.max_bytes",
        Kind::Bytes,
        "0",
        "With the backend `local`, the oldest windows of all tenants are deleted once blocks take more than this, down to the newest one, which stays. 0: never. What was deleted takes room for another hour.",
    ),
    key(
        "storage.trace.wal.path",
        Kind::Text,
        "",
        "Folder of the write-ahead log; empty: the data folder.",
    ),
    key("storage.trace.s3.bucket", Kind::Text, "", "Bucket."),
    key(
        "storage.trace.s3.prefix",
        Kind::Text,
        "",
        "Prefix of every object's name.",
    ),
    key(
        "storage.trace.s3.endpoint",
        Kind::Text,
        "",
        "Address of the service, for example minio:9000; empty: Amazon's.",
    ),
    key("storage.trace.s3.region", Kind::Text, "", "Region."),
    key(
        "storage.trace.s3.access_key",
        Kind::Text,
        "",
        "Access key; empty: from the environment or the machine's role.",
    ),
    key(
        "storage.trace.s3.secret_key",
        Kind::Secret,
        "",
        "Secret key.",
    ),
    key(
        "storage.trace.s3.session_token",
        Kind::Secret,
        "",
        "Session token.",
    ),
    key(
        "storage.trace.s3.insecure",
        Kind::Bool,
        "false",
        "Talk plain HTTP to the endpoint.",
    ),
    key(
        "storage.trace.s3.forcepathstyle",
        Kind::Bool,
        "false",
        "Put the bucket into the path instead of the host name.",
    ),
    key(
        "storage.trace.gcs.bucket_name",
        Kind::Text,
        "",
        "Bucket. Credentials come from the environment.",
    ),
    key(
        "storage.trace.gcs.prefix",
        Kind::Text,
        "",
        "Prefix of every object's name.",
    ),
    key(
        "storage.trace.azure.storage_account_name",
        Kind::Text,
        "",
        "Account.",
    ),
    key(
        "storage.trace.azure.storage_account_key",
        Kind::Secret,
        "",
        "Key of the account; empty: from the environment or the machine's identity.",
    ),
    key(
        "storage.trace.azure.endpoint_suffix",
        Kind::Text,
        "blob.core.windows.net",
        "Domain of the service; or the whole address of the account, for example http://azurite:10000/devstoreaccount1.",
    ),
    key(
        "storage.trace.azure.container_name",
        Kind::Text,
        "",
        "Container.",
    ),
    key(
        "storage.trace.azure.prefix",
        Kind::Text,
        "",
        "Prefix of every object's name.",
    ),
    // queries
    key(
        "query_frontend.max_outstanding_per_tenant",
        Kind::Int,
        "2000",
        "Queries of one tenant that may wait for their turn; the next one is refused (429).",
    ),
    key(
        "query_frontend.multi_tenant_queries_enabled",
        Kind::Bool,
        "true",
        "Let `a|b` in X-Scope-OrgID query several tenants at once.",
    ),
    key(
        "query_frontend.max_query_expression_size_bytes",
        Kind::Bytes,
        "128KiB",
        "Longest query text.",
    ),
    key(
        "query_frontend.query_end_cutoff",
        Kind::Duration,
        "0s",
        "The newest part of the time range that Tempo-API queries leave out. 0, because a span is queryable as soon as it is acknowledged.",
    ),
    key(
        "query_frontend.api_timeout",
        Kind::Duration,
        "0s",
        "Longest time that a request may take; 0: no limit beyond querier.search.query_timeout.",
    ),
    key(
        "query_frontend.max_retries",
        Kind::Int,
        "2",
        "How often a job that failed because storage was unavailable is run again, as a whole.",
    ),
    key(
        "query_frontend.metrics.max_duration",
        Kind::Duration,
        "0s",
        "Longest time range of a query; 0: no limit. Work is bounded by time, memory and the number of intervals instead.",
    ),
    key(
        "query_frontend.metrics.max_intervals",
        Kind::Int,
        "10000",
        "Most intervals of a Tempo-API range query.",
    ),
    key(
        "query_frontend.metrics.max_response_series",
        Kind::Int,
        "0",
        "Most series in an answer, 0: no limit. A longer answer is cut and says so.",
    ),
    key(
        "query_frontend.metrics.concurrent_jobs",
        Kind::Int,
        "0",
        "Jobs in flight at once, over all queries, whose tenants take turns; 0: four per core. More hides the latency of an object store, and costs memory.",
    ),
    key(
        "query_frontend.metrics.target_bytes_per_job",
        Kind::Bytes,
        "32MiB",
        "Bytes that one job should read. Smaller jobs share the cores better; each has a small cost of its own.",
    ),
    key(
        "query_frontend.metrics.interval",
        Kind::Duration,
        "5m",
        "Longest time that the spans of one job should cover; 0: no limit.",
    ),
    key(
        "query_frontend.cache.max_bytes",
        Kind::Bytes,
        "256MiB",
        "Memory for what metrics queries come to over stored spans, kept so that the next query computes only what is new; the least recently used is dropped first. 0: nothing is kept, and queries that arrive together share no work.",
    ),
    key(
        "query_frontend.search.default_result_limit",
        Kind::Int,
        "20",
        "Traces in the answer of a search that does not say how many it wants.",
    ),
    key(
        "query_frontend.search.max_result_limit",
        Kind::Int,
        "262144",
        "Most traces that a search may ask for; 0: no limit.",
    ),
    key(
        "query_frontend.search.default_spans_per_span_set",
        Kind::Int,
        "3",
        "Spans of each spanset in the answer of a search that does not say how many it wants.",
    ),
    key(
        "query_frontend.search.max_spans_per_span_set",
        Kind::Int,
        "100",
        "Most spans of each spanset that a search may ask for; 0: no limit.",
    ),
    key(
        "query_frontend.search.max_duration",
        Kind::Duration,
        "0s",
        "Longest time range of a search; 0: no limit.",
    ),
    key(
        "querier.max_concurrent_queries",
        Kind::Int,
        "20",
        "Queries that run at once; further ones wait, and their tenants take turns.",
    ),
    key(
        "querier.search.query_timeout",
        Kind::Duration,
        "1m",
        "Longest time that a query may take, waiting included.",
    ),
    key(
        "querier.column_cache.max_bytes",
        Kind::Bytes,
        "256MiB",
        "Memory for columns of stored blocks that queries have read, so that the next ones need not fetch and decompress them; what was not used for long goes first. 0: none are kept.",
    ),
    key(
        "backend_worker.compaction.block_retention",
        Kind::Duration,
        "0s",
        "Blocks whose last span ended longer ago are deleted. 0: blocks are kept for ever (Tempo's default is 336h).",
    ),
    key(
        "backend_worker.compaction.max_concurrency",
        Kind::Int,
        "1",
        "Threads that merge blocks. They have a lower priority than those that serve queries and take spans.",
    ),
    key(
        "backend_worker.compaction.max_block_bytes",
        Kind::Bytes,
        "256MiB",
        "Compaction cuts a window of time by trace id into so many pieces that each is about this large at most. Larger: fewer files and requests; smaller: less memory to write one.",
    ),
    key(
        "query.max_memory_bytes",
        Kind::Bytes,
        "256MiB",
        "Most bytes of aggregation state that one query may hold.",
    ),
    key(
        "query.max_response_bytes",
        Kind::Bytes,
        "64MiB",
        "Most bytes of one answer, before compression.",
    ),
    key(
        "prom.instant_lookback",
        Kind::Duration,
        "5m",
        "Window of an instant query, which in Prometheus names only its end.",
    ),
    key(
        "prom.label_names",
        Kind::Choice(&["utf8", "underscore"]),
        "utf8",
        "Label names as TraceQL writes them, or with `_` for everything but letters, digits and `_`.",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_unique_and_defaults_fit_their_kinds() {
        for (index, key) in KEYS.iter().enumerate() {
            assert!(
                KEYS[..index].iter().all(|earlier| earlier.path != key.path),
                "{} stands twice",
                key.path
            );
            assert!(
                key.kind.parse(key.default).is_some(),
                "default of {}",
                key.path
            );
            assert!(!is_section(key.path), "{} is a key and a section", key.path);
            assert!(key.doc.ends_with('.'), "doc of {}", key.path);
        }
    }

    #[test]
    fn sections_are_known() {
        assert!(is_section("server"));
        assert!(is_section("storage.trace.s3"));
        assert!(!is_section("server.http_listen_port"));
        assert!(!is_section("serv"));
    }
}
