//! Writing one block.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, AsArray as _, FixedSizeBinaryArray};
use arrow::datatypes::Int64Type;
use futures::future::BoxFuture;
use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _, stream};
use object_store::ObjectStore;
use object_store::path::Path;

use super::columns::{Column, Columns};
use super::gather::{Gathered, Reader, Run, gather};
use super::joined::encode_joined;
use super::parts::{Part, row_groups};
use super::source::{RowsOfGroup, Source, batch_rows};
use crate::block::meta::{BlockMeta, FORMAT_VERSION, Partition, RowGroupMeta};
use crate::block::{
    AttributeCounts, BlockFile, BlockUpload, ColumnWriter, FileWriter, MAX_SERVICES, MemoryBlock,
    Promoted, ReadBack, TraceIdFilter, WriteOptions, describe_attributes,
};
use crate::compaction::workers::Workers;
use crate::error::StorageError;
use crate::ids::{BlockId, TenantId, TraceId};
use crate::schema::names;

/// Sources that are asked for a column at one time.
const SOURCES_AT_ONCE: usize = 8;

/// Where a block goes, and what it is like.
#[derive(Debug)]
pub(super) struct Target<'a> {
    pub(super) store: &'a Arc<dyn ObjectStore>,
    pub(super) prefix: &'a Path,
    pub(super) tenant: &'a TenantId,
    pub(super) block_id: BlockId,
    pub(super) options: &'a WriteOptions,
    pub(super) read_back: ReadBack,
    pub(super) columns: &'a Columns,
    pub(super) workers: &'a Workers,
}

/// A block that is stored.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) meta: Arc<BlockMeta>,
    pub(super) traces_joined: u64,
}

/// What is learnt of a block while it is written.
#[derive(Debug, Default)]
struct Facts {
    rows: u64,
    trace_ids: Vec<TraceId>,
    counts: AttributeCounts,
    services: BTreeSet<String>,
    /// Earliest and latest start, and latest end; ns since the epoch.
    times: Option<(i64, i64, i64)>,
}

impl Target<'_> {
    /// Writes the traces of some parts, which are in order.
    ///
    /// # Errors
    /// If the store fails, or a block is damaged.
    pub(super) async fn write(
        &self,
        inputs: &[BlockFile],
        partition: Partition,
        parts: &[Part],
    ) -> Result<Written, StorageError> {
        let mut upload = BlockUpload::new(
            self.store,
            self.prefix,
            self.tenant,
            self.block_id,
            self.read_back,
        );
        let mut file = FileWriter::new(&self.columns.schema, self.options).map_err(encoding)?;
        let mut facts = Facts::default();
        for parts in row_groups(parts, self.options.row_group_rows) {
            let joined = encode_joined(inputs, parts, self.workers).await?;
            let (sources, runs) = sources(inputs, parts, joined)?;
            self.row_group(&mut file, &mut upload, (sources, runs), &mut facts)
                .await?;
        }
        let mut traces_joined = 0;
        for trace in parts.chunk_by(|a, b| a.trace_id == b.trace_id) {
            facts
                .trace_ids
                .extend(trace.first().map(|part| part.trace_id));
            traces_joined += u64::from(trace.len() > 1);
        }
        let used: BTreeSet<usize> = parts.iter().map(|part| part.place.input.into()).collect();
        let used = used.iter().filter_map(|input| inputs.get(*input));
        let made_of = made_of(used.map(|file| &**file.meta()));
        let filter = TraceIdFilter::build(&facts.trace_ids);
        let meta = self.describe(facts, partition, made_of);
        let (rest, mut meta) = file.finish(meta).map_err(encoding)?;
        meta.trace_id_filter = Some(filter.file());
        upload.write(rest).await?;
        Ok(Written {
            meta: upload.finish(meta, &filter).await?,
            traces_joined,
        })
    }

    async fn row_group(
        &self,
        file: &mut FileWriter,
        upload: &mut BlockUpload,
        (sources, runs): (Vec<Source>, Vec<Run>),
        facts: &mut Facts,
    ) -> Result<(), StorageError> {
        let writers = file.column_writers().map_err(encoding)?;
        let (sources, runs) = (&sources, Arc::<[Run]>::from(runs));
        let columns = self.columns.all.iter().zip(writers);
        // Boxed, and collected: the compiler cannot tell that the stream of an iterator of these is `Send`.
        let gathered = columns.map(|(column, writer)| {
            self.column(column, writer, sources, Arc::clone(&runs))
                .boxed()
        });
        let gathered: Vec<BoxFuture<'_, _>> = gathered.collect();
        // One column is fetched while others are encoded.
        let mut gathered = stream::iter(gathered).buffered(self.workers.threads() + 1);
        let mut times = Vec::new();
        let mut row_group = file.row_group().map_err(encoding)?;
        while let Some(column) = gathered.try_next().await? {
            for chunk in column.chunks {
                row_group.append(chunk).map_err(encoding)?;
            }
            upload.write(row_group.take()).await?;
            facts.counts.add_all(&column.counts);
            facts.services.extend(column.services);
            times.extend(Some(column.times).filter(|times| !times.is_empty()));
        }
        drop(gathered);
        let written = row_group.close().map_err(encoding)?;
        let rows = runs.iter().map(|run| run.rows as u64).sum();
        let (least, most, end) = times_of(&times).ok_or_else(no_times)?;
        facts.rows += rows;
        facts.times = Some(match facts.times {
            None => (least, most, end),
            Some(so_far) => (so_far.0.min(least), so_far.1.max(most), so_far.2.max(end)),
        });
        let meta = RowGroupMeta {
            row_count: rows,
            min_start_ns: least,
            max_start_ns: most,
        };
        file.end_row_group(&written, meta).map_err(encoding)?;
        upload.write(file.take()).await
    }

    /// One column of a row group.
    async fn column(
        &self,
        column: &Column,
        writer: ColumnWriter,
        sources: &[Source],
        runs: Arc<[Run]>,
    ) -> Result<Gathered, StorageError> {
        let promoted = &self.columns.promoted;
        let batch_rows = batch_rows(sources.len());
        let open = |source| open(source, column, promoted, batch_rows).boxed();
        let opening: Vec<BoxFuture<'_, _>> = sources.iter().map(open).collect();
        let readers = stream::iter(opening).buffered(SOURCES_AT_ONCE);
        let readers: Vec<Reader> = readers.try_collect().await?;
        let column = column.clone();
        let work = move || gather(&column, writer, readers, &runs);
        self.workers.run(work).await
    }

    fn describe(&self, facts: Facts, partition: Partition, made_of: Vec<BlockId>) -> BlockMeta {
        let promoted = &self.columns.promoted;
        let (attributes, attributes_complete) = describe_attributes(facts.counts.iter(), promoted);
        let (min_start_ns, max_start_ns, max_end_ns) = facts.times.unwrap_or_default();
        let services = facts.services;
        BlockMeta {
            format_version: FORMAT_VERSION,
            block_id: self.block_id,
            tenant: self.tenant.clone(),
            row_count: facts.rows,
            trace_count: facts.trace_ids.len() as u64,
            min_start_ns,
            max_start_ns,
            max_end_ns,
            file: None,
            row_groups: Vec::new(),
            columns: Vec::new(),
            attributes,
            attributes_complete,
            services: (services.len() <= MAX_SERVICES)
                .then(|| services.into_iter().map(Arc::from).collect()),
            trace_id_filter: None,
            made_of,
            partition: Some(partition),
        }
    }
}

/// What a source has for a column.
async fn open(
    source: &Source,
    column: &Column,
    promoted: &[Promoted],
    batch_rows: usize,
) -> Result<Reader, StorageError> {
    let take = column.of(source, promoted);
    let batches = source.columns(&|name| take.needs(name), batch_rows).await?;
    Ok(Reader {
        object: source.object(),
        take,
        batches,
    })
}

/// Where the rows of some parts, which are in order, come from: those of traces of one part from the inputs,
/// others from the blocks of joined traces.
fn sources(
    inputs: &[BlockFile],
    parts: &[Part],
    joined: Vec<MemoryBlock>,
) -> Result<(Vec<Source>, Vec<Run>), StorageError> {
    let mut numbers: BTreeMap<usize, usize> = BTreeMap::new();
    let mut rows: Vec<(usize, Vec<RowsOfGroup>)> = Vec::new();
    let stored = parts
        .chunk_by(|a, b| a.trace_id == b.trace_id)
        .filter(|trace| trace.len() == 1);
    for part in stored.flatten() {
        let input = usize::from(part.place.input);
        let number = *numbers.entry(input).or_insert_with(|| {
            rows.push((input, Vec::new()));
            rows.len() - 1
        });
        let row_group = usize::from(part.place.row_group);
        let Some((_, row_groups)) = rows.get_mut(number) else {
            continue;
        };
        match row_groups.last_mut() {
            Some((last, ranges)) if *last == row_group => match ranges.last_mut() {
                Some(range) if range.end == part.range().start => range.end = part.range().end,
                _ => ranges.push(part.range()),
            },
            _ => row_groups.push((row_group, vec![part.range()])),
        }
    }
    let first_joined = rows.len();
    let traces = joined_traces(&joined)?;
    let mut traces = traces.into_iter();
    let mut runs: Vec<Run> = Vec::new();
    for trace in parts.chunk_by(|a, b| a.trace_id == b.trace_id) {
        let run = match trace {
            [part] => {
                let source = numbers.get(&part.place.input.into()).copied();
                Run {
                    source: source.unwrap_or(usize::MAX),
                    rows: part.rows as usize,
                }
            }
            _ => {
                let next = traces.next();
                let of_trace = |next: &(TraceId, Run)| {
                    trace.first().is_some_and(|part| part.trace_id == next.0)
                };
                let (_, run) = next.filter(of_trace).ok_or_else(|| {
                    StorageError::Internal("joined traces are not in order".to_owned())
                })?;
                Run {
                    source: first_joined + run.source,
                    ..run
                }
            }
        };
        match runs.last_mut() {
            Some(last) if last.source == run.source => last.rows += run.rows,
            _ => runs.push(run),
        }
    }
    let stored = rows.into_iter().filter_map(|(input, row_groups)| {
        let file = inputs.get(input)?;
        Some(Source::Stored(file.clone(), row_groups))
    });
    let sources = stored
        .chain(joined.into_iter().map(Source::Memory))
        .collect();
    Ok((sources, runs))
}

/// The traces of some blocks in memory, each with its block and its rows there.
fn joined_traces(blocks: &[MemoryBlock]) -> Result<Vec<(TraceId, Run)>, StorageError> {
    let mut traces: Vec<(TraceId, Run)> = Vec::new();
    for (source, block) in blocks.iter().enumerate() {
        for batch in &block.batches {
            let ids = batch.column_by_name(names::TRACE_ID);
            let ids = ids.and_then(|ids| ids.as_any().downcast_ref::<FixedSizeBinaryArray>());
            let ids = ids.ok_or_else(|| StorageError::malformed("memory", names::TRACE_ID))?;
            for row in 0..ids.len() {
                let id = TraceId(ids.value(row).try_into().unwrap_or_default());
                match traces.last_mut() {
                    Some((last, run)) if *last == id => run.rows += 1,
                    _ => traces.push((id, Run { source, rows: 1 })),
                }
            }
        }
    }
    Ok(traces)
}

/// Earliest and latest start and latest end of rows, given starts, durations and the ends that do not
/// follow from these.
fn times_of(columns: &[Vec<ArrayRef>]) -> Option<(i64, i64, i64)> {
    let [starts, durations, ends] = columns else {
        return None;
    };
    let mut times: Option<(i64, i64, i64)> = None;
    for ((starts, durations), ends) in starts.iter().zip(durations).zip(ends) {
        let starts = starts.as_primitive_opt::<Int64Type>()?;
        let durations = durations.as_primitive_opt::<Int64Type>()?;
        let ends = ends.as_primitive_opt::<Int64Type>()?;
        for ((start, duration), end) in starts.values().iter().zip(durations.values()).zip(ends) {
            let end = end.unwrap_or_else(|| start.saturating_add(*duration));
            times = Some(match times {
                None => (*start, *start, end),
                Some((least, most, last)) => (least.min(*start), most.max(*start), last.max(end)),
            });
        }
    }
    times
}

fn no_times() -> StorageError {
    StorageError::Internal("a row group says nothing of when its spans are".to_owned())
}

fn encoding(error: parquet::errors::ParquetError) -> StorageError {
    StorageError::from_parquet("a compacted block", error)
}

/// The blocks, as ingest or a load had cut them, whose spans some blocks have.
fn made_of<'a>(inputs: impl Iterator<Item = &'a BlockMeta>) -> Vec<BlockId> {
    let mut all: Vec<BlockId> = Vec::new();
    for meta in inputs {
        if meta.made_of.is_empty() {
            all.push(meta.block_id);
        } else {
            all.extend_from_slice(&meta.made_of);
        }
    }
    all.sort_unstable();
    all.dedup();
    all
}
