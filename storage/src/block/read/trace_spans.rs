//! The spans of one trace, put together from all blocks that have some, up to a size.

use std::sync::Arc;

use arrow::array::RecordBatch;
use hashbrown::HashSet;

use super::decode::Decoder;
use super::groups::{GroupHash, Groups, group_hash};
use crate::block::hash::span_hash;
use crate::error::StorageError;
use crate::model::{InstrumentationScope, Resource, Span, SpanGroup};
use crate::otlp::{group_len, span_len};

/// Spans of one trace, each once, up to a size.
#[derive(Debug)]
pub struct TraceSpans {
    groups: Groups,
    /// Content hashes of the spans.
    seen: HashSet<u128>,
    /// Hash of each resource with each scope, for which the size was counted.
    counted: HashSet<GroupHash>,
    bytes: u64,
    max_bytes: u64,
    is_complete: bool,
}

impl TraceSpans {
    /// No spans yet. They may take `max_bytes` as OTLP.
    #[must_use]
    pub fn new(max_bytes: u64) -> Self {
        Self {
            groups: Groups::default(),
            seen: HashSet::new(),
            counted: HashSet::new(),
            bytes: 0,
            max_bytes,
            is_complete: true,
        }
    }

    /// Adds the spans of another part of the trace, in their order, as far as there is room.
    pub fn merge(&mut self, part: Self) {
        for group in part.groups.into_groups() {
            let hash = group_hash(&group.resource, &group.scope);
            for span in group.spans {
                self.push(&group.resource, &group.scope, hash, span);
            }
        }
        self.is_complete &= part.is_complete;
    }

    /// Whether no span was left out for want of room.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// The spans, by resource and scope, otherwise in the order they were added.
    #[must_use]
    pub fn into_groups(self) -> Vec<SpanGroup> {
        self.groups.into_groups()
    }

    /// After the first span that does not fit no other is taken: what is there is a beginning.
    fn push(
        &mut self,
        resource: &Arc<Resource>,
        scope: &Arc<InstrumentationScope>,
        hash: GroupHash,
        span: Span,
    ) {
        if !self.seen.insert(span_hash(&span, hash.0, hash.1)) {
            return;
        }
        let mut bytes = span_len(&span);
        if !self.counted.contains(&hash) {
            bytes += group_len(resource, scope);
        }
        let bytes = self.bytes.saturating_add(bytes as u64);
        if !self.is_complete || bytes > self.max_bytes {
            self.is_complete = false;
            return;
        }
        self.bytes = bytes;
        self.counted.insert(hash);
        self.groups
            .push(Arc::clone(resource), Arc::clone(scope), span);
    }

    /// Adds the spans of a batch, in the order of its rows, as far as there is room.
    pub(super) fn decode(
        &mut self,
        decoder: &mut Decoder<'_>,
        batch: &RecordBatch,
    ) -> Result<(), StorageError> {
        decoder.decode(batch, |resource, scope, span| {
            let hash = group_hash(&resource, &scope);
            self.push(&resource, &scope, hash, span);
        })
    }
}
