//! Waiting for the order to end.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Exit status of a process that a second signal ends before it is done.
const INTERRUPTED: i32 = 130;

/// The signals that end the process: interrupt and termination.
#[derive(Debug)]
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Starts to listen; from here on the signals have no other effect.
    ///
    /// # Errors
    /// The system refuses.
    pub fn listen() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Waits for one of them; returns its name.
    pub async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "interrupt",
            _ = self.terminate.recv() => "termination",
        }
    }

    /// Ends the process with the next one. Acknowledged spans are in the log at any moment.
    pub fn exit_on_next(mut self) {
        tokio::spawn(async move {
            let name = self.next().await;
            tracing::warn!(signal = name, "ending at once");
            std::process::exit(INTERRUPTED);
        });
    }
}
