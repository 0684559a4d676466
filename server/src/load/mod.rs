//! Files of recorded spans to blocks, without the write-ahead log.
//!
//! ```text
//! read → decompress → decode ──(one batch)──▶ encode → write → store → commit
//! ```
//!
//! The two halves run at the same time; a batch becomes a block, and a block is either in the
//! catalog or does not exist. Memory holds two batches at most: one being filled and one being
//! encoded.

mod pipeline;
mod progress;
mod shift;
mod source;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use storage::Random;
use storage::ids::TenantId;
use storage::store::StoreLocation;

pub use pipeline::load;
pub use progress::Progress;
pub use source::{Source, SourceError};

/// Where spans go, and how.
#[derive(Debug, Clone)]
pub struct Destination {
    /// The store.
    pub location: StoreLocation,
    /// Whose spans they are.
    pub tenant: TenantId,
    /// Makes up the ids of blocks.
    pub random: Arc<Random>,
}

/// Which time spans get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shift {
    /// The one they have.
    None,
    /// All later by one offset, so that the latest span ends at this time, ns since the epoch.
    EndAt(i64),
}

/// Asks a load to stop; what is committed stays.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Asks for the stop.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it was asked for.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// What a load has done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LoadReport {
    /// Spans that are in blocks now.
    pub spans: u64,
    /// Blocks made.
    pub blocks: u64,
    /// Bytes of these blocks.
    pub block_bytes: u64,
    /// Spans turned away, by reason.
    pub rejected: BTreeMap<&'static str, u64>,
    /// Spans that another span of the same block repeats in every field.
    pub repeated: u64,
    /// Whether it stopped because it was asked to.
    pub cancelled: bool,
}

/// A load that did not get to the end, with what was committed before.
#[derive(Debug, thiserror::Error)]
#[error("{cause:#}")]
pub struct LoadError {
    /// What was committed.
    pub report: LoadReport,
    /// Why it stopped.
    pub cause: anyhow::Error,
}
