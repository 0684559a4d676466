//! Storing the files of a block. A stored block is invisible until a manifest names it.

use std::sync::Arc;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload, WriteMultipart};
use sha2::{Digest, Sha256};

use crate::block::meta::BlockMeta;
use crate::block::write::file::EncodedBlock;
use crate::error::StorageError;
use crate::layout;

/// Files from this size on are uploaded in parts.
const MULTIPART_BYTES: usize = 64 << 20;
/// Size of a part.
const PART_BYTES: usize = 16 << 20;
/// Parts on the way at one time.
const PARTS_AT_ONCE: usize = 4;

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
    let path = layout::spans_file(prefix, &meta);
    upload(store, &path, bytes).await?;
    if read_back == ReadBack::Verify {
        check_stored(store, &path, &meta).await?;
    }
    let filter_path = layout::filter_file(prefix, &meta);
    upload(store, &filter_path, trace_id_filter.bits().clone()).await?;
    Ok(Arc::new(meta))
}

async fn upload(
    store: &Arc<dyn ObjectStore>,
    path: &Path,
    bytes: Bytes,
) -> Result<(), StorageError> {
    let fail = |error| StorageError::from_store("write", path.as_ref(), error);
    if bytes.len() < MULTIPART_BYTES {
        store
            .put(path, PutPayload::from(bytes))
            .await
            .map_err(fail)?;
        return Ok(());
    }
    let upload = store.put_multipart(path).await.map_err(fail)?;
    let mut upload = WriteMultipart::new_with_chunk_size(upload, PART_BYTES);
    for start in (0..bytes.len()).step_by(PART_BYTES) {
        if let Err(error) = upload.wait_for_capacity(PARTS_AT_ONCE).await {
            // Parts left behind would cost money for ever; the first error is the one to tell.
            upload.abort().await.map_err(fail)?;
            return Err(fail(error));
        }
        upload.put(bytes.slice(start..bytes.len().min(start + PART_BYTES)));
    }
    upload.finish().await.map_err(fail)?;
    Ok(())
}

async fn check_stored(
    store: &Arc<dyn ObjectStore>,
    path: &Path,
    meta: &BlockMeta,
) -> Result<(), StorageError> {
    let fail = |error| StorageError::from_store("read back", path.as_ref(), error);
    let stored = store
        .get(path)
        .await
        .map_err(fail)?
        .bytes()
        .await
        .map_err(fail)?;
    let expected = meta
        .file
        .as_ref()
        .map(|file| file.sha256.clone())
        .unwrap_or_default();
    let observed = hex::encode(Sha256::digest(&stored));
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
