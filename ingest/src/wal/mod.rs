//! The write-ahead log: a request is on disk before it is acknowledged.
//!
//! One *segment* holds some requests of one tenant, in memory a *generation*, and bears the id of
//! the block that they become: `wal/<tenant>/<ulid>.wal`. So a segment needs no
//! bookkeeping: if the catalog names its block it is done with, else it is read back at start.
//!
//! Reading order: [`disk`], `record`, `scan`, `segment`, `writer`, `replay`.

pub mod disk;
pub(crate) mod record;
pub(crate) mod replay;
mod scan;
pub(crate) mod segment;
pub(crate) mod writer;

/// Why a request is not in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AppendError {
    /// Less space is left than must be. Nothing of the request was written.
    #[error("the disk is nearly full")]
    DiskLow,
    /// No space is left. The request may still turn up after a restart.
    #[error("the disk is full")]
    DiskFull,
    /// Writing or syncing failed. The request may still turn up after a restart.
    #[error("the log could not be written")]
    Unavailable,
}
