//! Whether the process is starting, running or stopping; and what queries see meanwhile.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use futures::future::BoxFuture;
use ingest::Ingest;
use storage::StorageError;
use storage::ids::TenantId;
use storage::snapshot::{Snapshot, SnapshotSource, Times};

const STARTING: &str = "starting: the write-ahead log is being read back";

/// Whether the process is starting, running or stopping.
#[derive(Default)]
pub struct State {
    running: OnceLock<Arc<Ingest>>,
    stopping: AtomicBool,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("State").field(&self.ready()).finish()
    }
}

impl State {
    /// The log is read back.
    pub(super) fn run(&self, ingest: Arc<Ingest>) {
        let _only_once = self.running.set(ingest);
    }

    /// The end has begun.
    pub(super) fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// Whether spans can be made durable and answers are complete.
    ///
    /// # Errors
    /// The reason why not.
    pub fn ready(&self) -> Result<(), String> {
        if self.stopping.load(Ordering::Relaxed) {
            return Err("shutting down".to_owned());
        }
        let ingest = self.running.get().ok_or(STARTING)?;
        ingest.readiness().map_err(|error| error.to_string())
    }
}

/// No answer is better than one that lacks the spans of the log.
impl SnapshotSource for State {
    fn snapshot<'a: 'f, 'b: 'f, 'c: 'f, 'f>(
        &'a self,
        tenant: &'b TenantId,
        times: &'c Times,
    ) -> BoxFuture<'f, Result<Snapshot, StorageError>> {
        match self.running.get() {
            Some(ingest) => ingest.snapshot(tenant, times),
            None => Box::pin(async { Err(StorageError::NotReady { reason: STARTING }) }),
        }
    }
}
