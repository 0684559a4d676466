//! The write-ahead log: a request is on disk before it is acknowledged.
//!
//! One *segment* holds some requests of one tenant, in memory a *generation*, and bears the id of
//! the block that they become: `wal/<tenant>/<ulid>.wal`. So a segment needs no
//! bookkeeping: if the catalog names its block it is done with, else it is read back at start.
//!
//! Reading order: `record`, `scan`, `segment`, `writer`, `replay`.

pub(crate) mod record;
pub(crate) mod replay;
mod scan;
pub(crate) mod segment;
pub(crate) mod writer;
