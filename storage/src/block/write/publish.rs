//! Storing the files of a block. A stored block is invisible until a manifest names it.

use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use sha2::{Digest, Sha256};

use crate::block::meta::BlockMeta;
use crate::block::trace_filter::TraceIdFilter;
use crate::block::write::file::EncodedBlock;
use crate::block::write::upload::Upload;
use crate::error::StorageError;
use crate::ids::{BlockId, TenantId};
use crate::layout;

/// Whether a file is read back after it was stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ReadBack {
    /// Read it and compare its checksum.
    #[default]
    Verify,
    /// Trust the store.
    Trust,
}

/// Stores a block's files and returns its description, for a commit to the catalog. Block ids are
/// never used twice, so this overwrites nothing that anyone can see; dropping the future, or a
/// failure, leaves at most files that no manifest names.
///
/// # Errors
///
/// If the store fails, or what it stored is not what it was given.
pub async fn store_block(
    store: &Arc<dyn ObjectStore>,
    prefix: &Path,
    block: EncodedBlock,
    read_back: ReadBack,
) -> Result<Arc<BlockMeta>, StorageError> {
    let EncodedBlock {
        bytes,
        trace_id_filter,
        meta,
    } = block;
    let mut upload = BlockUpload::new(store, prefix, &meta.tenant, meta.block_id, read_back);
    upload.write(bytes).await?;
    upload.finish(meta, &trace_id_filter).await
}

/// Stores the files of a block while the large one of them is still being written.
///
/// Dropping it, or a failure, leaves at most files that no catalog names.
pub(crate) struct BlockUpload {
    store: Arc<dyn ObjectStore>,
    folder: Path,
    read_back: ReadBack,
    spans: Upload,
}

impl BlockUpload {
    /// Begins; does no I/O.
    pub(crate) fn new(
        store: &Arc<dyn ObjectStore>,
        prefix: &Path,
        tenant: &TenantId,
        block: BlockId,
        read_back: ReadBack,
    ) -> Self {
        let folder = layout::new_block_folder(prefix, tenant, block);
        Self {
            store: Arc::clone(store),
            spans: Upload::new(store, layout::child(folder.clone(), layout::SPANS_FILE)),
            folder,
            read_back,
        }
    }

    /// The next bytes of the file of spans.
    ///
    /// # Errors
    ///
    /// If the store fails.
    pub(crate) async fn write(&mut self, bytes: Bytes) -> Result<(), StorageError> {
        self.spans.write(bytes).await
    }

    /// Stores the rest of the file of spans, and the filter beside it.
    ///
    /// # Errors
    ///
    /// If the store fails, or what it stored is not what it was given.
    pub(crate) async fn finish(
        self,
        meta: BlockMeta,
        filter: &TraceIdFilter,
    ) -> Result<Arc<BlockMeta>, StorageError> {
        let path = self.spans.path().clone();
        self.spans.finish().await?;
        if self.read_back == ReadBack::Verify {
            check_stored(&self.store, &path, &meta).await?;
        }
        let path = layout::child(self.folder, layout::FILTER_FILE);
        let mut upload = Upload::new(&self.store, path);
        upload.write(filter.bits().clone()).await?;
        upload.finish().await?;
        Ok(Arc::new(meta))
    }
}

async fn check_stored(
    store: &Arc<dyn ObjectStore>,
    path: &Path,
    meta: &BlockMeta,
) -> Result<(), StorageError> {
    let fail = |error| StorageError::from_store("read back", path.as_ref(), error);
    let mut stored = store.get(path).await.map_err(fail)?.into_stream();
    let mut sha256 = Sha256::new();
    while let Some(bytes) = stored.try_next().await.map_err(fail)? {
        sha256.update(&bytes);
    }
    let expected = meta.file.as_ref().map(|file| file.sha256.clone());
    let expected = expected.unwrap_or_default();
    let observed = hex::encode(sha256.finalize());
    if observed == expected {
        return Ok(());
    }
    Err(StorageError::Corrupt {
        object: path.to_string(),
        what: "SHA-256 after writing".to_owned(),
        expected,
        observed,
    })
}
