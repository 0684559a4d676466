//! Spans that are stored already are left out of a new block, so that each is stored once.
//!
//! A sender that got no answer in time sends again what it had sent, perhaps in other batches; a file is loaded
//! once more. A repeat says the same in every field, so it starts when the span did that it repeats: only
//! blocks in which spans start at the same times are looked at, their trace ids by their filters, and then what is
//! cheap to read before what is not. Two processes that commit at the same time do not see each other's
//! spans; compaction finds those.

use std::sync::Arc;

use arrow::array::{Array as _, AsArray as _, FixedSizeBinaryArray, RecordBatch};
use arrow::datatypes::Int64Type;
use hashbrown::HashSet;
use object_store::ObjectStore;
use object_store::path::Path;

use crate::block::hash::{resource_hash, scope_hash, span_hash};
use crate::block::meta::BlockMeta;
use crate::block::{
    BlockCache, BlockFile, Decoder, EncodeOptions, Groups, MemoryBlock, encode_received,
    is_derived, live_trace_ids, read_columns,
};
use crate::catalog::Catalog;
use crate::error::StorageError;
use crate::ids::{SpanId, TraceId};
use crate::model::{InstrumentationScope, Resource, Span};
use crate::schema::names;

/// Where stored blocks are found and read.
#[derive(Debug, Clone, Copy)]
pub struct Stored<'a> {
    /// The store.
    pub store: &'a Arc<dyn ObjectStore>,
    /// Path in the store below which everything is.
    pub prefix: &'a Path,
    /// The catalog of the tenant.
    pub catalog: &'a Catalog,
    /// Footers and filters of blocks.
    pub cache: &'a Arc<BlockCache>,
}

/// What is left of a block.
#[derive(Debug)]
pub struct Fresh {
    /// The block without the spans that are stored already; `None` if all of them are.
    pub block: Option<Arc<MemoryBlock>>,
    /// Spans that were left out.
    pub repeated: u64,
}

/// What tells nearly all spans apart: trace, id and start.
type Key = (TraceId, SpanId, i64);

/// Leaves out of a block what is stored already.
///
/// # Errors
/// If the store fails, or a block is damaged.
pub async fn leave_out(block: Arc<MemoryBlock>, stored: Stored<'_>) -> Result<Fresh, StorageError> {
    let all_fresh = |block| Fresh {
        block: Some(block),
        repeated: 0,
    };
    let own = block.meta.block_id;
    let times = block.meta.min_start_ns..=block.meta.max_start_ns;
    let root = stored.catalog.newest().await?;
    let near = stored.catalog.blocks(&root, &times).await?;
    if near
        .iter()
        .any(|other| other.block_id == own || other.made_of.contains(&own))
    {
        // It is committed, and only its answer was lost.
        return Ok(all_fresh(block));
    }
    let starts_then = |other: &&Arc<BlockMeta>| {
        other.min_start_ns <= *times.end() && *times.start() <= other.max_start_ns
    };
    let mut found = HashSet::new();
    let mut traces = HashSet::new();
    let ids = live_trace_ids(&block)?;
    for other in near.iter().filter(starts_then) {
        let mut file = BlockFile::new(
            Arc::clone(stored.store),
            stored.prefix,
            Arc::clone(other),
            Arc::clone(stored.cache),
            Arc::default(),
        )?;
        let filter = file.trace_id_filter().await?;
        let shared = ids.iter().copied().filter(|id| filter.contains(*id));
        let shared: HashSet<TraceId> = shared.collect();
        let suspects = suspects(&mut file, &shared, &block).await?;
        if !suspects.is_empty() {
            hash_stored(&mut file, &suspects, &mut found).await?;
            traces.extend(suspects);
        }
    }
    if found.is_empty() {
        return Ok(all_fresh(block));
    }
    let leaving = tokio::task::spawn_blocking(move || without(&block, &traces, &found));
    leaving
        .await
        .map_err(|error| StorageError::Internal(format!("looking for repeated spans: {error}")))?
}

/// The shared traces of which a stored block has a span with the key of one in the new block.
async fn suspects(
    file: &mut BlockFile,
    shared: &HashSet<TraceId>,
    block: &MemoryBlock,
) -> Result<HashSet<TraceId>, StorageError> {
    let mut suspects = HashSet::new();
    if shared.is_empty() {
        return Ok(suspects);
    }
    let object = file.path().to_string();
    let mut keys: HashSet<Key> = HashSet::new();
    for batch in &block.batches {
        let of_batch = each_key(batch, &object)?;
        keys.extend(of_batch.filter(|(trace, ..)| shared.contains(trace)));
    }
    let wanted = |name: &str| [names::TRACE_ID, names::SPAN_ID, names::START_NS].contains(&name);
    for row_group in 0..file.footer().await?.metadata().num_row_groups() {
        for batch in read_columns(file, row_group, shared, &wanted).await? {
            let batch = batch?;
            let there = each_key(&batch, &object)?.filter(|key| keys.contains(key));
            suspects.extend(there.map(|(trace, ..)| trace));
        }
    }
    Ok(suspects)
}

/// The keys of the rows of a batch.
fn each_key<'a>(
    batch: &'a RecordBatch,
    object: &str,
) -> Result<impl Iterator<Item = Key> + 'a, StorageError> {
    let column = |name: &str| {
        let column = batch.column_by_name(name);
        column.ok_or_else(|| StorageError::malformed(object, name))
    };
    let ids = |name| {
        let ids = column(name)?
            .as_any()
            .downcast_ref::<FixedSizeBinaryArray>();
        ids.ok_or_else(|| StorageError::malformed(object, name))
    };
    let (traces, spans) = (ids(names::TRACE_ID)?, ids(names::SPAN_ID)?);
    let starts = column(names::START_NS)?.as_primitive_opt::<Int64Type>();
    let starts = starts.ok_or_else(|| StorageError::malformed(object, names::START_NS))?;
    Ok((0..batch.num_rows()).map(move |row| {
        let trace = traces.value(row).try_into().unwrap_or_default();
        let span = spans.value(row).try_into().unwrap_or_default();
        (TraceId(trace), SpanId(span), starts.value(row))
    }))
}

/// Adds the hashes of all spans of some traces in a stored block.
async fn hash_stored(
    file: &mut BlockFile,
    traces: &HashSet<TraceId>,
    found: &mut HashSet<u128>,
) -> Result<(), StorageError> {
    let wanted = |name: &str| !is_derived(name);
    for row_group in 0..file.footer().await?.metadata().num_row_groups() {
        let batches = read_columns(file, row_group, traces, &wanted).await?;
        let mut decoder = Decoder::new(file.meta());
        let mut hashes = Hashes::default();
        for batch in batches {
            decoder.decode(&batch?, |resource, scope, span| {
                found.insert(hashes.of(&resource, &scope, &span));
            })?;
        }
    }
    Ok(())
}

/// The block without the spans of some traces that were found to be stored.
fn without(
    block: &Arc<MemoryBlock>,
    traces: &HashSet<TraceId>,
    found: &HashSet<u128>,
) -> Result<Fresh, StorageError> {
    let mut groups = Groups::default();
    let mut hashes = Hashes::default();
    let mut repeated = 0;
    let mut decoder = Decoder::new(&block.meta);
    for batch in &block.batches {
        decoder.decode_received(batch, |resource, scope, span, receipt| {
            let is_suspect = traces.contains(&span.trace_id);
            if is_suspect && found.contains(&hashes.of(&resource, &scope, &span)) {
                repeated += 1;
            } else {
                groups.push_received(resource, scope, span, receipt);
            }
        })?;
    }
    let left = match repeated {
        0 => Some(Arc::clone(block)),
        _ if repeated == block.meta.row_count => None,
        _ => {
            let options = EncodeOptions::new(block.meta.tenant.clone(), block.meta.block_id);
            Some(Arc::new(encode_received(
                &groups.into_received(),
                &options,
            )?))
        }
    };
    Ok(Fresh {
        block: left,
        repeated,
    })
}

/// Hashes of spans; that of a resource and a scope is made once for spans in a row.
#[derive(Debug, Default)]
struct Hashes {
    resource: Option<(Arc<Resource>, u128)>,
    scope: Option<(Arc<InstrumentationScope>, u128)>,
}

impl Hashes {
    fn of(
        &mut self,
        resource: &Arc<Resource>,
        scope: &Arc<InstrumentationScope>,
        span: &Span,
    ) -> u128 {
        let resource = last(&mut self.resource, resource, resource_hash);
        let scope = last(&mut self.scope, scope, scope_hash);
        span_hash(span, resource, scope)
    }
}

/// The hash of a thing, if it is not the one before.
fn last<T>(known: &mut Option<(Arc<T>, u128)>, thing: &Arc<T>, hash: impl Fn(&T) -> u128) -> u128 {
    match known {
        Some((last, known)) if Arc::ptr_eq(last, thing) => *known,
        _ => {
            let hash = hash(thing);
            *known = Some((Arc::clone(thing), hash));
            hash
        }
    }
}
