//! Settings of the receive path.

use std::time::Duration;

use serde::Deserialize;

const MIB: u64 = 1024 * 1024;

/// Settings of the receive path; every field has a default.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IngestConfig {
    /// Whether the tenant is read from `X-Scope-OrgID`. Off: all spans belong to one tenant.
    pub multitenancy_enabled: bool,
    /// When the spans in memory become a block.
    pub live_store: LiveStoreConfig,
    /// What a request, and a span in it, may contain.
    pub ingest: LimitsConfig,
    /// How much each tenant may send.
    pub rates: RatesConfig,
    /// The write-ahead log.
    pub wal: WalConfig,
    /// The listening side.
    pub receivers: ReceiverConfig,
}

/// When the spans in memory become a block.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LiveStoreConfig {
    /// A block is cut once it holds this many bytes of OTLP. Larger: fewer, better compressed
    /// blocks; more memory, and more to encode for a query that looks at unflushed spans.
    pub max_block_bytes: u64,
    /// A block is cut this long after its first span. It also bounds what is lost with the disk.
    #[serde(deserialize_with = "duration::deserialize")]
    pub max_block_duration: Duration,
    /// A block is cut once no span of its tenant has arrived for this long.
    #[serde(deserialize_with = "duration::deserialize")]
    pub max_trace_idle: Duration,
    /// Requests are refused (retryably) while spans waiting to become blocks exceed this many bytes
    /// of OTLP, over all tenants; in memory they take up to five times as much.
    pub max_unflushed_bytes: u64,
    /// Blocks written at the same time.
    pub flush_concurrency: usize,
}

impl Default for LiveStoreConfig {
    fn default() -> Self {
        Self {
            max_block_bytes: 50 * MIB,
            max_block_duration: Duration::from_secs(60),
            max_trace_idle: Duration::from_secs(10),
            max_unflushed_bytes: 150 * MIB,
            flush_concurrency: 2,
        }
    }
}

/// What a request, and a span in it, may contain.
///
/// What is over a limit of a request is refused whole; what is over a limit of a span costs that
/// span only; over-long values and over-many attributes are cut and the sender is told.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsConfig {
    /// Bytes of one request, both as sent and decompressed.
    pub max_request_bytes: usize,
    /// Spans of one request.
    pub max_spans_per_request: u64,
    /// Messages of one request: resources, scopes, spans, events, links, attributes and values.
    pub max_messages_per_request: u64,
    /// Levels of arrays and maps inside an attribute value.
    pub max_value_depth: u32,
    /// Bytes of one attribute value; longer text and bytes are cut.
    pub max_attribute_bytes: usize,
    /// Bytes of one attribute key; longer keys are cut.
    pub max_attribute_key_bytes: usize,
    /// Attributes of one span; more are dropped and counted as dropped.
    pub max_span_attributes: usize,
    /// Attributes of one resource or instrumentation scope.
    pub max_resource_attributes: usize,
    /// Attributes of one event or link.
    pub max_event_attributes: usize,
    /// Events of one span.
    pub max_span_events: usize,
    /// Links of one span.
    pub max_span_links: usize,
    /// Bytes of one span.
    pub max_span_bytes: usize,
    /// How far in the future a span may start. The past has no limit.
    #[serde(deserialize_with = "duration::deserialize")]
    pub max_future: Duration,
    /// Memory for requests being received and decoded, over all connections.
    pub max_decode_memory_bytes: usize,
    /// Requests remembered, so that a request sent again is not stored again.
    pub retry_window_requests: usize,
    /// How long a request is remembered.
    #[serde(deserialize_with = "duration::deserialize")]
    pub retry_window: Duration,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            max_request_bytes: 64 << 20,
            max_spans_per_request: 100_000,
            max_messages_per_request: 1_000_000,
            max_value_depth: 16,
            max_attribute_bytes: 16 << 10,
            max_attribute_key_bytes: 1 << 10,
            max_span_attributes: 1024,
            max_resource_attributes: 512,
            max_event_attributes: 256,
            max_span_events: 2048,
            max_span_links: 1024,
            max_span_bytes: 1 << 20,
            max_future: Duration::from_secs(600),
            max_decode_memory_bytes: 512 << 20,
            retry_window_requests: 100_000,
            retry_window: Duration::from_secs(600),
        }
    }
}

/// How much each tenant may send.
///
/// No limit by default: memory is bounded by what all requests share, and a single tenant need not
/// be kept from using the machine. Bursts are as large as a request may be.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RatesConfig {
    /// Bytes a second, after decompression; 0 for no limit.
    pub rate_limit_bytes: u64,
    /// Bytes that may come at once.
    pub burst_size_bytes: u64,
    /// Spans a second; 0 for no limit.
    pub rate_limit_spans: u64,
    /// Spans that may come at once.
    pub burst_size_spans: u64,
}

impl Default for RatesConfig {
    fn default() -> Self {
        Self {
            rate_limit_bytes: 0,
            burst_size_bytes: 64 * MIB,
            rate_limit_spans: 0,
            burst_size_spans: 100_000,
        }
    }
}

/// Settings of the write-ahead log.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WalConfig {
    /// Requests are refused (retryably) while the disk has less free space than this.
    pub low_water_bytes: u64,
}

impl Default for WalConfig {
    fn default() -> Self {
        Self {
            low_water_bytes: 512 * MIB,
        }
    }
}

/// Settings of the listening side.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReceiverConfig {
    /// Connections at the same time, over all listeners; more wait to be accepted.
    pub max_connections: usize,
    /// HTTP/2 streams at the same time in one connection.
    pub max_streams_per_connection: u32,
    /// Time without a byte after which a request's body is given up.
    #[serde(deserialize_with = "duration::deserialize")]
    pub body_timeout: Duration,
    /// Time without a request after which a connection is closed; of HTTP/2, if nobody answers.
    #[serde(deserialize_with = "duration::deserialize")]
    pub idle_timeout: Duration,
    /// Time that requests under way get to finish at shutdown.
    #[serde(deserialize_with = "duration::deserialize")]
    pub drain_timeout: Duration,
}

impl Default for ReceiverConfig {
    fn default() -> Self {
        Self {
            max_connections: 4096,
            max_streams_per_connection: 100,
            body_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(120),
            drain_timeout: Duration::from_secs(25),
        }
    }
}

/// Durations as people write them: `500ms`, `10s`, `1m30s`, `2h`, or a number of seconds.
mod duration {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, de::Error};

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Seconds(u64),
        Text(String),
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Duration, D::Error> {
        match Written::deserialize(deserializer)? {
            Written::Seconds(seconds) => Ok(Duration::from_secs(seconds)),
            Written::Text(text) => parse(&text).ok_or_else(|| {
                D::Error::custom(format!("not a duration such as 10s or 1m30s: {text:?}"))
            }),
        }
    }

    pub(super) fn parse(text: &str) -> Option<Duration> {
        match text.trim() {
            "0" => Some(Duration::ZERO),
            text => humantime::parse_duration(text).ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        for (text, millis) in [
            ("500ms", 500),
            ("10s", 10_000),
            ("1m30s", 90_000),
            ("2h", 7_200_000),
            ("0", 0),
        ] {
            assert_eq!(
                duration::parse(text),
                Some(Duration::from_millis(millis)),
                "{text}"
            );
        }
        for text in ["", "10", "s", "-1s", "1x"] {
            assert_eq!(duration::parse(text), None, "{text}");
        }
    }

    #[test]
    fn fields_are_optional_and_unknown_ones_an_error() {
        let config: IngestConfig = serde_json::from_str(
            r#"{"live_store":{"max_block_duration":"30s","max_trace_idle":5}}"#,
        )
        .unwrap();
        assert_eq!(
            config.live_store.max_block_duration,
            Duration::from_secs(30)
        );
        assert_eq!(config.live_store.max_trace_idle, Duration::from_secs(5));
        assert_eq!(config.live_store.max_block_bytes, 50 * MIB);
        assert!(serde_json::from_str::<IngestConfig>(r#"{"live_stoer":{}}"#).is_err());
    }
}
