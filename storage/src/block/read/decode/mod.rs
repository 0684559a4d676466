//! A block back to spans, every field of them.
//!
//! [`columns`] finds the columns of a batch, [`rows`] makes spans of their rows, with [`values`] for
//! texts and attributes; [`shared`] makes each resource and each scope of a batch once.

mod columns;
mod rows;
mod shared;
mod values;

use std::sync::Arc;

use arrow::array::RecordBatch;

use super::groups::Groups;
use crate::block::meta::BlockMeta;
use crate::block::{MemoryBlock, Receipt};
use crate::error::StorageError;
use crate::ids::SpanId;
use crate::model::{InstrumentationScope, Resource, Span, SpanGroup};
use crate::otlp::KeyInterner;
use crate::schema::names;
use columns::Columns;
use shared::Shared;

/// Spans of a block, grouped by resource and scope, otherwise in block order.
///
/// Attributes come in another order than they arrived, but equal keys in the same.
///
/// # Errors
///
/// If the batches do not have the columns of a block.
pub fn decode(block: &MemoryBlock) -> Result<Vec<SpanGroup>, StorageError> {
    decode_batches(&block.batches, &block.meta)
}

/// As [`decode`], for some rows of a block. A batch must hold whole subtrees from their first row
/// on, or the parents of its spans cannot be told: batches of whole traces always do, whatever
/// their number and size, as long as they come in block order without gaps inside a trace.
///
/// # Errors
///
/// If the batches do not have the columns of a block, or a parent is not among the rows.
pub fn decode_batches(
    batches: &[RecordBatch],
    meta: &BlockMeta,
) -> Result<Vec<SpanGroup>, StorageError> {
    let mut decoder = Decoder::new(meta);
    let mut out = Groups::default();
    for batch in batches {
        decoder.decode(batch, |resource, scope, span| {
            out.push(resource, scope, span)
        })?;
    }
    Ok(out.into_groups())
}

/// Columns that say nothing of spans which the others do not say as well.
const DERIVED: [&str; 10] = [
    names::TRACE_ROW,
    names::DESCENDANTS,
    names::START_S,
    names::CHILD_COUNT,
    names::ROOT_NAME,
    names::ROOT_SERVICE_NAME,
    names::TRACE_DURATION,
    names::RECEIVED_S,
    names::RECEIVED_BYTES,
    names::SAMPLING_WEIGHT,
];

/// Whether spans are made without a column: it follows from others, or says how a span came here.
pub(crate) fn is_derived(column: &str) -> bool {
    DERIVED.contains(&column)
}

/// Decodes batches one by one, under the same conditions as [`decode_batches`].
pub(crate) struct Decoder<'a> {
    meta: &'a BlockMeta,
    object: String,
    /// Ids of the last row and those above it: a parent may be in an earlier batch.
    above: Vec<SpanId>,
    keys: KeyInterner,
}

impl<'a> Decoder<'a> {
    pub(crate) fn new(meta: &'a BlockMeta) -> Self {
        Self {
            meta,
            object: meta.block_id.to_string(),
            above: Vec::new(),
            keys: KeyInterner::default(),
        }
    }

    /// Hands over each span of the next batch. Equal resources of one batch share an allocation.
    pub(crate) fn decode(
        &mut self,
        batch: &RecordBatch,
        mut each: impl FnMut(Arc<Resource>, Arc<InstrumentationScope>, Span),
    ) -> Result<(), StorageError> {
        self.decode_received(batch, |resource, scope, span, _| {
            each(resource, scope, span)
        })
    }

    /// As [`decode`](Self::decode), with the receipt of each span as far as its columns are there.
    pub(crate) fn decode_received(
        &mut self,
        batch: &RecordBatch,
        mut each: impl FnMut(Arc<Resource>, Arc<InstrumentationScope>, Span, Receipt),
    ) -> Result<(), StorageError> {
        let columns = Columns::new(batch, self.meta, &self.object)?;
        let mut shared = Shared::default();
        for row in 0..batch.num_rows() {
            let (resource, scope) = shared.of(&columns, row, &mut self.keys)?;
            let span = columns.span(row, &mut self.above, &mut self.keys)?;
            each(resource, scope, span, columns.receipt(row));
        }
        Ok(())
    }
}
