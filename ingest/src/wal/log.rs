//! The log as the rest of the receive path sees it: a handle to the thread that writes it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use storage::ids::TenantId;
use tokio::sync::{mpsc, oneshot};

use super::command::{Append, Command, Seal};
use super::health::Health;
use super::parts::LogParts;
use super::replay::Numbering;
use super::writer::Writer;
use crate::error::{AppendError, OpenError};

/// The handle to the log's thread.
#[derive(Debug)]
pub(crate) struct Log {
    commands: mpsc::UnboundedSender<Command>,
    pub(crate) health: Arc<Health>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Log {
    /// Starts the thread; each tenant's records go on with its numbering.
    ///
    /// # Errors
    /// The system gives no thread.
    pub(crate) fn start(
        parts: LogParts,
        numbering: BTreeMap<TenantId, Numbering>,
    ) -> Result<Self, OpenError> {
        let (commands, receiver) = mpsc::unbounded_channel();
        let health = Arc::new(Health::default());
        let writer = Writer::new(parts, Arc::clone(&health), numbering);
        let thread = std::thread::Builder::new()
            .name("wal".to_owned())
            .spawn(move || writer.run(receiver))
            .map_err(OpenError::Thread)?;
        Ok(Self {
            commands,
            health,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Hands a request over; its outcome comes through its `reply`, and to the retry window.
    ///
    /// # Errors
    /// The thread has ended; then neither is told.
    pub(crate) fn append(&self, append: Box<Append>) -> Result<(), AppendError> {
        self.commands
            .send(Command::Append(append))
            .map_err(|_| AppendError::Unavailable)
    }

    /// Ends generations; returns when it is done.
    pub(crate) async fn seal(&self, which: Seal) {
        let (done, wait) = oneshot::channel();
        if self.commands.send(Command::Seal(which, done)).is_ok() {
            // An error means that the thread has ended, and with it all generations.
            let _ = wait.await;
        }
    }

    /// Ends the thread, and all generations, once all that was handed over is done.
    pub(crate) async fn stop(&self) {
        let _ended_already = self.commands.send(Command::Stop);
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(thread) = thread {
            // A panic of the thread has been reported when it happened.
            let _panic = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }
}
