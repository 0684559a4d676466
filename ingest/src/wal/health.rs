//! Whether the log can be written, as its thread knows and others ask.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::error::AppendError;

/// Whether the log can be written.
#[derive(Debug, Default)]
pub(crate) struct Health {
    /// How the last write failed, if no write has succeeded since.
    failed: Mutex<Option<AppendError>>,
    /// The disk has less free space than the low-water mark.
    pub(super) disk_low: AtomicBool,
}

impl Health {
    /// Why the next request will not be written, as far as is known.
    pub(crate) fn trouble(&self) -> Option<AppendError> {
        let low = self.disk_low.load(Ordering::Relaxed);
        low.then_some(AppendError::DiskLow).or(*self.failed())
    }

    /// How the last write failed, to be read or set.
    pub(super) fn failed(&self) -> MutexGuard<'_, Option<AppendError>> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
