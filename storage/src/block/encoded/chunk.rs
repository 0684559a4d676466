//! The bytes of a column chunk, for a reader of pages.

use bytes::{Buf, Bytes, buf};
use parquet::errors::{ParquetError, Result};
use parquet::file::reader::{ChunkReader, Length};

use super::column::page_too_short;

/// The bytes of a column chunk at their place in the file.
pub(super) struct ChunkBytes {
    pub(super) start: u64,
    pub(super) bytes: Bytes,
}

impl ChunkBytes {
    fn from(&self, start: u64) -> Result<usize> {
        let outside = || ParquetError::EOF(format!("byte {start} is outside the column chunk"));
        let from = usize::try_from(start.checked_sub(self.start).ok_or_else(outside)?)?;
        (from <= self.bytes.len())
            .then_some(from)
            .ok_or_else(outside)
    }
}

impl Length for ChunkBytes {
    fn len(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }
}

impl ChunkReader for ChunkBytes {
    type T = buf::Reader<Bytes>;

    fn get_read(&self, start: u64) -> Result<Self::T> {
        Ok(self.bytes.slice(self.from(start)?..).reader())
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        let from = self.from(start)?;
        let to = from
            .checked_add(length)
            .filter(|to| *to <= self.bytes.len());
        let to = to.ok_or_else(page_too_short)?;
        Ok(self.bytes.slice(from..to))
    }
}
