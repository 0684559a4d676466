//! Traces of which several blocks have a part: decoded, and encoded anew as one.

use std::collections::BTreeMap;
use std::ops::Range;

use ulid::Ulid;

use super::parts::Part;
use super::source::{Batches, Source, batch_rows};
use crate::block::{
    BlockFile, Decoder, EncodeOptions, Groups, MemoryBlock, encode_received, is_derived,
};
use crate::compaction::workers::Workers;
use crate::error::StorageError;
use crate::ids::BlockId;
use crate::schema::names;

/// About how many spans are decoded at a time: a span takes some kilobytes then.
const SPANS_AT_ONCE: usize = 16_384;

/// The traces among `parts` that have several of these, in their order, in blocks in memory.
///
/// # Errors
/// If the store fails, or a block is damaged.
pub(super) async fn encode_joined(
    inputs: &[BlockFile],
    parts: &[Part],
    workers: &Workers,
) -> Result<Vec<MemoryBlock>, StorageError> {
    let mut blocks = Vec::new();
    let mut together: Vec<&[Part]> = Vec::new();
    let mut spans = 0;
    let traces = parts.chunk_by(|a, b| a.trace_id == b.trace_id);
    for trace in traces.filter(|trace| trace.len() > 1) {
        together.push(trace);
        spans += trace.iter().map(|part| part.rows as usize).sum::<usize>();
        if spans >= SPANS_AT_ONCE {
            blocks.extend(join(inputs, &together, workers).await?);
            together.clear();
            spans = 0;
        }
    }
    blocks.extend(join(inputs, &together, workers).await?);
    Ok(blocks)
}

/// Some traces as a block in memory; none for no traces.
async fn join(
    inputs: &[BlockFile],
    traces: &[&[Part]],
    workers: &Workers,
) -> Result<Option<MemoryBlock>, StorageError> {
    let mut rows: BTreeMap<usize, BTreeMap<usize, Vec<Range<usize>>>> = BTreeMap::new();
    for part in traces.iter().flat_map(|trace| trace.iter()) {
        let of_input = rows.entry(part.place.input.into()).or_default();
        let of_group = of_input.entry(part.place.row_group.into()).or_default();
        of_group.push(part.range());
    }
    let mut sources = Vec::with_capacity(rows.len());
    let batch_rows = batch_rows(rows.len());
    for (input, mut row_groups) in rows {
        for rows in row_groups.values_mut() {
            rows.sort_unstable_by_key(|rows| rows.start);
        }
        if let Some(file) = inputs.get(input) {
            let source = Source::Stored(file.clone(), row_groups.into_iter().collect());
            let batches = source.columns(&is_wanted, batch_rows).await?;
            sources.push((source, batches));
        }
    }
    let Some((first, _)) = sources.first() else {
        return Ok(None);
    };
    let tenant = first.meta().tenant.clone();
    let encoding = workers.run(move || {
        let mut groups = Groups::default();
        for (source, batches) in sources {
            decode(&source, batches, &mut groups)?;
        }
        // It is never stored by itself, so it needs no id of its own.
        let options = EncodeOptions::new(tenant, BlockId(Ulid::nil()));
        encode_received(&groups.into_received(), &options)
    });
    encoding.await.map(Some)
}

fn decode(source: &Source, batches: Batches, groups: &mut Groups) -> Result<(), StorageError> {
    let mut decoder = Decoder::new(source.meta());
    for batch in batches {
        decoder.decode_received(&batch?, |resource, scope, span, receipt| {
            groups.push_received(resource, scope, span, receipt);
        })?;
    }
    Ok(())
}

/// Whether spans and their receipts are made of a column.
fn is_wanted(column: &str) -> bool {
    !is_derived(column) || [names::RECEIVED_S, names::RECEIVED_BYTES].contains(&column)
}
