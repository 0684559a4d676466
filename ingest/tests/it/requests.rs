//! Requests whose spans carry numbers, and reading the numbers back.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use ingest::Ingest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message as _;
use storage::ids::{SpanId, TenantId};
use storage::snapshot::Times;
use storage::{Snapshot, SnapshotSource as _};

/// A span of this number.
pub(crate) fn span(number: u64) -> Span {
    let mut trace_id = [0xab; 16];
    trace_id[8..].copy_from_slice(&(number / 3 + 1).to_be_bytes());
    Span {
        trace_id: trace_id.to_vec(),
        span_id: (number + 1).to_be_bytes().to_vec(),
        name: format!("span {number}"),
        start_time_unix_nano: 1_700_000_000_000_000_000 + number,
        end_time_unix_nano: 1_700_000_000_000_001_000 + number,
        attributes: vec![KeyValue {
            key: "number".into(),
            value: Some(AnyValue {
                value: Some(Value::IntValue(number as i64)),
            }),
            ..Default::default()
        }],
        ..Default::default()
    }
}

/// A request of these spans.
pub(crate) fn request_of(spans: Vec<Span>) -> ExportTraceServiceRequest {
    let service = KeyValue {
        key: "service.name".into(),
        value: Some(AnyValue {
            value: Some(Value::StringValue("test".into())),
        }),
        ..Default::default()
    };
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(Resource {
                attributes: vec![service],
                ..Default::default()
            }),
            scope_spans: vec![ScopeSpans {
                spans,
                ..Default::default()
            }],
            ..Default::default()
        }],
    }
}

/// A request of the spans of these numbers, in protobuf.
pub(crate) fn request(numbers: impl IntoIterator<Item = u64>) -> Bytes {
    request_of(numbers.into_iter().map(span).collect())
        .encode_to_vec()
        .into()
}

/// How often each number is in memory and how many rows are stored.
pub(crate) async fn counts(
    ingest: &Arc<Ingest>,
    store: &super::cluster::Store,
    tenant: &TenantId,
) -> BTreeMap<u64, usize> {
    numbers(ingest.snapshot(tenant, &Times::ALL).await.unwrap(), store).await
}

/// How often each number is in a snapshot.
pub(crate) async fn numbers(
    snapshot: Snapshot,
    store: &super::cluster::Store,
) -> BTreeMap<u64, usize> {
    let mut counts = BTreeMap::new();
    let mut count = |id: SpanId| *counts.entry(u64::from_be_bytes(id.0) - 1).or_insert(0) += 1;
    for block in &snapshot.live {
        for group in storage::block::decode(block).unwrap() {
            group.spans.iter().for_each(|span| count(span.span_id));
        }
    }
    for meta in &snapshot.stored {
        for group in store.read(meta).await {
            group.spans.iter().for_each(|span| count(span.span_id));
        }
    }
    counts
}

/// The numbers, each once.
pub(crate) fn once(numbers: impl IntoIterator<Item = u64>) -> BTreeMap<u64, usize> {
    numbers.into_iter().map(|number| (number, 1)).collect()
}
