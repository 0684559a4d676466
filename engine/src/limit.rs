//! Limits that an error can name.

use crate::error::EngineError;

/// Most bytes that something may hold, and the configuration key that sets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct MemoryLimit {
    /// The limit.
    pub(crate) bytes: u64,
    /// The key.
    pub(crate) key: &'static str,
}

impl MemoryLimit {
    /// # Errors
    /// [`EngineError::MemoryLimit`] if so many bytes are more than may be held.
    pub(crate) fn check(self, held: usize) -> Result<(), EngineError> {
        let Self {
            bytes: limit_bytes,
            key,
        } = self;
        if u64::try_from(held).is_ok_and(|held| held <= limit_bytes) {
            Ok(())
        } else {
            Err(EngineError::MemoryLimit { limit_bytes, key })
        }
    }
}
