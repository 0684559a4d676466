//! Spans to blocks and back: the model, the block format, the catalog and the object store.
//!
//! A *block* is an immutable Parquet file of spans of one tenant, one row a span, traces
//! contiguous and ordered by start, each trace in depth-first order. The *catalog* names the live
//! blocks of a tenant; a block that it does not name does not exist for a reader.
//!
//! What holds:
//!
//! - decoding a block gives back every field of every span that was encoded, once;
//! - a block does not depend on the order in which its spans arrived;
//! - damage is found before it becomes an answer: every byte read was covered by a checksum;
//! - a version of a catalog is created once and never overwritten.
//!
//! Not here: queries and their languages, HTTP, the write-ahead log.
//!
//! Reading order, and the order of floors, each of which knows those before it only: the words
//! ([`clock`], [`random`], [`ids`], [`error`], [`model`], [`layout`], [`block::meta`]),
//! [`schema`], [`otlp`], [`block`] with what reading and writing share, then reading and writing
//! themselves, [`compaction`], [`catalog`], [`maintenance`], [`snapshot`], [`store`].

#![deny(missing_docs)]
#![forbid(unsafe_code)]

pub mod block;
pub mod catalog;
pub mod clock;
pub mod compaction;
pub mod error;
pub mod ids;
pub mod layout;
pub mod maintenance;
pub mod model;
pub mod otlp;
pub mod random;
pub mod schema;
pub mod snapshot;
pub mod store;

pub use clock::{Clock, SystemClock};
pub use error::{ErrorKind, StorageError};
pub use random::Random;
pub use snapshot::{Snapshot, SnapshotSource, StoredBlocks};
