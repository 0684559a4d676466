//! The messages of `tempopb` that the endpoints for searches and names send, in protobuf and JSON.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::common::v1::KeyValue;
use serde::ser::SerializeMap;

use super::proto_json::{Json, Message, Object};
use crate::stats::QueryStats;

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct SearchResponse {
    #[prost(message, repeated, tag = "1")]
    pub(super) traces: Vec<TraceSearchMetadata>,
    #[prost(message, optional, tag = "2")]
    pub(super) metrics: Option<SearchMetrics>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct TraceSearchMetadata {
    #[prost(string, tag = "1")]
    pub(super) trace_id: String,
    #[prost(string, tag = "2")]
    pub(super) root_service_name: String,
    #[prost(string, tag = "3")]
    pub(super) root_trace_name: String,
    #[prost(uint64, tag = "4")]
    pub(super) start_time_unix_nano: u64,
    #[prost(uint32, tag = "5")]
    pub(super) duration_ms: u32,
    /// The first of the spansets, for clients that know of one only.
    #[prost(message, optional, tag = "6")]
    pub(super) span_set: Option<SpanSet>,
    #[prost(message, repeated, tag = "7")]
    pub(super) span_sets: Vec<SpanSet>,
    #[prost(btree_map = "string, message", tag = "8")]
    pub(super) service_stats: BTreeMap<String, ServiceStats>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct SpanSet {
    #[prost(message, repeated, tag = "1")]
    pub(super) spans: Vec<Span>,
    #[prost(uint32, tag = "2")]
    pub(super) matched: u32,
    #[prost(message, repeated, tag = "3")]
    pub(super) attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Span {
    #[prost(string, tag = "1")]
    pub(super) span_id: String,
    #[prost(string, tag = "2")]
    pub(super) name: String,
    #[prost(uint64, tag = "3")]
    pub(super) start_time_unix_nano: u64,
    #[prost(uint64, tag = "4")]
    pub(super) duration_nanos: u64,
    #[prost(message, repeated, tag = "5")]
    pub(super) attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ServiceStats {
    #[prost(uint32, tag = "1")]
    pub(super) span_count: u32,
    #[prost(uint32, tag = "2")]
    pub(super) error_count: u32,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct SearchMetrics {
    #[prost(uint32, tag = "1")]
    pub(super) inspected_traces: u32,
    #[prost(uint64, tag = "2")]
    pub(super) inspected_bytes: u64,
    #[prost(uint32, tag = "3")]
    pub(super) total_blocks: u32,
    #[prost(uint32, tag = "4")]
    pub(super) completed_jobs: u32,
    #[prost(uint32, tag = "5")]
    pub(super) total_jobs: u32,
    #[prost(uint64, tag = "6")]
    pub(super) total_block_bytes: u64,
    #[prost(uint64, tag = "7")]
    pub(super) inspected_spans: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct SearchTagsResponse {
    #[prost(string, repeated, tag = "1")]
    pub(super) tag_names: Vec<String>,
    #[prost(message, optional, tag = "2")]
    pub(super) metrics: Option<MetadataMetrics>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct SearchTagsV2Response {
    #[prost(message, repeated, tag = "1")]
    pub(super) scopes: Vec<TagsOfScope>,
    #[prost(message, optional, tag = "2")]
    pub(super) metrics: Option<MetadataMetrics>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct TagsOfScope {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, repeated, tag = "2")]
    pub(super) tags: Vec<String>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct SearchTagValuesResponse {
    #[prost(string, repeated, tag = "1")]
    pub(super) tag_values: Vec<String>,
    #[prost(message, optional, tag = "2")]
    pub(super) metrics: Option<MetadataMetrics>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct SearchTagValuesV2Response {
    #[prost(message, repeated, tag = "1")]
    pub(super) tag_values: Vec<TagValue>,
    #[prost(message, optional, tag = "2")]
    pub(super) metrics: Option<MetadataMetrics>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct TagValue {
    #[prost(string, tag = "1")]
    pub(super) value_type: String,
    #[prost(string, tag = "2")]
    pub(super) value: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct MetadataMetrics {
    #[prost(uint64, tag = "1")]
    pub(super) inspected_bytes: u64,
    #[prost(uint32, tag = "2")]
    pub(super) total_jobs: u32,
    #[prost(uint32, tag = "3")]
    pub(super) completed_jobs: u32,
    #[prost(uint32, tag = "4")]
    pub(super) total_blocks: u32,
    #[prost(uint64, tag = "5")]
    pub(super) total_block_bytes: u64,
}

/// A count in a field of 32 bits.
pub(super) fn narrow(count: u64) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

impl From<&QueryStats> for SearchMetrics {
    fn from(stats: &QueryStats) -> Self {
        Self {
            // Nobody counts the traces that do not match.
            inspected_traces: 0,
            inspected_bytes: stats.inspected_bytes,
            total_blocks: narrow(stats.blocks_kept()),
            completed_jobs: narrow(stats.jobs_completed),
            total_jobs: narrow(stats.jobs_total),
            total_block_bytes: stats.block_bytes,
            inspected_spans: stats.inspected_spans,
        }
    }
}

impl From<&QueryStats> for MetadataMetrics {
    fn from(stats: &QueryStats) -> Self {
        Self {
            inspected_bytes: stats.inspected_bytes,
            total_jobs: narrow(stats.jobs_total),
            completed_jobs: narrow(stats.jobs_completed),
            total_blocks: narrow(stats.blocks_kept()),
            total_block_bytes: stats.block_bytes,
        }
    }
}

impl Message for SearchResponse {
    fn write<M: SerializeMap>(&self, object: &mut Object<M>) -> Result<(), M::Error> {
        object.whole_list("traces", &self.traces)?;
        object.message("metrics", self.metrics.as_ref())
    }
}

impl Message for TraceSearchMetadata {
    fn write<M: SerializeMap>(&self, object: &mut Object<M>) -> Result<(), M::Error> {
        object.text("traceID", &self.trace_id)?;
        object.text("rootServiceName", &self.root_service_name)?;
        object.text("rootTraceName", &self.root_trace_name)?;
        object.wide("startTimeUnixNano", self.start_time_unix_nano)?;
        object.narrow("durationMs", self.duration_ms)?;
        object.message("spanSet", self.span_set.as_ref())?;
        object.list("spanSets", &self.span_sets)?;
        if self.service_stats.is_empty() {
            return Ok(());
        }
        let stats = self.service_stats.iter();
        let stats: BTreeMap<_, _> = stats.map(|(name, stats)| (name, Json(stats))).collect();
        object.field("serviceStats", &stats)
    }
}

impl Message for SpanSet {
    fn write<M: SerializeMap>(&self, object: &mut Object<M>) -> Result<(), M::Error> {
        object.whole_list("spans", &self.spans)?;
        object.narrow("matched", self.matched)?;
        object.list("attributes", &self.attributes)
    }
}

impl Message for Span {
    fn write<M: SerializeMap>(&self, object: &mut Object<M>) -> Result<(), M::Error> {
        object.text("spanID", &self.span_id)?;
        object.text("name", &self.name)?;
        object.wide("startTimeUnixNano", self.start_time_unix_nano)?;
        object.wide("durationNanos", self.duration_nanos)?;
        object.list("attributes", &self.attributes)
    }
}

impl Message for ServiceStats {
    fn write<M: SerializeMap>(&self, object: &mut Object<M>) -> Result<(), M::Error> {
        object.narrow("spanCount", self.span_count)?;
        object.narrow("errorCount", self.error_count)
    }
}

impl Message for SearchMetrics {
    fn write<M: SerializeMap>(&self, object: &mut Object<M>) -> Result<(), M::Error> {
        object.narrow("inspectedTraces", self.inspected_traces)?;
        object.wide("inspectedBytes", self.inspected_bytes)?;
        object.narrow("totalBlocks", self.total_blocks)?;
        object.narrow("completedJobs", self.completed_jobs)?;
        object.narrow("totalJobs", self.total_jobs)?;
        object.wide("totalBlockBytes", self.total_block_bytes)?;
        object.wide("inspectedSpans", self.inspected_spans)
    }
}

impl Message for SearchTagsResponse {
    fn write<M: SerializeMap>(&self, object: &mut Object<M>) -> Result<(), M::Error> {
        object.field("tagNames", &self.tag_names)?;
        object.message("metrics", self.metrics.as_ref())
    }
}

impl Message for SearchTagsV2Response {
    fn write<M: SerializeMap>(&self, object: &mut Object<M>) -> Result<(), M::Error> {
        object.whole_list("scopes", &self.scopes)?;
        object.message("metrics", self.metrics.as_ref())
    }
}

impl Message for TagsOfScope {
    fn write<M: SerializeMap>(&self, object: &mut Object<M>) -> Result<(), M::Error> {
        object.text("name", &self.name)?;
        object.texts("tags", &self.tags)
    }
}

impl Message for SearchTagValuesResponse {
    fn write<M: SerializeMap>(&self, object: &mut Object<M>) -> Result<(), M::Error> {
        object.field("tagValues", &self.tag_values)?;
        object.message("metrics", self.metrics.as_ref())
    }
}

impl Message for SearchTagValuesV2Response {
    fn write<M: SerializeMap>(&self, object: &mut Object<M>) -> Result<(), M::Error> {
        object.whole_list("tagValues", &self.tag_values)?;
        object.message("metrics", self.metrics.as_ref())
    }
}

impl Message for TagValue {
    fn write<M: SerializeMap>(&self, object: &mut Object<M>) -> Result<(), M::Error> {
        object.text("type", &self.value_type)?;
        // The empty text is a value, too.
        object.field("value", &self.value)
    }
}

impl Message for MetadataMetrics {
    fn write<M: SerializeMap>(&self, object: &mut Object<M>) -> Result<(), M::Error> {
        object.wide("inspectedBytes", self.inspected_bytes)?;
        object.narrow("totalJobs", self.total_jobs)?;
        object.narrow("completedJobs", self.completed_jobs)?;
        object.narrow("totalBlocks", self.total_blocks)?;
        object.wide("totalBlockBytes", self.total_block_bytes)
    }
}
