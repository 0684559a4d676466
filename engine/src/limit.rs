//! Limits that an error can name.

/// Most bytes that something may hold, and the configuration key that sets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct MemoryLimit {
    /// The limit.
    pub(crate) bytes: u64,
    /// The key.
    pub(crate) key: &'static str,
}
