//! A full check of a stored block: every checksum, and that all of it can be decoded.

use std::sync::Arc;

use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::block::meta::BlockMeta;
use crate::block::read::cache::{BlockCache, ReadCounters};
use crate::block::read::file::{BlockFile, corrupt};
use crate::block::read::whole_block::read_block;
use crate::error::StorageError;
use crate::layout;

/// What a full check looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VerifyReport {
    /// Object name of the file.
    pub object: String,
    /// Length of the file, bytes.
    pub size_bytes: u64,
    /// SHA-256 of the file, in hex.
    pub sha256: String,
    /// Whether length and SHA-256 were compared with the catalog's; a bare file has none.
    pub compared_with_catalog: bool,
    /// Column chunks whose checksum was compared.
    pub column_chunks: u64,
    /// Rows decoded.
    pub row_count: u64,
}

/// Checks a block that a catalog names: length, SHA-256, footer, every column chunk, that all of it can be
/// decoded, and its trace id filter. Reads the file once and a half.
///
/// # Errors
///
/// The first damage found, or a failure of the store.
pub async fn verify(
    store: &Arc<dyn ObjectStore>,
    prefix: &Path,
    meta: &Arc<BlockMeta>,
) -> Result<VerifyReport, StorageError> {
    let path = layout::spans_file(prefix, meta);
    let cache = Arc::new(BlockCache::new(0, 0));
    let counters = Arc::new(ReadCounters::default());
    let bytes = read_whole(store, &path).await?;
    let (expected_size, expected_sha256) = meta
        .file
        .as_ref()
        .map(|file| (file.size_bytes, file.sha256.clone()))
        .unwrap_or_default();
    let differs = |what: &str, expected: String, observed: String| StorageError::Corrupt {
        object: path.to_string(),
        what: what.to_owned(),
        expected,
        observed,
    };
    if bytes.len() as u64 != expected_size {
        return Err(differs(
            "length",
            expected_size.to_string(),
            bytes.len().to_string(),
        ));
    }
    let sha256 = hex::encode(Sha256::digest(&bytes));
    if sha256 != expected_sha256 {
        return Err(differs("SHA-256", expected_sha256, sha256));
    }
    drop(bytes);
    let file = BlockFile::new(Arc::clone(store), prefix, Arc::clone(meta), cache, counters)?;
    let (column_chunks, row_count) = read_all(&file).await?;
    file.trace_id_filter().await?;
    let object = path.to_string();
    let size_bytes = expected_size;
    Ok(VerifyReport {
        object,
        size_bytes,
        sha256,
        compared_with_catalog: true,
        column_chunks,
        row_count,
    })
}

/// Checks a file that no manifest is known for: everything but length and SHA-256, which only a
/// catalog knows.
///
/// # Errors
///
/// The first damage found, or a failure of the store.
pub async fn verify_bare(
    store: &Arc<dyn ObjectStore>,
    path: &Path,
) -> Result<VerifyReport, StorageError> {
    let bytes = read_whole(store, path).await?;
    if !bytes.starts_with(b"PAR1") {
        return Err(StorageError::NotABlock {
            object: path.to_string(),
            reason: "the file does not begin like Parquet".to_owned(),
        });
    }
    let file = BlockFile::open_bare(Arc::clone(store), path.clone()).await?;
    let (column_chunks, row_count) = read_all(&file).await?;
    Ok(VerifyReport {
        object: path.to_string(),
        size_bytes: bytes.len() as u64,
        sha256: hex::encode(Sha256::digest(&bytes)),
        compared_with_catalog: false,
        column_chunks,
        row_count,
    })
}

async fn read_whole(
    store: &Arc<dyn ObjectStore>,
    path: &Path,
) -> Result<bytes::Bytes, StorageError> {
    let fail = |error| StorageError::from_store("read", path.as_ref(), error);
    store
        .get(path)
        .await
        .map_err(fail)?
        .bytes()
        .await
        .map_err(fail)
}

/// Reads every column; returns how many chunks were checked, and the rows.
async fn read_all(file: &BlockFile) -> Result<(u64, u64), StorageError> {
    let mut file = file.clone();
    let footer = file.footer().await?;
    let block = read_block(&file).await?;
    if let Some(chunk) = footer.chunks().iter().find(|chunk| !chunk.is_verified()) {
        // Nothing of it was needed to read all rows, so it is no column of ours.
        let what = format!("row group {} column {} unread", chunk.row_group, chunk.leaf);
        return Err(corrupt(file.path().as_ref(), &what, chunk.crc32c, 0));
    }
    Ok((footer.chunks().len() as u64, block.row_count() as u64))
}
