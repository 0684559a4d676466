//! Options of encoding a block.

use crate::ids::{BlockId, TenantId};

/// What [`encode()`](super::encode()) needs to know besides the spans.
#[derive(Debug, Clone)]
pub struct EncodeOptions {
    /// Whose spans these are.
    pub tenant: TenantId,
    /// Id of the block.
    pub block_id: BlockId,
    /// Rows per record batch. Batches are slices of one allocation and share dictionaries.
    pub batch_rows: usize,
}

impl EncodeOptions {
    /// Options with the usual batch size.
    #[must_use]
    pub fn new(tenant: TenantId, block_id: BlockId) -> Self {
        Self {
            tenant,
            block_id,
            batch_rows: 65_536,
        }
    }
}
