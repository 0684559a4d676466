//! The two halves of a load, and the batch that goes from one to the other.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use anyhow::{Context as _, anyhow};
use storage::Random;
use storage::block::{
    BlockCache, EncodeOptions, ReadBack, WriteOptions, encode_requests, store_block, write_parquet,
};
use storage::catalog::{Catalog, Edit};
use storage::ids::TenantId;
use storage::maintenance::repeats::{Stored, leave_out};
use storage::otlp::PlainRequest;
use storage::store::StoreLocation;
use tokio::runtime::Handle;

use super::cancel::Cancel;
use super::progress::Progress;
use super::report::{LoadError, LoadReport};
use super::shift::{Shift, offset_ns};
use super::source::{Counter, Source};

/// A block is cut at this many spans …
const BATCH_SPANS: usize = 400_000;
/// … or after this many bytes of OTLP. Memory holds those of two blocks, and the columns of one.
const BATCH_BYTES: u64 = 192 << 20;

/// Footers and filters of blocks that are held while repeated spans are looked for.
const CACHE_BYTES: u64 = 64 << 20;

/// Where spans go, and how.
#[derive(Debug, Clone)]
pub struct Destination {
    /// The store.
    pub location: StoreLocation,
    /// Whose spans they are.
    pub tenant: TenantId,
    /// Makes up the ids of blocks.
    pub random: Arc<Random>,
}

/// Spans that become one block.
#[derive(Debug, Default)]
struct Batch {
    requests: Vec<PlainRequest>,
    span_count: usize,
    /// What is added to all times.
    offset_ns: i64,
}

/// Loads all requests of the sources, in their order. Blocks for as long as that takes; must run
/// where blocking is allowed, with `runtime` for the I/O of the store.
///
/// # Errors
/// The first source that cannot be read, or a failure to store a block. What was committed before
/// stays, and the error says how much that is.
pub fn load(
    sources: &[Source],
    shift: Shift,
    destination: &Destination,
    progress: &Progress,
    cancel: &Cancel,
    runtime: &Handle,
) -> Result<LoadReport, LoadError> {
    let mut rejected = BTreeMap::new();
    let (batches, to_store) = sync_channel(0);
    let (read, (mut report, stored)) = std::thread::scope(|scope| {
        let storing = scope.spawn(|| store_all(to_store, destination, runtime));
        let read = read_all(sources, shift, progress, cancel, &mut rejected, &batches);
        drop(batches);
        let stored = storing.join().unwrap_or_else(|_| {
            (
                LoadReport::default(),
                Err(anyhow!("the writing thread panicked")),
            )
        });
        (read, stored)
    });
    progress.finish();
    report.rejected = rejected;
    report.cancelled = cancel.is_cancelled();
    // If storing failed, reading stopped because of it.
    match stored.and(read) {
        Ok(()) => Ok(report),
        Err(cause) => Err(LoadError { report, cause }),
    }
}

/// Reads and decodes; gives a batch away when it is full. What came before damage is given away, too.
fn read_all(
    sources: &[Source],
    shift: Shift,
    progress: &Progress,
    cancel: &Cancel,
    rejected: &mut BTreeMap<&'static str, u64>,
    batches: &SyncSender<Batch>,
) -> anyhow::Result<()> {
    let offset_ns = offset_ns(sources, shift, cancel)?;
    let (stored, decoded) = (Counter::default(), Counter::default());
    let (mut batch, mut batch_start) = (Batch::default(), 0);
    batch.offset_ns = offset_ns;
    let mut span_count = 0_u64;
    let mut read = || -> anyhow::Result<()> {
        for source in sources {
            for request in source.open(&stored, &decoded)? {
                let (request, turned_away) = request?;
                for rejection in &turned_away {
                    *rejected.entry(rejection.reason.as_str()).or_default() += 1;
                }
                let count = request.span_count();
                batch.requests.push(request);
                batch.span_count += count;
                span_count += u64::try_from(count).unwrap_or(0);
                progress.update(stored.get(), span_count);
                if batch.span_count >= BATCH_SPANS || decoded.get() - batch_start >= BATCH_BYTES {
                    batch_start = decoded.get();
                    give(batches, &mut batch)?;
                }
                if cancel.is_cancelled() {
                    return Ok(());
                }
            }
        }
        Ok(())
    };
    let outcome = read();
    give(batches, &mut batch)?;
    outcome
}

fn give(batches: &SyncSender<Batch>, batch: &mut Batch) -> anyhow::Result<()> {
    if batch.span_count == 0 {
        return Ok(());
    }
    let next = Batch {
        offset_ns: batch.offset_ns,
        ..Batch::default()
    };
    batches
        .send(std::mem::replace(batch, next))
        .ok()
        .context("blocks cannot be written")
}

/// Makes a block of every batch and commits it.
fn store_all(
    batches: Receiver<Batch>,
    destination: &Destination,
    runtime: &Handle,
) -> (LoadReport, anyhow::Result<()>) {
    let mut report = LoadReport::default();
    let store = || -> anyhow::Result<()> {
        let Destination {
            location,
            tenant,
            random,
        } = destination;
        let store = Arc::clone(&location.store);
        let catalog = runtime.block_on(Catalog::open(
            store,
            location.prefix.clone(),
            tenant.clone(),
            Arc::clone(random),
            Arc::default(),
        ))?;
        for batch in batches {
            store_batch(batch, &catalog, destination, runtime, &mut report)?;
        }
        Ok(())
    };
    let outcome = store();
    (report, outcome)
}

fn store_batch(
    batch: Batch,
    catalog: &Catalog,
    destination: &Destination,
    runtime: &Handle,
    report: &mut LoadReport,
) -> anyhow::Result<()> {
    let given = u64::try_from(batch.span_count).unwrap_or(u64::MAX);
    let options = EncodeOptions::new(destination.tenant.clone(), destination.random.block_id());
    let in_memory = Arc::new(encode_requests(&batch.requests, batch.offset_ns, &options)?);
    drop(batch);
    let location = &destination.location;
    report.repeated += given.saturating_sub(in_memory.meta.row_count);
    let stored = Stored {
        store: &location.store,
        prefix: &location.prefix,
        catalog,
        cache: &Arc::new(BlockCache::new(CACHE_BYTES, 0)),
    };
    let fresh = runtime.block_on(leave_out(in_memory, stored))?;
    report.stored_before += fresh.repeated;
    let Some(in_memory) = fresh.block else {
        return Ok(());
    };
    let block = write_parquet(&in_memory, &WriteOptions::default())?;
    drop(in_memory);
    let (rows, bytes) = (block.meta.row_count, block.bytes.len());
    runtime.block_on(async {
        let meta = store_block(&location.store, &location.prefix, block, ReadBack::Verify).await?;
        catalog.commit(Edit::add(meta)).await
    })?;
    report.blocks += 1;
    report.spans += rows;
    report.block_bytes += u64::try_from(bytes).unwrap_or(0);
    Ok(())
}
