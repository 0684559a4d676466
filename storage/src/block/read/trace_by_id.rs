//! One trace out of a block.
//!
//! A trace is a run of rows, so finding it costs one read of the column `trace:id`, and having it one
//! read of the pages in which its rows are. Both go row group by row group, because a trace is never
//! in two of them.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, FixedSizeBinaryArray, RecordBatch};
use hashbrown::HashSet;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ArrowReaderMetadata;

use crate::block::MemoryBlock;
use crate::block::hash::span_hash;
use crate::block::meta::BlockMeta;
use crate::block::read::decode::Decoder;
use crate::block::read::file::BlockFile;
use crate::block::read::groups::{GroupHash, Groups, group_hash};
use crate::block::read::rows;
use crate::block::read::trace_index::{TraceRows, no_ids};
use crate::error::StorageError;
use crate::ids::TraceId;
use crate::model::{InstrumentationScope, Resource, Span, SpanGroup};
use crate::otlp::{group_len, span_len};
use crate::schema::names;

/// Rows per batch of the trace itself: after each the size is looked at.
const DECODE_ROWS: usize = 1_024;

/// Columns that say nothing which the others do not say as well.
const DERIVED: [&str; 7] = [
    names::TRACE_ROW,
    names::DESCENDANTS,
    names::START_S,
    names::CHILD_COUNT,
    names::ROOT_NAME,
    names::ROOT_SERVICE_NAME,
    names::TRACE_DURATION,
];

/// Whether a column follows from others.
pub(super) fn is_derived(column: &str) -> bool {
    DERIVED.contains(&column)
}

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

    fn decode(
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

/// The spans of a trace in a stored block, up to a size. Reads the column of trace ids of each row
/// group up to the one that has the trace, and the trace's pages of that one.
///
/// # Errors
///
/// If the store fails, or the block is damaged.
pub async fn read_trace(
    mut file: BlockFile,
    trace_id: TraceId,
    max_bytes: u64,
) -> Result<TraceSpans, StorageError> {
    let mut spans = TraceSpans::new(max_bytes);
    let footer = file.footer().await?;
    for row_group in 0..footer.metadata().num_row_groups() {
        let ids = TraceRows::open(&mut file, row_group).await?;
        let Some(rows) = ids.find(trace_id)? else {
            continue;
        };
        let wanted = |name: &str| !is_derived(name);
        let rows = (row_group, std::slice::from_ref(&rows));
        let how = (DECODE_ROWS, true);
        let mut batches = rows::read(&mut file, rows, &wanted, how).await?;
        let mut decoder = Decoder::new(file.meta());
        while spans.is_complete()
            && let Some(batch) = batches.next().transpose()?
        {
            spans.decode(&mut decoder, &batch)?;
        }
        break;
    }
    Ok(spans)
}

/// The spans of a trace in a block in memory, up to a size.
///
/// # Errors
///
/// If the batches do not have the columns of a block.
pub fn live_trace(
    block: &MemoryBlock,
    trace_id: TraceId,
    max_bytes: u64,
) -> Result<TraceSpans, StorageError> {
    let mut spans = TraceSpans::new(max_bytes);
    let mut decoder = Decoder::new(&block.meta);
    let mut run = Run::new(trace_id);
    for batch in &block.batches {
        let rows = run.scan(trace_ids(
            batch.column_by_name(names::TRACE_ID),
            &block.meta,
        )?);
        let rows = batch.slice(rows.start, rows.len());
        spans.decode(&mut decoder, &rows)?;
        if run.is_over || !spans.is_complete() {
            break;
        }
    }
    Ok(spans)
}

/// A mask of the top-level columns whose name is wanted.
pub(super) fn columns(
    metadata: &ArrowReaderMetadata,
    wanted: impl Fn(&str) -> bool,
) -> ProjectionMask {
    let schema = metadata.parquet_schema();
    let fields = schema.root_schema().get_fields().iter().enumerate();
    let roots = fields
        .filter(|(_, field)| wanted(field.name()))
        .map(|(index, _)| index);
    ProjectionMask::roots(schema, roots)
}

pub(super) fn trace_ids<'a>(
    column: Option<&'a ArrayRef>,
    meta: &BlockMeta,
) -> Result<&'a FixedSizeBinaryArray, StorageError> {
    column
        .and_then(|column| column.as_any().downcast_ref::<FixedSizeBinaryArray>())
        .filter(|column| column.value_length() == 16)
        .ok_or_else(|| no_ids(meta))
}

/// Looks for one run of equal trace ids in arrays that follow each other.
struct Run {
    id: [u8; 16],
    has_begun: bool,
    /// The run has ended before the end of the array.
    is_over: bool,
}

impl Run {
    fn new(id: TraceId) -> Self {
        Self {
            id: id.0,
            has_begun: false,
            is_over: false,
        }
    }

    /// The rows of this array that are in the run.
    fn scan(&mut self, ids: &FixedSizeBinaryArray) -> Range<usize> {
        let values = ids.value_data();
        let rows = values.chunks_exact(self.id.len());
        let count = rows.len();
        let start = if self.has_begun {
            0
        } else {
            let found = rows.clone().position(|id| id == self.id);
            found.unwrap_or(count)
        };
        let length = rows.skip(start).take_while(|id| *id == self.id).count();
        self.has_begun |= length > 0;
        self.is_over = self.has_begun && start + length < count;
        start..start + length
    }
}
