//! The receive path without its transports: from the bytes of a request to an acknowledgement.
//!
//! `open` puts it together and reads the log back, `accept` is the way of one request, `snapshot` what
//! queries see.

mod accept;
mod open;
mod snapshot;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use storage::ids::{BlockId, TenantId};
use storage::{Clock, StoredBlocks};
use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;

use crate::budget::{Budget, Share};
use crate::config::IngestConfig;
use crate::decompress::Encoding;
use crate::error::{AppendError, PushError};
use crate::head::Head;
use crate::metrics::Metrics;
use crate::prepare::{Format, Received, Rules};
use crate::retries::RetryWindow;
use crate::wal::{Log, Seal};

pub use open::IngestParts;

/// How long a sender is kept waiting at most before it is told that memory for spans that are not yet
/// stored is used up. Storing some takes less, unless storage is slow; and it is far less than senders
/// wait for an answer.
const WAIT_FOR_ROOM: Duration = Duration::from_secs(1);

/// What became of an accepted request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PushOutcome {
    /// Spans that are durable and visible now.
    pub accepted: u64,
    /// Spans turned away, for good.
    pub rejected: u64,
    /// Whether the same request had been accepted before; its spans are stored once.
    pub duplicate: bool,
    /// What the sender should know; empty if all is well.
    pub message: String,
}

/// What was left at shutdown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShutdownReport {
    /// Blocks that could not be stored. Their spans are in the log and come back at the next start.
    pub blocks_left_in_log: usize,
}

/// The receive path of a process.
pub struct Ingest {
    config: Arc<IngestConfig>,
    rules: Arc<Rules>,
    head: Arc<Head>,
    log: Log,
    retries: Arc<RetryWindow>,
    stored: Arc<StoredBlocks>,
    budget: Budget,
    metrics: Metrics,
    clock: Arc<dyn Clock>,
    closing: AtomicBool,
    stop: watch::Sender<bool>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

impl fmt::Debug for Ingest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ingest")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl Ingest {
    /// Accepts the spans of an `ExportTraceServiceRequest` in protobuf. When this returns without
    /// error they are durable, and visible to every snapshot taken from then on. The bytes stay in
    /// memory until then and longer, with all of the memory that they may be a small part of.
    ///
    /// Dropping the future does not undo anything: the request may be accepted or not.
    ///
    /// # Errors
    /// The request as a whole cannot be accepted; [`PushError::kind`] says what its sender should do.
    pub async fn push(&self, tenant: &TenantId, request: Bytes) -> Result<PushOutcome, PushError> {
        let mut memory = self.budget.share();
        memory.grow(request.len())?;
        let received = Received {
            body: request,
            encoding: Encoding::Identity,
            format: Format::Protobuf,
            memory,
        };
        self.receive(tenant, received).await
    }

    /// Whether requests can be accepted.
    ///
    /// # Errors
    /// The reason why not.
    pub fn readiness(&self) -> Result<(), PushError> {
        if self.closing.load(Ordering::Relaxed) {
            Err(PushError::ShuttingDown)
        } else if let Some(trouble) = self.log.health.trouble() {
            Err(self.push_error(trouble))
        } else if self.head.bytes() >= self.config.live_store.max_unflushed_bytes {
            Err(PushError::Overloaded {
                resource: "the memory for spans not yet stored",
                key: "live_store.max_unflushed_bytes",
            })
        } else {
            Ok(())
        }
    }

    /// Cuts all generations and waits until those that exist now are stored, however long the store
    /// takes.
    pub async fn flush(&self) {
        let before: BTreeSet<BlockId> = self.head.ids().into_iter().collect();
        self.log.seal(Seal::All).await;
        loop {
            let left = self.head.left.notified();
            if !self.head.ids().iter().any(|id| before.contains(id)) {
                return;
            }
            left.await;
        }
    }

    /// Refuses new requests, finishes those under way, and tries once to store what is in memory.
    /// What cannot be stored stays in the log.
    pub async fn shutdown(&self) -> ShutdownReport {
        self.closing.store(true, Ordering::Relaxed);
        self.log.seal(Seal::All).await;
        self.log.stop().await;
        // The receivers of this live as long as the tasks below.
        let _ = self.stop.send(true);
        for task in self.tasks.lock().await.drain(..) {
            if let Err(error) = task.await {
                tracing::error!(%error, "a background task of the receive path failed");
            }
        }
        ShutdownReport {
            blocks_left_in_log: self.head.ids().len(),
        }
    }

    /// Tenants with spans that are not yet in a stored block.
    #[must_use]
    pub fn live_tenants(&self) -> Vec<TenantId> {
        self.head.tenants()
    }

    pub(crate) fn config(&self) -> &IngestConfig {
        &self.config
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// A share of the memory for requests.
    pub(crate) fn memory(&self) -> Share {
        self.budget.share()
    }

    /// Waits a little while spans that are not yet stored take up all the memory they may. Asked before a
    /// body is read, so that it waits with its sender, and need not be sent again.
    pub(crate) async fn room(&self) -> Result<(), PushError> {
        let mut patience = std::pin::pin!(tokio::time::sleep(WAIT_FOR_ROOM));
        loop {
            // Whoever leaves after this is noticed.
            let left = self.head.left.notified();
            let Err(error @ PushError::Overloaded { .. }) = self.readiness() else {
                return Ok(());
            };
            tokio::select! {
                () = left => {}
                () = &mut patience => {
                    self.count_refused(&error, 0);
                    return Err(error);
                }
            }
        }
    }

    fn push_error(&self, error: AppendError) -> PushError {
        match error {
            AppendError::DiskLow => PushError::DiskLow {
                limit: self.config.wal.low_water_bytes,
            },
            AppendError::DiskFull => PushError::DiskFull,
            AppendError::Unavailable if self.closing.load(Ordering::Relaxed) => {
                PushError::ShuttingDown
            }
            AppendError::Unavailable => PushError::WalUnavailable,
        }
    }
}
