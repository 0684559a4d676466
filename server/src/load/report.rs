//! What a load came to.

use std::collections::BTreeMap;

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
    /// Spans that were in stored blocks already, and were left out.
    pub stored_before: u64,
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
