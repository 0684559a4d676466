//! Which traces some blocks have, and where: what is copied, what is joined, and in what order.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::AsArray as _;
use arrow::datatypes::Int64Type;
use hashbrown::HashSet;

use super::source::{Batches, Place, Source, batch_rows};
use super::windows::Windows;
use crate::block::meta::{HashPiece, Partition};
use crate::block::{BlockFile, TraceIndex};
use crate::compaction::workers::Workers;
use crate::error::StorageError;
use crate::ids::TraceId;
use crate::schema::names;

/// A trace, or what one of the inputs has of it. Takes 40 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Part {
    /// Where the trace starts, as far as all of the inputs know; ns since the epoch.
    pub(super) start_ns: i64,
    pub(super) trace_id: TraceId,
    pub(super) place: Place,
    pub(super) first_row: u32,
    pub(super) rows: u32,
}

impl Part {
    /// Its rows in its row group.
    pub(super) fn range(&self) -> Range<usize> {
        let first = self.first_row as usize;
        first..first + self.rows as usize
    }
}

/// What there is.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// In no certain order.
    pub(super) parts: Vec<Part>,
    /// Rows of traces that are not among the parts.
    pub(super) rows_left_out: u64,
}

/// All parts of traces whose ids belong to a piece, but for those of some traces.
///
/// # Errors
/// If the store fails, or a block is damaged.
pub(super) async fn find(
    inputs: &mut [BlockFile],
    piece: HashPiece,
    without: &Arc<HashSet<TraceId>>,
    workers: &Workers,
) -> Result<Found, StorageError> {
    let mut found = Found::default();
    for (input, file) in inputs.iter_mut().enumerate() {
        let row_groups = file.footer().await?.metadata().num_row_groups();
        for row_group in 0..row_groups {
            let rows = file
                .footer()
                .await?
                .metadata()
                .row_group(row_group)
                .num_rows();
            let all = 0..usize::try_from(rows).unwrap_or_default();
            if all.is_empty() {
                continue;
            }
            let place = Place::new(input, row_group)?;
            let index = TraceIndex::open(file, row_group).await?;
            let source = Source::Stored(file.clone(), vec![(row_group, vec![all])]);
            let batches = source
                .columns(&|name| name == names::START_NS, batch_rows(1))
                .await?;
            let without = Arc::clone(without);
            let finding = workers.run(move || {
                let starts = starts(batches, &source.object())?;
                of_row_group(index, &starts, (place, piece), &without)
            });
            let of_group = finding.await?;
            found.parts.extend(of_group.parts);
            found.rows_left_out += of_group.rows_left_out;
        }
    }
    Ok(found)
}

/// The parts of traces in a row group, given when its spans start.
fn of_row_group(
    index: TraceIndex,
    starts: &[i64],
    (place, piece): (Place, HashPiece),
    without: &HashSet<TraceId>,
) -> Result<Found, StorageError> {
    let mut found = Found::default();
    index.each(|trace_id, rows| {
        if piece.holds(trace_id) && without.contains(&trace_id) {
            found.rows_left_out += rows.len() as u64;
        } else if piece.holds(trace_id) {
            let of_trace = starts.get(rows.clone()).unwrap_or_default();
            found.parts.push(Part {
                start_ns: of_trace.iter().copied().min().unwrap_or_default(),
                trace_id,
                place,
                // A block has no more rows than this.
                first_row: u32::try_from(rows.start).unwrap_or(u32::MAX),
                rows: u32::try_from(rows.len()).unwrap_or(u32::MAX),
            });
        }
    })?;
    Ok(found)
}

/// When the spans of some rows start, ns since the epoch.
fn starts(batches: Batches, object: &str) -> Result<Vec<i64>, StorageError> {
    let mut starts = Vec::new();
    for batch in batches {
        let batch = batch?;
        let column = batch.column_by_name(names::START_NS);
        let column = column.and_then(|column| column.as_primitive_opt::<Int64Type>());
        let column = column.ok_or_else(|| StorageError::malformed(object, names::START_NS))?;
        starts.extend_from_slice(column.values());
    }
    Ok(starts)
}

/// What goes into one block.
#[derive(Debug)]
pub(super) struct Output {
    pub(super) partition: Partition,
    /// Its parts of traces, among all of them.
    pub(super) parts: Range<usize>,
}

/// Puts parts into the order of blocks, those of a trace together, and says which of them go into one
/// block.
pub(super) fn arrange(parts: &mut [Part], window_length_s: i64, piece_bits: u8) -> Vec<Output> {
    parts.sort_unstable_by_key(|part| (part.trace_id, part.place, part.first_row));
    for trace in parts.chunk_by_mut(|a, b| a.trace_id == b.trace_id) {
        let start_ns = trace.iter().map(|part| part.start_ns).min();
        let start_ns = start_ns.unwrap_or_default();
        trace.iter_mut().for_each(|part| part.start_ns = start_ns);
    }
    let traces = parts.chunk_by(|a, b| a.trace_id == b.trace_id);
    let starts = traces.filter_map(|trace| trace.first().map(|part| part.start_ns));
    let windows = Windows::new(window_length_s, starts);
    let partition = |part: &Part| Partition {
        window: windows.of(part.start_ns),
        piece: HashPiece::of(part.trace_id, piece_bits),
    };
    parts.sort_unstable_by_key(|part| (partition(part), *part));
    let mut outputs: Vec<Output> = Vec::new();
    for block in parts.chunk_by(|a, b| partition(a) == partition(b)) {
        let first = outputs.last().map_or(0, |output| output.parts.end);
        outputs.extend(block.first().map(|part| Output {
            partition: partition(part),
            parts: first..first + block.len(),
        }));
    }
    outputs
}

/// Cuts the parts of a block into row groups of about so many rows, none of which ends inside a trace. What
/// several parts have in common counts for each of them.
pub(super) fn row_groups(parts: &[Part], row_group_rows: usize) -> Vec<&[Part]> {
    let total: usize = parts.iter().map(|part| part.rows as usize).sum();
    let count = total.div_ceil(row_group_rows.max(1));
    let target = total.div_ceil(count.max(1));
    let mut out = Vec::with_capacity(count);
    let (mut first, mut end, mut rows) = (0, 0, 0);
    for trace in parts.chunk_by(|a, b| a.trace_id == b.trace_id) {
        end += trace.len();
        rows += trace.iter().map(|part| part.rows as usize).sum::<usize>();
        if rows >= target || end == parts.len() {
            out.push(&parts[first..end]);
            (first, rows) = (end, 0);
        }
    }
    out
}
