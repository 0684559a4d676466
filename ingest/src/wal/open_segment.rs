//! The segment that a tenant's records go to.

use std::io;
use std::sync::Arc;

use storage::ids::TenantId;

use super::parts::LogParts;
use super::{record, segment};
use crate::disk::{Disk, DiskFile};
use crate::head::Generation;

/// A segment that is appended to, and its generation.
pub(super) struct OpenSegment {
    pub(super) generation: Arc<Generation>,
    pub(super) file: Box<dyn DiskFile>,
    pub(super) epoch: u64,
    /// Bytes of the file that are known to be durable.
    pub(super) durable_len: u64,
    /// CRC of the last record.
    pub(super) previous_crc: u32,
    /// Whether the name of the file is durable.
    named: bool,
}

impl OpenSegment {
    /// Begins a segment, and its generation in the head.
    pub(super) fn create(parts: &LogParts, tenant: &TenantId) -> io::Result<Self> {
        parts.disk.create_dir(&segment::tenant_dir(tenant))?;
        let id = parts.random.block_id();
        let path = segment::path(tenant, id);
        let file = parts.disk.create(&path)?;
        let generation = parts.head.open(tenant, id, path);
        Ok(Self {
            generation,
            file,
            epoch: record::epoch(id),
            durable_len: 0,
            previous_crc: 0,
            named: false,
        })
    }

    /// Appends records; they are durable, and their file is found again, when this returns.
    pub(super) fn append_durably(&mut self, disk: &dyn Disk, bytes: &[u8]) -> io::Result<()> {
        self.file.append(bytes)?;
        self.file.sync()?;
        if !self.named {
            disk.sync_dir(&segment::tenant_dir(self.generation.tenant()))?;
            self.named = true;
        }
        self.durable_len += bytes.len() as u64;
        Ok(())
    }
}
