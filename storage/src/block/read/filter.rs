//! The trace id filter of a stored block.

use bytes::Bytes;
use futures::FutureExt as _;
use object_store::ObjectStoreExt as _;
use object_store::path::Path;
use serde::Deserialize;

use super::file::{BlockFile, corrupt};
use crate::block::meta::FilterFile;
use crate::block::trace_filter::TraceIdFilter;
use crate::error::StorageError;
use crate::layout;

/// What of the description that version 0.1.0 stored beside a block is read.
#[derive(Deserialize)]
struct Description {
    trace_ids: Bits,
}

#[derive(Deserialize)]
struct Bits {
    /// In base64.
    bits: String,
}

impl BlockFile {
    /// Which trace ids may be in the block; one request at most, and that for all who wait for it. The
    /// filter of a file that no catalog names lets everything through.
    ///
    /// # Errors
    ///
    /// If the store fails, or the filter is damaged.
    pub async fn trace_id_filter(&self) -> Result<TraceIdFilter, StorageError> {
        let meta = self.meta();
        if meta.file.is_none() {
            return Ok(TraceIdFilter::default());
        }
        let load = || {
            async {
                match meta.trace_id_filter {
                    Some(file) => self.load_filter(file).await,
                    None => self.load_description().await,
                }
            }
            .boxed()
        };
        self.cache().filter(meta.block_id, load).await
    }

    async fn load_filter(&self, file: FilterFile) -> Result<TraceIdFilter, StorageError> {
        let (path, bytes) = self.beside(layout::FILTER_FILE).await?;
        let observed = crc32c::crc32c(&bytes);
        if observed != file.crc32c || bytes.len() as u64 != file.size_bytes {
            let what = "CRC-32C of the trace id filter";
            return Err(corrupt(path.as_ref(), what, file.crc32c, observed));
        }
        Ok(TraceIdFilter::from_bits(bytes))
    }

    /// The filter of a block of version 0.1.0. Nothing but its JSON vouches for it: the checksum of
    /// its catalog covered another copy.
    async fn load_description(&self) -> Result<TraceIdFilter, StorageError> {
        let (path, bytes) = match self.beside(layout::META_FILE).await {
            Err(StorageError::NotFound { .. }) => return Ok(TraceIdFilter::default()),
            found => found?,
        };
        let damaged = |observed: String| StorageError::Corrupt {
            object: path.to_string(),
            what: "trace id filter".to_owned(),
            expected: "JSON with a filter in base64".to_owned(),
            observed,
        };
        let description: Description =
            serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
        let bits = base64::Engine::decode(
            &base64::engine::general_purpose::STANDARD,
            description.trace_ids.bits,
        );
        let bits = bits.map_err(|error| damaged(error.to_string()))?;
        Ok(TraceIdFilter::from_bits(bits.into()))
    }

    /// An object in the block's folder.
    async fn beside(&self, name: &str) -> Result<(Path, Bytes), StorageError> {
        let folder = self.path().parent().unwrap_or_default();
        let path = folder.join(name);
        let got = async { self.store().get(&path).await?.bytes().await };
        let bytes = got
            .await
            .map_err(|error| StorageError::from_store("read", path.as_ref(), error))?;
        self.counters().add(bytes.len() as u64);
        Ok((path, bytes))
    }
}
