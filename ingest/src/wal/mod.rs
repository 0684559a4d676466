//! The write-ahead log: a request is on disk before it is acknowledged.
//!
//! One *segment* holds some requests of one tenant, in memory a *generation*, and bears the id of
//! the block that they become: `wal/<tenant>/<ulid>.wal`. So a segment needs no
//! bookkeeping: if the catalog names its block it is done with, else it is read back at start.
//!
//! Reading order: `record`, `scan`, `segment`; `parts`, `replay`; `command`, `health`, `open_segment`,
//! `writer`, `log`.

mod command;
mod health;
mod log;
mod open_segment;
mod parts;
pub(crate) mod record;
mod replay;
mod scan;
mod segment;
mod writer;

pub(crate) use command::{Append, Seal};
pub(crate) use log::Log;
pub(crate) use parts::LogParts;
pub(crate) use replay::{Numbering, Replay, segments, tenants};
