//! From sealed generations to stored blocks.
//!
//! The block bears the generation's id, so every step can be repeated after a crash: until the
//! catalog names the block, its objects are nobody's and are overwritten; once it does, the segment
//! of the log is done with. In between the spans stay visible in the head.

use std::sync::Arc;
use std::time::Duration;

use storage::block::{BlockCache, MemoryBlock, ReadBack, WriteOptions, store_block, write_parquet};
use storage::catalog::{Catalog, Edit};
use storage::maintenance::repeats::{Stored, leave_out};
use storage::{Clock, StoredBlocks};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;

use crate::error::FlushError;
use crate::head::{Generation, Head};
use crate::metrics::Metrics;

const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Turns sealed generations into stored blocks.
#[derive(Debug)]
pub(crate) struct Flusher {
    pub(crate) head: Arc<Head>,
    pub(crate) stored: Arc<StoredBlocks>,
    pub(crate) metrics: Metrics,
    pub(crate) clock: Arc<dyn Clock>,
    /// Footers and filters of blocks in which repeated spans are looked for.
    pub(crate) cache: Arc<BlockCache>,
    pub(crate) permits: Arc<Semaphore>,
    /// True once failures are no longer tried again.
    pub(crate) stopping: watch::Receiver<bool>,
}

impl Flusher {
    /// Stores generations as they are sealed, until there can be no more of them.
    pub(crate) async fn run(self: Arc<Self>, mut sealed: mpsc::UnboundedReceiver<Arc<Generation>>) {
        let mut flushes = JoinSet::new();
        let mut stopping = self.stopping.clone();
        loop {
            tokio::select! {
                biased;
                generation = sealed.recv() => match generation {
                    Some(generation) => {
                        flushes.spawn(Arc::clone(&self).flush_until_done(generation));
                    }
                    None => break,
                },
                Some(_) = flushes.join_next() => {}
                // All generations were sealed before.
                _ = stopping.wait_for(|stopping| *stopping) => break,
            }
        }
        while flushes.join_next().await.is_some() {}
    }

    async fn flush_until_done(self: Arc<Self>, generation: Arc<Generation>) {
        let mut pause = FIRST_PAUSE;
        let mut stopping = self.stopping.clone();
        loop {
            match self.flush(&generation).await {
                Ok(()) => return,
                Err(error) => {
                    self.metrics.flushes.with_label_values(&["failed"]).inc();
                    tracing::error!(
                        tenant = %generation.tenant(),
                        block = %generation.id(),
                        error = &error as &(dyn std::error::Error + 'static),
                        "cannot store a block; its spans stay in memory and in the log"
                    );
                }
            }
            // Once stopping there is no second try; nor if nobody is left who could say stop.
            if tokio::time::timeout(pause, stopping.wait_for(|stopping| *stopping))
                .await
                .is_ok()
            {
                return;
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn flush(&self, generation: &Arc<Generation>) -> Result<(), FlushError> {
        let _permit = self.permits.acquire().await;
        let started = self.clock.instant();
        let failed = |source| FlushError::Store {
            block: generation.id(),
            source: Box::new(source),
        };
        let block = generation.encoded().await?;
        let catalog = self
            .stored
            .catalog(generation.tenant())
            .await
            .map_err(failed)?;
        let stored = Stored {
            store: self.stored.store(),
            prefix: self.stored.prefix(),
            catalog: &catalog,
            cache: &self.cache,
        };
        let fresh = leave_out(block, stored).await.map_err(failed)?;
        if fresh.repeated > 0 {
            self.metrics.repeated_spans.inc_by(fresh.repeated);
            tracing::info!(
                tenant = %generation.tenant(),
                block = %generation.id(),
                spans = fresh.repeated,
                "left out spans that are stored already"
            );
        }
        if let Some(block) = fresh.block {
            self.store(generation, block, &catalog).await?;
        }
        self.head.remove(generation);
        self.metrics.flushes.with_label_values(&["ok"]).inc();
        let took = self.clock.instant() - started;
        self.metrics.flush_seconds.observe(took.as_secs_f64());
        Ok(())
    }

    /// Stores a block and commits it.
    async fn store(
        &self,
        generation: &Generation,
        block: Arc<MemoryBlock>,
        catalog: &Catalog,
    ) -> Result<(), FlushError> {
        let failed = |source| FlushError::Store {
            block: generation.id(),
            source: Box::new(source),
        };
        let encoded =
            tokio::task::spawn_blocking(move || write_parquet(&block, &WriteOptions::default()));
        let encoded = encoded
            .await
            .map_err(|_| FlushError::Panicked {
                block: generation.id(),
            })?
            .map_err(failed)?;
        let meta = store_block(
            self.stored.store(),
            self.stored.prefix(),
            encoded,
            ReadBack::Verify,
        )
        .await
        .map_err(failed)?;
        catalog.commit(Edit::add(meta)).await.map_err(failed)?;
        Ok(())
    }
}
