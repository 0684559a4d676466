//! Rows of a batch to spans, with their resources, scopes, events and links.

use std::ops::Range;

use arrow::array::{Array as _, FixedSizeBinaryArray, ListArray};

use super::columns::Columns;
use crate::block::Receipt;
use crate::error::StorageError;
use crate::ids::{SpanId, TraceId};
use crate::model::{Event, InstrumentationScope, Link, Resource, Span};
use crate::otlp::KeyInterner;

impl Columns<'_> {
    /// Appends bytes that are equal for equal resources of the batch.
    pub(super) fn sign_resource(&self, row: usize, out: &mut Vec<u8>) {
        self.resource_attributes.sign(row, out);
        out.extend(self.resource_schema_url.code(row).to_le_bytes());
        out.extend(self.resource_dropped_attributes.value(row).to_le_bytes());
        for at in self.entity_range(row) {
            out.extend(self.entity_bytes.value(at).len().to_le_bytes());
            out.extend_from_slice(self.entity_bytes.value(at));
        }
    }

    /// Appends bytes that are equal for equal scopes of the batch.
    pub(super) fn sign_scope(&self, row: usize, out: &mut Vec<u8>) {
        self.scope_attributes.sign(row, out);
        for text in [
            &self.scope_name,
            &self.scope_version,
            &self.scope_schema_url,
        ] {
            out.extend(text.code(row).to_le_bytes());
        }
        out.extend(self.scope_dropped_attributes.value(row).to_le_bytes());
    }

    fn entity_range(&self, row: usize) -> Range<usize> {
        if self.entity_refs.is_valid(row) {
            range(self.entity_refs, row)
        } else {
            0..0
        }
    }

    pub(super) fn resource(
        &self,
        row: usize,
        keys: &mut KeyInterner,
    ) -> Result<Resource, StorageError> {
        Ok(Resource {
            attributes: self.resource_attributes.read(row, keys, self.object)?,
            dropped_attributes_count: self.resource_dropped_attributes.value(row),
            schema_url: self.resource_schema_url.owned(row),
            entity_refs: self
                .entity_range(row)
                .map(|at| self.entity_bytes.value(at).to_vec())
                .collect(),
        })
    }

    pub(super) fn scope(
        &self,
        row: usize,
        keys: &mut KeyInterner,
    ) -> Result<InstrumentationScope, StorageError> {
        Ok(InstrumentationScope {
            name: self.scope_name.owned(row),
            version: self.scope_version.owned(row),
            attributes: self.scope_attributes.read(row, keys, self.object)?,
            dropped_attributes_count: self.scope_dropped_attributes.value(row),
            schema_url: self.scope_schema_url.owned(row),
        })
    }

    /// The span of a row, given the ids of the spans above the row before; they are brought up to date.
    pub(super) fn span(
        &self,
        row: usize,
        above: &mut Vec<SpanId>,
        keys: &mut KeyInterner,
    ) -> Result<Span, StorageError> {
        let span_id = SpanId(bytes(self.span_id, row));
        let level = self.depth.value(row).unsigned_abs() as usize;
        if level == 0 || level > above.len() + 1 {
            return Err(StorageError::malformed(
                self.object,
                "a span without its parent before it",
            ));
        }
        above.truncate(level - 1);
        let parent_span_id = match above.last() {
            Some(parent) => Some(*parent),
            None => self
                .parent_id
                .is_valid(row)
                .then(|| SpanId(bytes(self.parent_id, row))),
        };
        above.push(span_id);
        let start_ns = self.start_ns.value(row);
        let end_ns = if self.end_ns.is_valid(row) {
            self.end_ns.value(row)
        } else {
            start_ns.saturating_add(self.duration.value(row))
        };
        Ok(Span {
            trace_id: TraceId(bytes(self.trace_id, row)),
            span_id,
            parent_span_id,
            trace_state: self.trace_state.owned(row),
            flags: self.flags.value(row),
            name: self.name.owned(row),
            kind: self.kind.value(row),
            start_ns,
            end_ns,
            attributes: self.span_attributes.read(row, keys, self.object)?,
            dropped_attributes_count: self.dropped_attributes.value(row),
            events: range(self.events.lists, row)
                .map(|at| self.event(at, keys))
                .collect::<Result<_, _>>()?,
            dropped_events_count: self.dropped_events.value(row),
            links: range(self.links.lists, row)
                .map(|at| self.link(at, keys))
                .collect::<Result<_, _>>()?,
            dropped_links_count: self.dropped_links.value(row),
            status_code: self.status.value(row),
            status_message: self.status_message.owned(row),
        })
    }

    /// What is known of how the span of a row came here.
    pub(super) fn receipt(&self, row: usize) -> Receipt {
        let second = self.received_s.filter(|seconds| seconds.is_valid(row));
        let bytes = self.received_bytes.filter(|lengths| lengths.is_valid(row));
        Receipt {
            second: second.map(|seconds| seconds.value(row)),
            bytes: bytes.map(|lengths| lengths.value(row)),
        }
    }

    fn event(&self, at: usize, keys: &mut KeyInterner) -> Result<Event, StorageError> {
        Ok(Event {
            time_ns: self.event_times.value(at),
            name: self.event_names.value(at).to_owned(),
            attributes: self.events.attributes(at, keys, self.object)?,
            dropped_attributes_count: self.events.dropped_attributes.value(at),
        })
    }

    fn link(&self, at: usize, keys: &mut KeyInterner) -> Result<Link, StorageError> {
        Ok(Link {
            trace_id: TraceId(bytes(self.link_trace_ids, at)),
            span_id: SpanId(bytes(self.link_span_ids, at)),
            trace_state: self.link_states.value(at).to_owned(),
            attributes: self.links.attributes(at, keys, self.object)?,
            dropped_attributes_count: self.links.dropped_attributes.value(at),
            flags: self.link_flags.value(at),
        })
    }
}

/// Where the elements of a row's list are.
fn range(lists: &ListArray, row: usize) -> Range<usize> {
    let offset = |at: usize| usize::try_from(lists.value_offsets()[at]).unwrap_or(0);
    offset(row)..offset(row + 1)
}

/// Bytes of an id; its width is part of the column's type.
fn bytes<const N: usize>(array: &FixedSizeBinaryArray, row: usize) -> [u8; N] {
    array.value(row).try_into().unwrap_or([0; N])
}
